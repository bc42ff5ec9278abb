"""An event store in one SQLite file."""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from dashtam_events._clock import now
from dashtam_events.codec import EventCodec
from dashtam_events.errors import StoreClosed, StoreUnavailable
from dashtam_events.recorded import Position
from dashtam_events.registry import EventRegistry
from dashtam_events.store._rows import Draft, Scribe, Stored
from dashtam_events.store.sqlite._asking import AskingStore
from dashtam_events.store.sqlite._connection import Connection
from dashtam_events.store.sqlite._file import DatabaseFile, Synchronous
from dashtam_events.store.sqlite._session import Session

if TYPE_CHECKING:
    from dashtam_events.store.sqlite._within import Transaction, TransactionStore

__all__ = ["SQLiteEventStore"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class SQLiteEventStore(AskingStore):
    """Keeps every promise of `EventStore` in one file, for any number of processes.

    Use it inside `async with`, in one event loop. The file and its tables are made when it is
    opened, beside tables of yours if there are any; leaving it writes what was accepted. Appends
    that wait at the same time share a commit. A cancelled append is not written if its turn had
    not come, and written whole if it had. Iterators hold nothing open, however long they rest.

    Args:
        path: the file; its directory must exist.
        registry: the events that may be appended and read.
        codec: instead of the one made from the registry.
        clock: what `recorded_at` is taken from, once per append; aware. It is called in the
            thread that writes; within a transaction of yours in that of the event loop.
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

    def within(self, transaction: "Transaction") -> "TransactionStore":
        """The store inside a transaction of yours: what it appends stands or falls with it.

        It is an `EventStore` that appends and reads over your connection, and sees what was
        appended there before. Until your transaction ends, every other append waits, in every
        process, and so would one of yours through the store itself: commit soon. Those who wait
        hear of it within about 50 ms of your commit. A conflict leaves your transaction as it
        was; after `StoreBusy` and `StoreUnavailable` roll it back. A cancelled append ends
        first, and is then part of the transaction, or not. It needs the extra `sqlalchemy`.

        Args:
            transaction: an asynchronous session or connection of SQLAlchemy on the file of this
                store, of an engine made with `real_savepoints`. Open the store before other
                tables are made in that file.

        Raises:
            TypeError: it is neither.
            StoreUnavailable: the store only reads; or, when it is used: it is on another database.
            SavepointsNotReal: when it is used: the engine was made without `real_savepoints`.
            StoreClosed: the store is not open.
        """
        # Most users of a file need no SQLAlchemy.
        from dashtam_events.store.sqlite._within import TransactionStore

        self._session.check_writable()
        return TransactionStore(self, transaction, self._file, self._scribe)

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        return await self._session.submit(drafts)

    async def _ask(
        self,
        question: Callable[Concatenate[Connection, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        return await self._session.ask(question, *args, **kwargs)

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        """Wait until the log goes on after a position. See `EventStore.wait`.

        An append of this process wakes at once; one of another process, or within a transaction
        of yours, within about 50 ms.
        """
        return await self._session.wait(after or 0, timeout)
