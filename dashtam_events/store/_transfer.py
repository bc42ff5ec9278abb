"""Moving house: all that one store keeps to another, as it is and where it stands."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs
import msgspec

from dashtam_events.errors import StoreUnavailable
from dashtam_events.store._drafts import Row

__all__ = [
    "ATTACHMENT_COLUMNS",
    "EVENT_COLUMNS",
    "AttachmentRow",
    "Copied",
    "Fingerprint",
    "RawStore",
    "Snapshot",
    "copy",
    "fingerprint",
]

EVENT_COLUMNS = (
    *("position", "event_id", "stream", "version", "type", "schema_version", "subject"),
    *("recorded_at", "data", "metadata"),
)
"""What a `Row` is made of."""
ATTACHMENT_COLUMNS = ("stream", "name", "version", "data")

AttachmentRow = tuple[str, str, int, bytes | None]
"""Stream, name, version of the stream, data."""

_NOT_A_BEGINNING = (
    "it holds other events than the first ones of the source, so nothing was written: copy to an "
    "empty store, or to one that holds an earlier or unfinished copy of this source"
)
_packed = msgspec.msgpack.Encoder().encode


class Snapshot(Protocol):
    """A store as it was at one instant, read without decoding anything."""

    async def count(self) -> int:
        """How many events there are."""
        ...

    async def last_position(self) -> int:
        """The position of the last event; 0 while there is none."""
        ...

    def events(self, *, after: int = 0, until: int | None = None) -> AsyncIterator[Sequence[Row]]:
        """The events between two positions in their order, a batch at a time."""
        ...

    def attachments(self) -> AsyncIterator[Sequence[AttachmentRow]]:
        """The attachments by stream and name, a batch at a time."""
        ...


class RawStore(Protocol):
    """The tables of a store. Every method raises `StoreUnavailable` and `StoreBusy`."""

    @property
    def shown(self) -> str:
        """The address of the store as it may be printed."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """The store as it is now."""
        ...

    async def write_events(self, rows: Sequence[Row], *, after: int) -> None:
        """Write events in one transaction, if the log ends at a position; otherwise refuse."""
        ...

    async def write_attachments(self, rows: Sequence[AttachmentRow]) -> None:
        """Write attachments in one transaction, over those of the same names."""
        ...


@attrs.frozen(kw_only=True)
class Fingerprint:
    """What a store holds: where it is the same, two stores hold the same in every column."""

    events: int
    attachments: int
    sha256: str


@attrs.frozen(kw_only=True)
class Copied:
    """What a copy did: it went on behind one position and came to another.

    `source` and `target` are what both hold up to there.
    """

    began_after: int
    reached: int
    source: Fingerprint
    target: Fingerprint


class _Tally:
    """Counts what goes by, and hashes it: each row by itself, so batches do not matter."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._events = self._attachments = 0

    def add_events(self, rows: Sequence[Row]) -> None:
        self._events += len(rows)
        self._hash.update(b"".join(map(_packed, rows)))

    def add_attachments(self, rows: Sequence[AttachmentRow]) -> None:
        self._attachments += len(rows)
        self._hash.update(b"".join(map(_packed, rows)))

    @property
    def seen(self) -> Fingerprint:
        return Fingerprint(
            events=self._events, attachments=self._attachments, sha256=self._hash.hexdigest()
        )


async def fingerprint(store: RawStore, told: Callable[[int], None]) -> Fingerprint:
    """What a store holds. `told` is called with the number of events in each batch."""
    tally = _Tally()
    async with store.snapshot() as snapshot:
        async for rows in snapshot.events():
            tally.add_events(rows)
            told(len(rows))
        async for attached in snapshot.attachments():
            tally.add_attachments(attached)
    return tally.seen


async def copy(source: RawStore, target: RawStore, told: Callable[[int], None]) -> Copied:
    """Copy what the source holds when it begins, behind what the target holds of it already.

    The source may be written to meanwhile, the target may not. Where it is interrupted, the next
    copy goes on behind the last batch. Attachments are written last, all of them.

    Args:
        source: read once from its first event to its last.
        target: empty, or with an earlier copy of this source.
        told: called with the number of events in each batch that is in the target.

    Raises:
        StoreUnavailable: a store failed; or the target holds something else, or somebody else
            writes to it.
        StoreBusy: somebody else held the target for too long.
    """
    async with source.snapshot() as snapshot:
        reached = await snapshot.last_position()
        began_after, tally = await _beginning(snapshot, target)
        told(tally.seen.events)
        last = began_after
        async for rows in snapshot.events(after=began_after):
            await target.write_events(rows, after=last)
            last = rows[-1][0]
            tally.add_events(rows)
            told(len(rows))
        async for attached in snapshot.attachments():
            await target.write_attachments(attached)
            tally.add_attachments(attached)
    held = await fingerprint(target, lambda _events: None)
    return Copied(began_after=began_after, reached=reached, source=tally.seen, target=held)


async def _beginning(source: Snapshot, target: RawStore) -> tuple[int, _Tally]:
    """Where the target ends, and the tally of the source up to there.

    Raises:
        StoreUnavailable: the target holds something else.
    """
    theirs, ours = _Tally(), _Tally()
    async with target.snapshot() as there:
        end = await there.last_position()
        async for rows in there.events():
            theirs.add_events(rows)
    if end:
        async for rows in source.events(until=end):
            ours.add_events(rows)
    if ours.seen != theirs.seen:
        raise StoreUnavailable(target.shown, _NOT_A_BEGINNING)
    return end, ours
