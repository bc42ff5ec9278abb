"""An event store in one SQLite file."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from dashtam_events._clock import now
from dashtam_events.codec import EventCodec
from dashtam_events.errors import StoreClosed, StoreUnavailable
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store._rows import (
    Draft,
    LogQuery,
    Scribe,
    Stored,
    StreamQuery,
    check_attachment_name,
)
from dashtam_events.store._store import RowStore
from dashtam_events.store.protocol import Attachment, check_event_id, check_stream
from dashtam_events.store.sqlite import _reading
from dashtam_events.store.sqlite._file import DatabaseFile, Synchronous
from dashtam_events.store.sqlite._session import Session

__all__ = ["SQLiteEventStore"]

# A short first page answers quickly whoever wants only a few events.
_FIRST_PAGE = 64
_PAGE = 512


class SQLiteEventStore(RowStore):
    """Keeps every promise of `EventStore` in one file, for any number of processes.

    Use it inside `async with`, in one event loop. The file and its tables are made when it is
    opened; leaving it writes what was accepted. Appends that wait at the same time share a
    commit. A cancelled append is not written if its turn had not come, and written whole if it
    had. Iterators hold nothing open, however long they rest.

    Args:
        path: the file; its directory must exist.
        registry: the events that may be appended and read.
        codec: instead of the one made from the registry.
        clock: what `recorded_at` is taken from, once per append; aware. It is called in the
            thread that writes.
        synchronous: `FULL`: what was appended survives a loss of power. `NORMAL` is faster; a
            loss of power may then take the latest appends, but never a part of one.
        busy_timeout: how many seconds to wait for another process that writes.
        read_only: only look at the file: never make or change it, nor append to it.

    Raises:
        StoreUnavailable: on opening, where the file cannot serve; the sentence says why.
        StoreBusy: on opening and appending, where another process held the file too long.
        StoreClosed: on use outside of `async with`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        registry: EventRegistry,
        codec: EventCodec | None = None,
        clock: Callable[[], datetime] = now,
        synchronous: Synchronous = "FULL",
        busy_timeout: float = 5.0,
        read_only: bool = False,
    ) -> None:
        if synchronous not in ("FULL", "NORMAL"):
            raise ValueError("synchronous is FULL or NORMAL")
        if os.fspath(path) == ":memory:":
            raise ValueError("a SQLite store is a file: use InMemoryEventStore to keep none")
        self._scribe = Scribe(registry, codec, clock)
        self._file = DatabaseFile(
            shown=os.fspath(path),
            path=Path(path).absolute(),
            synchronous=synchronous,
            busy_timeout=busy_timeout,
        )
        self._read_only = read_only
        self._opened: Session | None = None

    def __repr__(self) -> str:
        return f"SQLiteEventStore({self._file.shown!r})"

    async def __aenter__(self) -> Self:
        if self._opened is not None:
            raise StoreUnavailable(self._file.shown, "this store is open already")
        self._opened = session = Session(self._file, self._scribe, read_only=self._read_only)
        try:
            await session.open()
        except BaseException:
            self._opened = None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session, self._opened = self._opened, None
        if session is not None:
            await session.close()

    @property
    def _session(self) -> Session:
        session = self._opened
        if session is None:
            raise StoreClosed(self._file.shown)
        if asyncio.get_running_loop() is not session.loop:
            raise RuntimeError(f"{self._file.shown}: belongs to the event loop that opened it")
        return session

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        return await self._session.submit(drafts)

    async def _read(self, query: StreamQuery | LogQuery) -> AsyncIterator[RecordedEvent]:
        after: int | None = query.after
        left, size = query.limit, _FIRST_PAGE
        while after is not None and left != 0:
            size = size if left is None else min(size, left)
            page = await self._session.ask(_reading.page, self._scribe, query, after, size)
            for recorded in page.events:
                yield recorded
            if page.error is not None:
                raise page.error
            left = None if left is None else left - len(page.events)
            after, size = page.after, _PAGE

    async def position_of(self, event_id: UUID) -> Position | None:
        """Where an event stands in the log; None where it is not stored."""
        check_event_id(event_id)
        position = await self._session.ask(_reading.position_of, event_id.bytes)
        return None if position is None else Position(position)

    async def last_position(self) -> Position | None:
        """The position of the last event of the log; None while it is empty."""
        position = await self._session.ask(_reading.last_position)
        return Position(position) if position else None

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        """Wait until the log goes on after a position. See `EventStore.wait`.

        An append of this process wakes at once; one of another process within about 50 ms.
        """
        return await self._session.wait(after or 0, timeout)

    async def read_attachment(self, stream: StreamId, name: str) -> Attachment | None:
        """The value kept beside a stream under a name; None where none ever was."""
        check_stream(stream)
        check_attachment_name(name)
        return await self._session.ask(_reading.attachment, str(stream), name)
