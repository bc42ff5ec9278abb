"""Projections that are written in the transaction of the append itself."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from dashtam_events._alone import raise_alone
from dashtam_events._frozen import EMPTY
from dashtam_events._uncut import at_first_uncut
from dashtam_events.bus.session import refused_as_dbapi
from dashtam_events.errors import StoreUnavailable
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.store.protocol import (
    ANY,
    Append,
    AppendResult,
    Attachment,
    EventStore,
    Expected,
    MetadataLike,
)
from dashtam_events.subscriptions.checkpoint import Checkpoint
from dashtam_events.subscriptions.sql._catching_up import begun, write_batch
from dashtam_events.subscriptions.sql.checkpoints import SQLCheckpointStore
from dashtam_events.subscriptions.sql.projection import Projection
from dashtam_events.subscriptions.sql.schema import (
    SUBSCRIPTION_METADATA,
    create_missing,
    name_of,
    transaction,
    unavailable,
    whole,
)

__all__ = ["InlineProjections", "JoinableStore"]

_T = TypeVar("_T")


class JoinableStore(EventStore, Protocol):
    """A store that can join a transaction: `PostgresEventStore` and `SQLiteEventStore` can."""

    def within(self, transaction: Any, /) -> EventStore:
        """The store inside a transaction of SQLAlchemy."""
        ...


class InlineProjections:
    """An `EventStore` that writes projections in the transaction of each append.

    Who reads a projection after an append finds it there. Whatever a projection has yet to see is
    written with the append, in commit order: its own events, and any that were appended past
    this. The checkpoint is moved in the same transaction, so that neither another of these nor a
    `Projector` of that name writes an event again. Where a projection fails, nothing is
    appended; nothing is set aside. Where an append is cancelled before its commit, all of it is
    undone; the transaction of a caller is to be rolled back then.

    Call `catch_up` once, when the service starts. Everything but appending is as the store does
    it.

    Args:
        store: keeps its events in the database of the projections.
        source: an engine on that database; each append is then a transaction of its own. Or a
            session or a connection: each append is then a savepoint of its transaction, which
            the caller ends. For SQLite the engine is made with `real_savepoints`.
        projections: in the order in which they are written.

    Raises:
        ValueError: two projections have one name, or one has an `after_commit`, which nobody
            would call.
    """

    def __init__(
        self,
        store: JoinableStore,
        source: AsyncEngine | AsyncConnection | AsyncSession,
        projections: Iterable[Projection],
    ) -> None:
        self._projections = tuple(projections)
        _check(self._projections)
        self._store, self._source = store, source
        self._seen: EventStore = store if isinstance(source, AsyncEngine) else store.within(source)
        # The log takes one append at a time; who waits here holds no connection meanwhile.
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        names = ", ".join(projection.name for projection in self._projections)
        return f"InlineProjections({self._store!r}, {names})"

    @whole
    async def catch_up(self) -> None:
        """Make the tables that are missing, and write what the store holds into them.

        It does so in transactions of some hundred events. On PostgreSQL others append meanwhile.

        Raises:
            ProjectionFailed: an event cannot be written.
            ProjectionOutdated: the tables are those of another version.
            PartitionMismatch: a consumer group writes it.
            CheckpointUnavailable: the database failed.
            StoreUnavailable: it is not the database of the store.
        """
        for projection in self._projections:
            async with unavailable(projection.name):
                await self._make(projection)
                is_last = False
                while not is_last:
                    async with self._begun() as connection:
                        inside = self._store.within(connection)
                        is_last = await write_batch(connection, projection, inside)

    async def _make(self, projection: Projection) -> None:
        async with self._begun() as connection:
            # Refuses a database that is not the store's before anything is made in it.
            await self._store.within(connection).last_position()
            await create_missing(projection.name, connection, SUBSCRIPTION_METADATA)
            first = Checkpoint(subscription=projection.name, version=projection.version)
            await SQLCheckpointStore(connection).begin(first)
            await begun(connection, projection)
            await create_missing(projection.name, connection, projection.metadata)

    @asynccontextmanager
    async def _begun(self) -> AsyncGenerator[AsyncConnection, None]:
        source = self._source
        given = await source.connection() if isinstance(source, AsyncSession) else source
        async with transaction(given) as connection:
            yield connection

    async def append(
        self,
        stream: StreamId,
        events: Iterable[DomainEvent],
        *,
        expected: int | Expected = ANY,
        metadata: MetadataLike = None,
        attachments: Mapping[str, bytes | None] = EMPTY,
    ) -> AppendResult:
        """Append events to one stream, and write the projections. See `EventStore.append`.

        Raises:
            ProjectionFailed: an event cannot be written into a projection; nothing was appended.
            SubscriptionTablesMissing: `catch_up` was not called; nothing was appended.
            ProjectionOutdated: the tables are those of another version; nothing was appended.
            CheckpointError: how far a projection is could not be kept; nothing was appended.
        """
        return await self._write(
            lambda store: store.append(
                stream, events, expected=expected, metadata=metadata, attachments=attachments
            )
        )

    async def append_many(self, appends: Iterable[Append]) -> tuple[AppendResult, ...]:
        """Append to several streams at once, and write the projections.

        Raises what `append` raises. See `EventStore.append_many`.
        """
        return await self._write(lambda store: store.append_many(appends))

    async def _write(self, append: Callable[[EventStore], Awaitable[_T]]) -> _T:
        if not isinstance(self._source, AsyncEngine):
            return await self._join(append)
        async with self._turn:
            return await self._commit(self._source, append)

    @whole
    async def _commit(
        self, engine: AsyncEngine, append: Callable[[EventStore], Awaitable[_T]]
    ) -> _T:
        with _translated(self._store):
            # What is appended begins the transaction: where it cannot, the store says why.
            async with engine.connect() as connection:
                try:
                    result = await self._write_on(connection, append)
                except BaseException:
                    # Closing rolls back too, but cannot be cut.
                    with suppress(SQLAlchemyError):
                        await connection.rollback()
                    raise
                await at_first_uncut(connection.commit())
                return result

    @whole
    async def _join(self, append: Callable[[EventStore], Awaitable[_T]]) -> _T:
        # Where the transaction cannot begin, it is the store who says why.
        await self._seen.last_position()
        with _translated(self._store):
            async with self._begun() as connection:
                return await self._write_on(connection, append)

    async def _write_on(
        self, connection: AsyncConnection, append: Callable[[EventStore], Awaitable[_T]]
    ) -> _T:
        inside = self._store.within(connection)
        result = await append(inside)
        for projection in self._projections:
            while not await write_batch(connection, projection, inside):
                pass
        return result

    def read_stream(
        self,
        stream: StreamId,
        *,
        after: int = 0,
        until_version: int | None = None,
        until_time: datetime | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """The events of a stream after a version, in order. See `EventStore.read_stream`."""
        return self._seen.read_stream(
            stream, after=after, until_version=until_version, until_time=until_time
        )

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
        return self._seen.read_all(
            after=after, limit=limit, types=types, categories=categories, subject=subject
        )

    async def position_of(self, event_id: UUID) -> Position | None:
        """Where an event stands in the log; None where it is not stored."""
        return await self._seen.position_of(event_id)

    async def last_position(self) -> Position | None:
        """The position of the last event of the log; None while it is empty."""
        return await self._seen.last_position()

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        """Wait until the log goes on after a position. See `EventStore.wait`."""
        return await self._seen.wait(after=after, timeout=timeout)

    async def read_attachment(self, stream: StreamId, name: str) -> Attachment | None:
        """The value kept beside a stream under a name; None where none ever was."""
        return await self._seen.read_attachment(stream, name)


def _check(projections: tuple[Projection, ...]) -> None:
    names = [projection.name for projection in projections]
    if len(set(names)) < len(names):
        raise ValueError("each projection has a name of its own")
    for projection in projections:
        if type(projection).after_commit is not Projection.after_commit:
            reason = "after_commit would not be called: act on the world in a Subscription"
            raise ValueError(f"{projection.name}: {reason}")


@contextmanager
def _translated(store: EventStore) -> Generator[None]:
    """Turn what the database raises into an error of the store; its text may hold values."""
    try:
        with refused_as_dbapi():
            yield
    except (SQLAlchemyError, OSError) as error:
        reason = f"the transaction around the append failed ({name_of(error)})"
        raise_alone(StoreUnavailable(repr(store), reason))
