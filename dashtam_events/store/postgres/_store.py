"""An event store in a PostgreSQL database."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from dashtam_events._clock import now
from dashtam_events.codec import EventCodec
from dashtam_events.errors import StoreClosed, StoreUnavailable
from dashtam_events.recorded import Position, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store._rows import (
    Draft,
    LogQuery,
    Row,
    Scribe,
    Stored,
    StreamQuery,
)
from dashtam_events.store._store import RowStore
from dashtam_events.store.postgres._home import Home
from dashtam_events.store.postgres._reading import Reader
from dashtam_events.store.postgres._schema import check_schema
from dashtam_events.store.postgres._server import TLS, Server
from dashtam_events.store.postgres._session import Session
from dashtam_events.store.postgres._within import Transaction, TransactionStore, borrowed
from dashtam_events.store.protocol import Attachment

__all__ = ["PostgresEventStore"]


class PostgresEventStore(RowStore):
    """Keeps every promise of `EventStore` in one database, for any number of processes.

    Use it inside `async with`, in one event loop. Appends take effect one after the other, in
    the order of their positions: an append locks the log until its commit, and what waits in one
    process goes to the server together, in one transaction and one round trip. A cancelled append
    is not written if its turn had not come, and written whole if it had. Where the connection is
    lost over an append or a question, it is made again; an append is still stored once.
    Iterators hold no connection between two pages. `recorded_at` is the server's time, and never
    runs backwards in the log, unless a `clock` was given: then it is what that says.

    Args:
        dsn: the address, `postgresql://user:password@host:port/database?sslmode=verify-full`;
            whatever it leaves out comes from libpq's environment variables.
        registry: the events that may be appended and read.
        codec: instead of the one made from the registry.
        clock: what `recorded_at` is taken from instead, once per append; aware.
        schema: the namespace of the tables, in small letters.
        migrate: bring the schema to the version of this release when the store is opened. Else a
            schema of another version is refused.
        pool_size: how many connections to read over at the most. There is one more for writing,
            and one for listening.
        busy_timeout: how many seconds an append waits for others who write.
        command_timeout: after how many seconds without an answer a statement is given up.
        connect_timeout: the same for a connection.
        poll_interval: how many seconds apart to look for new events, while somebody waits and no
            notification comes.
        ssl: a context, or a mode of libpq such as "verify-full"; what the address says otherwise.
        transaction_pooler: the address leads to a pooler that gives out connections for single
            transactions. Statements then take more round trips, and nothing is listened to.
        listen_dsn: an address to listen at that leads to the server itself.

    Raises:
        StoreUnavailable: on opening, where the server or the schema cannot serve; and whenever
            the server fails or does not answer.
        StoreBusy: where others held the log for longer than `busy_timeout`.
        StoreClosed: on use outside of `async with`.
        ValueError: an address, a name or a number is none.
    """

    def __init__(
        self,
        dsn: str,
        *,
        registry: EventRegistry,
        codec: EventCodec | None = None,
        clock: Callable[[], datetime] | None = None,
        schema: str = "events",
        migrate: bool = True,
        pool_size: int = 4,
        busy_timeout: float = 5.0,
        command_timeout: float = 30.0,
        connect_timeout: float = 10.0,
        poll_interval: float = 1.0,
        ssl: TLS = None,
        transaction_pooler: bool = False,
        listen_dsn: str | None = None,
    ) -> None:
        check_schema(schema)
        if pool_size < 1 or poll_interval <= 0 or not 0 < busy_timeout < command_timeout:
            raise ValueError("sizes and times are above 0, and command_timeout over busy_timeout")
        options: dict[str, Any] = {
            "schema": schema,
            "tls": ssl,
            "connect_timeout": connect_timeout,
            "command_timeout": command_timeout,
            "busy_timeout": busy_timeout,
        }
        self._server = Server(dsn=dsn, pooler=transaction_pooler, **options)
        self._listen_at: Server | None = None
        if listen_dsn is not None or not transaction_pooler:
            self._listen_at = Server(dsn=listen_dsn or dsn, **options)
        self._scribe, self._clocked = Scribe(registry, codec, clock or now), clock is not None
        self._migrate, self._pool_size, self._poll = migrate, pool_size, poll_interval
        self._reader = Reader(self._fetch, schema)
        self._home = Home(self._server, self._fetch)
        self._opened: Session | None = None

    def __repr__(self) -> str:
        return f"PostgresEventStore({self._server.shown!r})"

    async def __aenter__(self) -> Self:
        if self._opened is not None:
            raise StoreUnavailable(self._server.shown, "this store is open already")
        self._opened = session = Session(
            self._server,
            self._listen_at,
            self._scribe,
            clocked=self._clocked,
            readers=self._pool_size,
            poll_interval=self._poll,
        )
        try:
            await session.open(migrate=self._migrate, learn=self._home.learn)
        except BaseException:
            self._opened = None
            self._home.forget()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session, self._opened = self._opened, None
        self._home.forget()
        if session is not None:
            await session.close()

    @property
    def _session(self) -> Session:
        session = self._opened
        if session is None:
            raise StoreClosed(self._server.shown)
        if asyncio.get_running_loop() is not session.loop:
            raise RuntimeError(f"{self._server.shown}: belongs to the event loop that opened it")
        return session

    async def _fetch(self, sql: str, *values: Any) -> Sequence[Any]:
        return await self._session.fetch(sql, *values)

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        return await self._session.submit(drafts)

    async def _page(self, query: StreamQuery | LogQuery, after: int, size: int) -> Sequence[Row]:
        return await self._reader.page(query, after, size)

    def within(self, transaction: Transaction) -> TransactionStore:
        """The store inside a transaction of yours: what it appends stands or falls with it.

        It is an `EventStore` that appends and reads over your connection, and sees what was
        appended there before. From its first append to the end of your transaction every other
        append waits, in every process: append last, and commit soon. Those who wait hear of it
        when you commit. A conflict leaves your transaction as it was; after `StoreBusy` and
        `StoreUnavailable` it can only be rolled back, and nothing is tried twice.

        Args:
            transaction: a connection of asyncpg, or a session or connection of SQLAlchemy on
                asyncpg, to the same database, with isolation READ COMMITTED (the default).

        Raises:
            TypeError: it is none of them.
            StoreUnavailable: when it is used, where it is outside of a transaction, in AUTOCOMMIT,
                of another isolation or another database; trying again will not help.
            StoreClosed: when it is used on a connection new to the store, which is not open.
        """
        fetch = borrowed(transaction, self._home)
        return TransactionStore(self, fetch, self._server, self._scribe, clocked=self._clocked)

    async def position_of(self, event_id: UUID) -> Position | None:
        """Where an event stands in the log; None where it is not stored."""
        return await self._reader.position_of(event_id)

    async def last_position(self) -> Position | None:
        """The position of the last event of the log; None while it is empty."""
        position = await self._reader.last_position()
        return Position(position) if position else None

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        """Wait until the log goes on after a position. See `EventStore.wait`.

        An append of this process wakes at once, one of another when the server tells of it;
        without that, within `poll_interval` seconds.
        """
        return await self._session.wait(after or 0, timeout)

    async def read_attachment(self, stream: StreamId, name: str) -> Attachment | None:
        """The value kept beside a stream under a name; None where none ever was."""
        return await self._reader.attachment(stream, name)
