"""What the stores of one machine have in common: the arguments of the protocol, and encoding."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from time import perf_counter
from uuid import UUID

from dashtam_events._frozen import EMPTY
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.store._rows import (
    NO_METADATA,
    Draft,
    LogQuery,
    Row,
    Scribe,
    Stored,
    StreamQuery,
)
from dashtam_events.store.protocol import ANY, Append, AppendResult, Expected, MetadataLike

__all__ = ["RowStore"]

# A short first page answers quickly whoever wants only a few events.
_FIRST_PAGE = 64
_PAGE = 512
_TURN = 0.001
"""After so many seconds of decoding others have their turn, be the reader's as it may."""


class RowStore(ABC):
    """A store that keeps rows; an engine says how they are stored and how they are read."""

    _scribe: Scribe

    @abstractmethod
    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        """Store all of the drafts or none."""

    @abstractmethod
    async def _page(self, query: StreamQuery | LogQuery, after: int, size: int) -> Sequence[Row]:
        """At most `size` rows behind a version of the stream, or a position of the log."""

    async def _read(self, query: StreamQuery | LogQuery) -> AsyncIterator[RecordedEvent]:
        stream = query.stream if isinstance(query, StreamQuery) else None
        after, left, size = query.after, query.limit, _FIRST_PAGE
        while left != 0:
            size = size if left is None else min(size, left)
            rows = await self._page(query, after, size)
            wanted, begun = _until(query, rows), perf_counter()
            for recorded in self._scribe.read(wanted, stream):
                yield recorded
                if perf_counter() - begun > _TURN:
                    await asyncio.sleep(0)
                    begun = perf_counter()
            if len(wanted) < size:
                return
            after = rows[-1][0] if stream is None else rows[-1][3]
            left = None if left is None else left - size
            size = _PAGE

    async def append(
        self,
        stream: StreamId,
        events: Iterable[DomainEvent],
        *,
        expected: int | Expected = ANY,
        metadata: MetadataLike = None,
        attachments: Mapping[str, bytes | None] = EMPTY,
    ) -> AppendResult:
        """Append events to one stream: all of them, or none. See `EventStore.append`."""
        append = Append(
            stream=stream,
            events=events,
            expected=expected,
            metadata=NO_METADATA if metadata is None else metadata,
            attachments=attachments,
        )
        (result,) = await self.append_many((append,))
        return result

    async def append_many(self, appends: Iterable[Append]) -> tuple[AppendResult, ...]:
        """Append to several streams at once: all of it, or nothing.

        Appends to the same stream see each other, in their order. See `EventStore.append_many`.
        """
        drafts = self._scribe.drafts(appends)
        if not drafts:
            return ()
        return self._scribe.results(drafts, await self._store(drafts))

    def read_stream(
        self,
        stream: StreamId,
        *,
        after: int = 0,
        until_version: int | None = None,
        until_time: datetime | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """The events of a stream after a version, in order. See `EventStore.read_stream`."""
        return self._read(self._scribe.stream_query(stream, after, until_version, until_time))

    def read_all(
        self,
        *,
        after: Position | None = None,
        limit: int | None = None,
        types: Collection[type[DomainEvent] | str] | None = None,
        categories: Collection[str] | None = None,
        subject: UUID | str | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """The log after a position, in commit order. See `EventStore.read_all`."""
        return self._read(self._scribe.log_query(after, limit, types, categories, subject))


def _until(query: StreamQuery | LogQuery, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows up to the instant that the query ends with."""
    until = query.until if isinstance(query, StreamQuery) else None
    return rows if until is None else list(takewhile(lambda row: row[7] <= until, rows))
