"""Reading in pages: no store keeps a cursor open, and what is read is decoded as it is taken."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from itertools import takewhile

from dashtam_events.recorded import RecordedEvent
from dashtam_events.store._rows import LogQuery, Row, StreamQuery
from dashtam_events.store._store import RowStore

__all__ = ["PagedStore"]

# A short first page answers quickly whoever wants only a few events.
_FIRST_PAGE = 64
_PAGE = 512
# After so many events the loop has a turn, also where the reader never waits for anything.
_TURN = 64


class PagedStore(RowStore):
    """A store that is asked for some rows at a time."""

    @abstractmethod
    async def _page(self, query: StreamQuery | LogQuery, after: int, size: int) -> Sequence[Row]:
        """At most `size` rows behind a version of the stream, or a position of the log."""

    async def _read(self, query: StreamQuery | LogQuery) -> AsyncIterator[RecordedEvent]:
        stream = query.stream if isinstance(query, StreamQuery) else None
        after, left, size = query.after, query.limit, _FIRST_PAGE
        while left != 0:
            size = size if left is None else min(size, left)
            rows = await self._page(query, after, size)
            wanted = _until(query, rows)
            for start in range(0, len(wanted), _TURN):
                if start:
                    await asyncio.sleep(0)
                for recorded in self._scribe.read(wanted[start : start + _TURN], stream):
                    yield recorded
            if len(wanted) < size:
                return
            after = rows[-1][0] if stream is None else rows[-1][3]
            left = None if left is None else left - size
            size = _PAGE


def _until(query: StreamQuery | LogQuery, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows up to the instant that the query ends with."""
    until = query.until if isinstance(query, StreamQuery) else None
    return rows if until is None else list(takewhile(lambda row: row[7] <= until, rows))
