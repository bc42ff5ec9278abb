"""The store as seen from inside a transaction of the caller's."""

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from uuid import UUID

import asyncpg

from dashtam_events.errors import StoreUnavailable
from dashtam_events.recorded import Position, StreamId
from dashtam_events.store._rows import (
    Draft,
    LogQuery,
    Row,
    Scribe,
    Stored,
    StreamQuery,
)
from dashtam_events.store._store import RowStore
from dashtam_events.store.postgres._batch import Job, Pen
from dashtam_events.store.postgres._failures import FOREIGN
from dashtam_events.store.postgres._home import Home
from dashtam_events.store.postgres._reading import Reader
from dashtam_events.store.postgres._server import Fetch, Server
from dashtam_events.store.protocol import Attachment, EventStore

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

    Session: TypeAlias = AsyncSession | async_scoped_session[AsyncSession]

__all__ = ["Transaction", "TransactionStore", "borrowed"]

_NO_TRANSACTION = (
    "the connection given to within() is in no transaction, and each append would be committed by "
    "itself: begin one, trying again will not help"
)
_AUTOCOMMIT = (
    "the transaction given to within() is of isolation AUTOCOMMIT, and each append would be "
    "committed by itself: use READ COMMITTED, trying again will not help"
)
_OTHER_DRIVER = (
    "the transaction given to within() is one of another database, or of another driver than "
    "asyncpg: trying again will not help"
)


class DriverConnection(Protocol):
    """A connection of asyncpg, which has no types of its own."""

    def is_in_transaction(self) -> bool: ...

    def is_closed(self) -> bool: ...

    def fetch(self, query: str, /, *args: Any) -> Awaitable[Sequence[Any]]: ...


class LentConnection(Protocol):
    """A connection that a pool of asyncpg lends out: to a checker of types it has only this."""

    def __getattr__(self, name: str, /) -> Any: ...


Transaction: TypeAlias = "AsyncConnection | Session | DriverConnection | LentConnection"
"""What a transaction may be given as."""


class TransactionStore(RowStore):
    """An `EventStore` that reads and appends on a connection of the caller's; see `within`."""

    def __init__(
        self, store: EventStore, fetch: Fetch, server: Server, scribe: Scribe, *, clocked: bool
    ) -> None:
        self._whole, self._scribe, self._clocked = store, scribe, clocked
        self._reader = Reader(fetch, server.schema)
        # A broken constraint would break the caller's transaction.
        self._pen = Pen(fetch, self._reader, server.schema, server.busy_timeout, careful=True)

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        instant = self._scribe.instant() if self._clocked else None
        (outcome,) = await self._pen.write([Job(drafts, instant)])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def _page(self, query: StreamQuery | LogQuery, after: int, size: int) -> Sequence[Row]:
        return await self._reader.page(query, after, size)

    async def position_of(self, event_id: UUID) -> Position | None:
        """Where an event stands in the log; None where it is not stored."""
        return await self._reader.position_of(event_id)

    async def last_position(self) -> Position | None:
        """The position of the last event of the log; None while it is empty."""
        position = await self._reader.last_position()
        return Position(position) if position else None

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        """Wait for what is committed, as the whole store does."""
        return await self._whole.wait(after=after, timeout=timeout)

    async def read_attachment(self, stream: StreamId, name: str) -> Attachment | None:
        """The value kept beside a stream under a name; None where none ever was."""
        return await self._reader.attachment(stream, name)


def borrowed(given: Any, home: Home) -> Fetch:
    """A way to ask over a connection of asyncpg, or a session or connection of SQLAlchemy.

    Raises:
        TypeError: it is none of them.
    """
    if isinstance(given, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        return _of_driver(given, home)
    try:
        from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    except ImportError:
        pass
    else:
        session = given() if isinstance(given, async_scoped_session) else given
        if isinstance(session, AsyncConnection | AsyncSession):
            return _of_sqlalchemy(session, home)
    raise TypeError("give a connection of asyncpg, or an asynchronous session of SQLAlchemy")


def _of_driver(connection: Any, home: Home) -> Fetch:
    async def fetch(sql: str, *values: Any) -> Sequence[Any]:
        try:
            if not (connection.is_in_transaction() or connection.is_closed()):
                raise StoreUnavailable(home.server.shown, _NO_TRANSACTION)
            await home.check(connection, connection.fetch)
            found: Sequence[Any] = await connection.fetch(sql, *values)
        except FOREIGN as error:
            failure = home.server.meaning(error)
        else:
            return found
        raise failure

    return fetch


def _of_sqlalchemy(given: "AsyncConnection | AsyncSession", home: Home) -> Fetch:
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError
    from sqlalchemy.ext.asyncio import AsyncSession

    async def fetch(sql: str, *values: Any) -> Sequence[Any]:
        # What the session has yet to write comes before the lock, which others wait for.
        if isinstance(given, AsyncSession):
            await given.flush()
        try:
            connection = await given.connection() if isinstance(given, AsyncSession) else given
            await _check(connection, home)
            return (await connection.exec_driver_sql(sql, values)).all()
        except DBAPIError as error:
            cause = error.orig and error.orig.__cause__
            failure = home.server.meaning(cause or error)
        except (SQLAlchemyError, *FOREIGN) as error:
            failure = home.server.meaning(error)
        raise failure

    return fetch


async def _check(connection: "AsyncConnection", home: Home) -> None:
    """Refuse a connection on which an append cannot stand or fall with anything else."""
    if (connection.dialect.name, connection.dialect.driver) != ("postgresql", "asyncpg"):
        raise StoreUnavailable(home.server.shown, _OTHER_DRIVER)
    # Asks nobody: SQLAlchemy knows it, also where the whole engine was made so.
    raw = await connection.get_raw_connection()
    if getattr(raw.dbapi_connection, "autocommit", False):
        raise StoreUnavailable(home.server.shown, _AUTOCOMMIT)

    async def ask(sql: str) -> Sequence[Any]:
        return (await connection.exec_driver_sql(sql)).all()

    await home.check(raw.driver_connection, ask)
