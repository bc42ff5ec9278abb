"""The store as seen from inside a transaction of the caller's. It needs the extra `sqlalchemy`."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from dashtam_events._alone import raise_alone
from dashtam_events._uncut import to_its_end
from dashtam_events.errors import MissingExtra, SavepointsNotReal, StoreError, StoreUnavailable
from dashtam_events.recorded import Position
from dashtam_events.store._rows import Draft, Scribe, Stored
from dashtam_events.store.protocol import EventStore
from dashtam_events.store.sqlite._asking import AskingStore
from dashtam_events.store.sqlite._connection import Answer, Connection
from dashtam_events.store.sqlite._failures import meaning
from dashtam_events.store.sqlite._file import DatabaseFile
from dashtam_events.store.sqlite._writing import Pen

try:
    import sqlalchemy
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
except ImportError as _absent:
    raise MissingExtra("sqlalchemy") from _absent

__all__ = ["Transaction", "TransactionStore"]

Transaction: TypeAlias = AsyncConnection | AsyncSession | async_scoped_session[AsyncSession]
"""What a transaction may be given as."""

# Changes nothing, and takes the lock for writing.
_LOCK = "UPDATE events SET position = position WHERE 0"
_P = ParamSpec("_P")
_T = TypeVar("_T")


class TransactionStore(AskingStore):
    """An `EventStore` that reads and appends on a connection of the caller's; see `within`."""

    def __init__(
        self, store: EventStore, transaction: Transaction, file: DatabaseFile, scribe: Scribe
    ) -> None:
        given = transaction() if isinstance(transaction, async_scoped_session) else transaction
        if not isinstance(given, AsyncConnection | AsyncSession):
            raise TypeError("give an asynchronous session or connection of SQLAlchemy")
        self._whole, self._given, self._file, self._scribe = store, given, file, scribe
        # Savepoints of two appends at once would end each other.
        self._turn = asyncio.Lock()

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        return await self._ask(self._append, drafts)

    async def _ask(
        self,
        question: Callable[Concatenate[Connection, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        def asked(connection: sqlalchemy.Connection) -> _T:
            statements = _Statements(connection)
            self._check(statements)
            return question(statements, *args, **kwargs)

        async with self._turn:
            return await to_its_end(self._on_connection(asked))

    async def _on_connection(self, work: Callable[[sqlalchemy.Connection], _T]) -> _T:
        with self._translated():
            given = self._given
            connection = await given.connection() if isinstance(given, AsyncSession) else given
            return await connection.run_sync(work)

    @contextmanager
    def _translated(self) -> Generator[None]:
        """Errors of SQLite and of SQLAlchemy become errors of ours."""
        started = time.monotonic()
        try:
            yield
        except (sqlite3.Error, SQLAlchemyError) as error:
            # SQLAlchemy quotes the values of a statement.
            raise_alone(self._meaning(error, time.monotonic() - started))

    def _meaning(self, error: sqlite3.Error | SQLAlchemyError, waited: float) -> StoreError:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, sqlite3.Error):
            return meaning(cause, self._file.shown, waited)
        reason = f"the transaction around it cannot be used ({type(error).__name__})"
        return StoreUnavailable(self._file.shown, f"{reason}: roll it back")

    def _append(self, connection: Connection, drafts: tuple[Draft, ...]) -> Stored:
        connection.execute(_LOCK)
        pen = Pen(connection, self._scribe, self._file.shown, self._file.busy_timeout)
        pen.find_end()
        outcome = pen.append(drafts)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def _check(self, statements: "_Statements") -> None:
        """Refuse another database, and a connection on which a savepoint would commit."""
        if not self._file.is_at(statements.place()):
            reason = "the transaction given to within() is one of another database"
            raise StoreUnavailable(self._file.shown, reason)
        # It has begun by now, unless the engine never says BEGIN.
        if not statements.in_transaction():
            raise SavepointsNotReal("sqlite")

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        """Wait for what is committed, as the whole store does."""
        return await self._whole.wait(after=after, timeout=timeout)


class _Statements:
    """A connection of SQLAlchemy that is asked as one of sqlite3 is."""

    def __init__(self, connection: sqlalchemy.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Answer:
        return self._send(sql, tuple(values))

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> object:
        return self._send(sql, [tuple(each) for each in values])

    def _send(self, sql: str, values: Any) -> Answer:
        try:
            return self._connection.exec_driver_sql(sql, values)
        except DBAPIError as error:
            if not isinstance(error.orig, sqlite3.Error):
                raise
            cause = error.orig
        # Not from within: SQLAlchemy's error, which quotes the values, would be its context.
        raise cause

    def place(self) -> str | None:
        """The file that is written to; empty for one in memory, None for no SQLite at all."""
        if self._connection.dialect.name != "sqlite":
            return None
        databases = self.execute("PRAGMA database_list").fetchall()
        return next((str(file) for _, name, file in databases if name == "main"), None)

    def in_transaction(self) -> bool:
        driver: Any = self._connection.connection.driver_connection
        return bool(driver.in_transaction)
