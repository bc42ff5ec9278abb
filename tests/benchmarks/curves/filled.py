"""Files of events to measure on: as a store writes them, but many at once."""

import asyncio
import atexit
from collections.abc import Iterator
from functools import cache
from itertools import islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import attrs
from uuid_utils import uuid7

from dashtam_events import DomainEvent, StreamId
from dashtam_events.codec import EventCodec
from dashtam_events.store._drafts import Row
from dashtam_events.store.sqlite._transfer import open_raw
from tests.benchmarks.workload import BENCH, FIELDS, ConnectionStarted, ConnectionSynced

__all__ = ["ONE_IN", "STREAM_LENGTH", "filled"]

ONE_IN = 10_000
"""One event in so many is a `ConnectionStarted`, the first of the file among them."""
STREAM_LENGTH = 100
_BESIDE = 200
_BATCH = 50_000


@cache
def _folder() -> "TemporaryDirectory[str]":
    folder = TemporaryDirectory(prefix="growth-")
    atexit.register(folder.cleanup)
    return folder


@cache
def filled(events: int) -> Path:
    """A file with so many events, made once and kept to the end of the program."""
    path = Path(_folder().name, f"{events}.db")
    asyncio.run(_fill(path, events))
    return path


async def _fill(path: Path, events: int) -> None:
    rows, written = _rows(), 0
    async with open_raw(path, writable=True, batch_size=_BATCH) as store:
        while batch := list(islice(rows, min(_BATCH, events - written))):
            await store.write_events(batch, after=written)
            written += len(batch)


def _rows() -> Iterator[Row]:
    """Rows without an end: two hundred streams take turns until each has a hundred."""
    synced, started = _Form.of(_synced()), _Form.of(ConnectionStarted(provider_slug="schwab"))
    position = 0
    while True:
        streams = [str(StreamId("bench", uuid4())) for _ in range(_BESIDE)]
        for version, stream in product(range(1, STREAM_LENGTH + 1), streams):
            form = started if position % ONE_IN == 0 else synced
            position += 1
            yield form.row(position, stream, version)


def _synced() -> ConnectionSynced:
    return ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values


@attrs.frozen
class _Form:
    """What the rows of an event class have in common: the data before the id and behind it."""

    name: str
    before: bytes
    behind: bytes

    @classmethod
    def of(cls, event: DomainEvent) -> "_Form":
        encoded = EventCodec(BENCH).encode(event)
        before, behind = encoded.data.split(str(event.event_id).encode())
        return cls(encoded.name, before, behind)

    def row(self, position: int, stream: str, version: int) -> Row:
        event_id: UUID = uuid7()  # type: ignore[assignment]  # has what is used here
        data = b"".join((self.before, str(event_id).encode(), self.behind))
        return (position, event_id.bytes, stream, version, self.name, 1, None, 0, data, None)
