"""Checkpoints and parked events in a database."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import attrs
from sqlalchemy import ColumnElement, Row, and_, delete, exists, insert, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from dashtam_events.bus.session import real_savepoints
from dashtam_events.recorded import Position, StreamId
from dashtam_events.store._address import check_address
from dashtam_events.subscriptions.checkpoint import Checkpoint, ParkedEvent, ParkedState, Renewal
from dashtam_events.subscriptions.errors import CheckpointConflict, CheckpointUnavailable
from dashtam_events.subscriptions.sql import _leases
from dashtam_events.subscriptions.sql.schema import (
    Source,
    checkpoints,
    parked_events,
    transaction,
    unavailable,
    whole,
)

__all__ = ["SQLCheckpointStore", "Writes", "lock", "stored"]

_EVERYBODY, _TABLE = "event_parked", "event_checkpoints"

Writes = Callable[[AsyncConnection], Awaitable[Position | None]]
"""What else is written in the transaction of a checkpoint; how far, where it stopped on the way."""


class _Failed(Exception):  # carries what `Writes` raised past the database's own errors
    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class SQLCheckpointStore:
    """Keeps every promise of `CheckpointStore` in PostgreSQL or SQLite.

    Make the tables with `create_subscription_tables`. On an engine every step is a transaction;
    on a connection it is a savepoint of the transaction that the caller has. A step that
    is cancelled is undone, or done where its commit was under way. Where the database does not
    answer, that takes a few seconds, and which of both is not known.

    Args:
        source: an engine or a connection; for SQLite one made with `real_savepoints`.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._turns = _turns(source)

    @classmethod
    @asynccontextmanager
    async def open(cls, target: str | Path) -> "AsyncGenerator[SQLCheckpointStore, None]":
        """The checkpoints in a SQLite file, or in the database of a URL.

        Raises:
            CheckpointUnavailable: it is no such file or URL, or its driver is not installed.
        """
        engine = _engine(str(target))
        try:
            yield cls(engine)
        finally:
            await engine.dispose()

    @whole
    async def load(self, subscription: str, partition: int = 0) -> Checkpoint | None:
        """The checkpoint of a partition; None where it never began."""
        async with self._begun(subscription) as connection:
            return await _load(connection, subscription, partition)

    @whole
    async def partitions(self, subscription: str) -> tuple[Checkpoint, ...]:
        """The checkpoints of all partitions, in order; none where it never began."""
        async with self._begun(subscription) as connection:
            return await stored(connection, subscription, true())

    @whole
    async def begin(self, checkpoint: Checkpoint, *, partitions: int = 1) -> Checkpoint:
        """Keep a first checkpoint for each partition. See `CheckpointStore.begin`."""
        first, *rest = [_row(attrs.evolve(checkpoint, partition=n)) for n in range(partitions)]
        async with self._begun(checkpoint.subscription) as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            # Of two that begin with different numbers, the one who writes this row decides.
            row = dialect.insert(checkpoints).values(**first).on_conflict_do_nothing()
            began = (await connection.execute(row)).rowcount == 1
            if began and rest:
                await connection.execute(insert(checkpoints), rest)
            return await _load(connection, checkpoint.subscription) or checkpoint

    @whole
    async def renew(
        self, subscription: str, member: str, held: Collection[Checkpoint], *, lease: float
    ) -> Renewal:
        """Say that a member is alive, and prolong its leases. See `CheckpointStore.renew`.

        Raises:
            TypeError: it is on a connection: nobody else would see it before the commit.
        """
        if not isinstance(self._source, AsyncEngine):
            raise TypeError("a consumer group keeps its checkpoints through an engine")
        async with self._transaction(subscription) as connection:
            return await _leases.renew(connection, subscription, member, held, lease)

    @whole
    async def acquire(
        self, subscription: str, member: str, *, limit: int, lease: float
    ) -> tuple[Checkpoint, ...]:
        """Take partitions that nobody holds. See `CheckpointStore.acquire`."""
        async with self._transaction(subscription) as connection:
            taken = await _leases.acquire(connection, subscription, member, limit, lease)
            return await stored(connection, subscription, checkpoints.c.partition.in_(taken))

    @whole
    async def release(self, checkpoint: Checkpoint) -> None:
        """Give a partition back; nothing, where it is no longer held."""
        async with self._transaction(checkpoint.subscription) as connection:
            await _leases.release(connection, checkpoint)

    @whole
    async def leave(self, subscription: str, member: str) -> None:
        """Forget a member, and give back all that it owns."""
        async with self._transaction(subscription) as connection:
            await _leases.leave(connection, subscription, member)

    @whole
    async def advance(
        self,
        checkpoint: Checkpoint,
        to: Position | None,
        *,
        park: Iterable[ParkedEvent] = (),
        write: Writes | None = None,
    ) -> Checkpoint:
        """Move a checkpoint on, and set events aside. See `CheckpointStore.advance`.

        `write` writes in the same transaction, once the checkpoint is known to be ours to move;
        what it raises undoes everything and passes through. Where it stopped on the way, the
        checkpoint is moved only so far, and what comes behind is not set aside.
        """
        async with self._begun(checkpoint.subscription) as connection:
            await lock(connection, checkpoint, to=to)
            stopped_at = await _write(connection, write)
            if stopped_at is not None:
                park = [each for each in park if each.position <= stopped_at]
                await lock(connection, attrs.evolve(checkpoint, position=to), to=stopped_at)
                to = stopped_at
            rows = [_parked_row(checkpoint, each) for each in park]
            if rows:
                await connection.execute(insert(parked_events), rows)
        return attrs.evolve(checkpoint, position=to)

    @whole
    async def ready(self, checkpoint: Checkpoint, *, limit: int) -> tuple[ParkedEvent, ...]:
        """Parked events that are to be tried now. See `CheckpointStore.ready`."""
        earlier = parked_events.alias()
        behind = exists().where(
            earlier.c.subscription == parked_events.c.subscription,
            earlier.c.stream == parked_events.c.stream,
            earlier.c.position < parked_events.c.position,
        )
        state = parked_events.c.state
        wanted = (
            select(parked_events)
            .where(
                _of(checkpoint),
                or_(
                    state == ParkedState.REPLAY.value,
                    and_(state == ParkedState.WAITING.value, ~behind),
                ),
            )
            .order_by(parked_events.c.position)
            .limit(limit)
        )
        async with self._begun(checkpoint.subscription) as connection:
            return tuple([_parked(row) for row in await connection.execute(wanted)])

    @whole
    async def parked_streams(self, checkpoint: Checkpoint) -> frozenset[StreamId]:
        """The streams of which an event is set aside."""
        wanted = select(parked_events.c.stream).where(_of(checkpoint)).distinct()
        async with self._begun(checkpoint.subscription) as connection:
            return frozenset(map(StreamId.parse, await connection.scalars(wanted)))

    @whole
    async def settle(
        self, checkpoint: Checkpoint, parked: ParkedEvent, *, write: Writes | None = None
    ) -> bool:
        """Forget a parked event that was dealt with; False where it is gone already.

        `write` writes in the same transaction, and only where it is not gone.
        """
        async with self._begun(checkpoint.subscription) as connection:
            await lock(connection, checkpoint)
            one = delete(parked_events).where(_one(checkpoint, parked))
            if (await connection.execute(one)).rowcount != 1:
                return False
            await _write(connection, write)
            return True

    @whole
    async def park_again(self, checkpoint: Checkpoint, parked: ParkedEvent) -> None:
        """Write down how a parked event failed again; nothing, where it is gone."""
        async with self._begun(checkpoint.subscription) as connection:
            await lock(connection, checkpoint)
            one = update(parked_events).where(_one(checkpoint, parked))
            await connection.execute(one.values(**_parked_row(checkpoint, parked)))

    @whole
    async def parked(
        self,
        subscription: str | None = None,
        *,
        after: Position | None = None,
        limit: int | None = None,
    ) -> tuple[tuple[str, ParkedEvent], ...]:
        """Each parked event with the subscription that parked it."""
        table = parked_events.c
        wanted = select(parked_events).order_by(table.subscription, table.position).limit(limit)
        if subscription is not None:
            wanted = wanted.where(table.subscription == subscription)
        if after is not None:
            wanted = wanted.where(table.position > after)
        async with self._begun(subscription or _EVERYBODY) as connection:
            found = await connection.execute(wanted)
            return tuple([(row.subscription, _parked(row)) for row in found])

    @whole
    async def replay(self, subscription: str, positions: Collection[Position] | None = None) -> int:
        """Mark failed events to be tried again. See `CheckpointStore.replay`."""
        marked = update(parked_events).where(
            _chosen(subscription, positions), parked_events.c.state == ParkedState.FAILED.value
        )
        async with self._begun(subscription) as connection:
            return (
                await connection.execute(marked.values(state=ParkedState.REPLAY.value))
            ).rowcount

    @whole
    async def drop(self, subscription: str, positions: Collection[Position] | None = None) -> int:
        """Forget parked events without dealing with them. See `CheckpointStore.drop`."""
        async with self._begun(subscription) as connection:
            chosen = delete(parked_events).where(_chosen(subscription, positions))
            return (await connection.execute(chosen)).rowcount

    @asynccontextmanager
    async def _begun(self, subscription: str) -> AsyncGenerator[AsyncConnection, None]:
        """A transaction, when it is our turn."""
        async with self._turns, self._transaction(subscription) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, subscription: str) -> AsyncGenerator[AsyncConnection, None]:
        try:
            async with unavailable(subscription), transaction(self._source) as connection:
                yield connection
        except _Failed as failed:
            raise failed.error from None


def _turns(source: Source) -> AbstractAsyncContextManager[object]:
    """Leaves a connection of a pool for leases: who comes too late to renew them loses all."""
    if isinstance(source, AsyncEngine) and isinstance(source.pool, QueuePool):
        return asyncio.Semaphore(max(1, source.pool.size() - 1))
    return nullcontext()


def _engine(target: str) -> AsyncEngine:
    """An engine for a URL, whose driver may be left out, or for a file that is there."""
    scheme, separator, rest = target.partition("://")
    if separator and scheme.partition("+")[0] != "sqlite":
        _check(target)
    try:
        if separator and scheme in ("postgresql", "postgresql+asyncpg"):
            # Read by the driver itself, for which TLS is told in the words of libpq.
            dsn = f"postgresql://{rest}"
            return create_async_engine("postgresql+asyncpg://", connect_args={"dsn": dsn})
        url = make_url(target) if separator else URL.create("sqlite", database=target)
        if url.drivername == "sqlite":
            url = url.set(drivername="sqlite+aiosqlite")
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            raise CheckpointUnavailable(str(url.database), "there is no such file")
        return real_savepoints(create_async_engine(url))
    except (ArgumentError, ImportError, ValueError):
        reason = "it is no URL of a database whose driver is installed"
    # Without the error, which may quote a password.
    raise CheckpointUnavailable(_TABLE, reason)


def _check(address: str) -> None:
    try:
        check_address(address)
    except ValueError as error:
        raise CheckpointUnavailable(_TABLE, str(error)) from None


async def _write(connection: AsyncConnection, write: Writes | None) -> Position | None:
    """Let somebody else write; their errors stay theirs, unless the connection was lost."""
    if write is None:
        return None
    try:
        return await write(connection)
    except (SQLAlchemyError, OSError) as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        raise _Failed(error) from error


async def lock(
    connection: AsyncConnection, checkpoint: Checkpoint, *, to: Position | None = None
) -> None:
    """Hold a checkpoint to the end of the transaction, or move it from where it is known to be.

    Raises:
        CheckpointConflict: it is not there, or not ours.
    """
    held = [_key(checkpoint), checkpoints.c.epoch == checkpoint.epoch]
    held.append(checkpoints.c.version == checkpoint.version)
    # Writing takes the lock, in SQLite and in PostgreSQL, before anything else is written.
    move: dict[str, Any] = {"epoch": checkpoint.epoch}
    if to is not None:
        held.append(checkpoints.c.position == (checkpoint.position or 0))
        move = {"position": to}
    moved = update(checkpoints).where(*held).values(**move)
    if checkpoint.owner is not None and connection.dialect.name == "postgresql":
        moved = moved.returning(_leases.IDLE_NO_LONGER_THAN_LEASED)
    if (await connection.execute(moved)).rowcount != 1:
        raise CheckpointConflict(checkpoint.subscription, checkpoint.partition, checkpoint.position)


async def stored(
    connection: AsyncConnection,
    subscription: str,
    chosen: ColumnElement[bool],
    *,
    hold: bool = False,
) -> tuple[Checkpoint, ...]:
    """The checkpoints of some partitions, in order; with `hold` nobody else moves them now."""
    wanted = select(checkpoints).where(checkpoints.c.subscription == subscription, chosen)
    if hold:
        # SQLite has no such lock: there, writing is one transaction at a time.
        wanted = wanted.with_for_update()
    rows = await connection.execute(wanted.order_by(checkpoints.c.partition))
    return tuple([_checkpoint(row) for row in rows])


async def _load(
    connection: AsyncConnection, subscription: str, partition: int = 0
) -> Checkpoint | None:
    found = await stored(connection, subscription, checkpoints.c.partition == partition)
    return found[0] if found else None


def _checkpoint(row: Row[Any]) -> Checkpoint:
    cells: dict[str, Any] = dict(row._mapping)
    cells["position"] = Position(row.position) or None
    return Checkpoint(**cells)


def _row(checkpoint: Checkpoint) -> dict[str, Any]:
    return attrs.asdict(checkpoint) | {"position": checkpoint.position or 0}


def _parked_row(checkpoint: Checkpoint, parked: ParkedEvent) -> dict[str, Any]:
    cells = {field.name: getattr(parked, field.name) for field in attrs.fields(ParkedEvent)}
    kept = {"subscription": checkpoint.subscription, "partition": checkpoint.partition}
    return cells | kept | {"stream": str(parked.stream), "state": parked.state.value}


def _parked(row: Row[Any]) -> ParkedEvent:
    cells: dict[str, Any] = {
        field.name: row._mapping[field.name] for field in attrs.fields(ParkedEvent)
    }
    cells["stream"], cells["state"] = StreamId.parse(row.stream), ParkedState(row.state)
    return ParkedEvent(**cells)


def _key(checkpoint: Checkpoint) -> ColumnElement[bool]:
    return and_(
        checkpoints.c.subscription == checkpoint.subscription,
        checkpoints.c.partition == checkpoint.partition,
    )


def _of(checkpoint: Checkpoint) -> ColumnElement[bool]:
    return and_(
        parked_events.c.subscription == checkpoint.subscription,
        parked_events.c.partition == checkpoint.partition,
    )


def _one(checkpoint: Checkpoint, parked: ParkedEvent) -> ColumnElement[bool]:
    return and_(_of(checkpoint), parked_events.c.position == parked.position)


def _chosen(subscription: str, positions: Collection[Position] | None) -> ColumnElement[bool]:
    whole = parked_events.c.subscription == subscription
    return whole if positions is None else and_(whole, parked_events.c.position.in_(positions))
