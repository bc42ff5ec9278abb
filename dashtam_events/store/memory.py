"""An event store in the memory of the process: for tests, trials and examples."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Self
from uuid import UUID

from dashtam_events._clock import now
from dashtam_events.codec import EventCodec
from dashtam_events.recorded import Position, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store._arrivals import Arrivals
from dashtam_events.store._rows import (
    Draft,
    LogQuery,
    Row,
    Scribe,
    Stored,
    StreamQuery,
    check_attachment_name,
    check_expected,
    ids_of,
    repeated,
)
from dashtam_events.store._store import RowStore
from dashtam_events.store.protocol import Attachment, check_event_id, check_stream

__all__ = ["InMemoryEventStore"]


class InMemoryEventStore(RowStore):
    """Keeps every promise of `EventStore` except one: nothing outlives the process.

    Events are kept encoded, so what comes back is what any other store would give back: without
    secrets, and only if it can be decoded. An append never suspends. `async with` is allowed and
    does nothing. Use it from one thread.

    Args:
        registry: the events that may be appended and read.
        codec: instead of the one made from the registry.
        clock: what `recorded_at` is taken from, once per append; aware.
    """

    def __init__(
        self,
        *,
        registry: EventRegistry,
        codec: EventCodec | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._scribe = Scribe(registry, codec, clock)
        self._log: list[Row] = []
        self._streams: dict[str, list[Row]] = {}
        self._by_id: dict[bytes, Row] = {}
        self._attachments: dict[tuple[str, str], Attachment] = {}
        self._arrivals = Arrivals()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        known = {key: self._by_id[key] for key in ids_of(drafts) if key in self._by_id}
        again = repeated(drafts, known)
        if again is not None:
            return again
        stored = Stored(rows=self._placed(drafts), repeated=False)
        for draft, added in zip(drafts, stored.rows, strict=True):
            self._keep(draft, added)
        self._arrivals.announce(len(self._log))
        return stored

    def _placed(self, drafts: tuple[Draft, ...]) -> tuple[list[Row], ...]:
        """Where the drafts will stand; raises before anything is kept."""
        instant, position = self._scribe.instant(), len(self._log)
        heads: dict[str, int] = {}
        placed: list[list[Row]] = []
        for draft in drafts:
            head = heads.get(draft.stream, len(self._streams.get(draft.stream, ())))
            check_expected(draft.append, head)
            placed.append(draft.rows(position, head, instant))
            position += len(draft.cells)
            heads[draft.stream] = head + len(draft.cells)
        return tuple(placed)

    def _keep(self, draft: Draft, rows: list[Row]) -> None:
        self._log += rows
        self._streams.setdefault(draft.stream, []).extend(rows)
        self._by_id.update((row[1], row) for row in rows)
        for name, data in draft.append.attachments.items():
            version = rows[-1][3]
            self._attachments[draft.stream, name] = Attachment(data=data, version=version)

    async def _page(self, query: StreamQuery | LogQuery, after: int, size: int) -> Sequence[Row]:
        if isinstance(query, StreamQuery):
            return list(islice(self._of_stream(query, after), size))
        return list(islice(self._of_log(query, after), size))

    def _of_stream(self, query: StreamQuery, after: int) -> Iterator[Row]:
        for row in _from(self._streams.get(query.stream, []), after):
            if query.until_version is not None and row[3] > query.until_version:
                return
            yield row

    def _of_log(self, query: LogQuery, after: int) -> Iterator[Row]:
        for row in _from(self._log, after):
            if query.names is not None and row[4] not in query.names:
                continue
            if query.subject is not None and row[6] != query.subject:
                continue
            yield row

    async def position_of(self, event_id: UUID) -> Position | None:
        """Where an event stands in the log; None where it is not stored."""
        check_event_id(event_id)
        row = self._by_id.get(event_id.bytes)
        return None if row is None else Position(row[0])

    async def last_position(self) -> Position | None:
        """The position of the last event of the log; None while it is empty."""
        return Position(len(self._log)) if self._log else None

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        """Wait until the log goes on after a position. See `EventStore.wait`."""
        future = self._arrivals.expect(after or 0)
        try:
            self._arrivals.announce(len(self._log))
            return await self._arrivals.wait(future, timeout)
        finally:
            self._arrivals.forget(future)

    async def read_attachment(self, stream: StreamId, name: str) -> Attachment | None:
        """The value kept beside a stream under a name; None where none ever was."""
        check_stream(stream)
        check_attachment_name(name)
        return self._attachments.get((str(stream), name))


def _from(rows: list[Row], index: int) -> Iterator[Row]:
    """The rows behind an index."""
    return map(rows.__getitem__, range(max(index, 0), len(rows)))
