"""Making a projection anew beside the one in use, comparing the two, and changing over."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

import attrs
from sqlalchemy import (
    Connection,
    Select,
    Table,
    column,
    delete,
    except_,
    func,
    inspect,
    select,
    table,
    true,
    update,
)
from sqlalchemy.exc import NoReferenceError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dashtam_events.recorded import Position, StreamId
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._batches import Batch, Item
from dashtam_events.subscriptions._log import Log
from dashtam_events.subscriptions.checkpoint import Checkpoint
from dashtam_events.subscriptions.errors import (
    ProjectionHasDependents,
    ProjectionMismatch,
)
from dashtam_events.subscriptions.partitions import partition_of
from dashtam_events.subscriptions.retrying import Parking
from dashtam_events.subscriptions.sql._change_over import dependents, take_names
from dashtam_events.subscriptions.sql.checkpoints import SQLCheckpointStore, stored
from dashtam_events.subscriptions.sql.projection import Projection
from dashtam_events.subscriptions.sql.projector import Projector
from dashtam_events.subscriptions.sql.schema import (
    checkpoints,
    create_subscription_tables,
    parked_events,
    transaction,
    unavailable,
    whole,
)

__all__ = ["rebuild"]

_SUFFIX = "_rebuild"


async def rebuild(
    store: EventStore,
    projection: Projection,
    engine: AsyncEngine,
    *,
    compare: bool = True,
    batch_size: int = 500,
    parking: Parking = Parking(),  # noqa: B008  # frozen
) -> Position | None:
    """Make a projection's tables anew from the events, and put them in the place of the old.

    The old ones are read and written meanwhile. In the end, in one transaction, their checkpoint
    is held, the new tables catch up with it, both are compared, and the new ones take the old
    names. Readers never miss a table. A projector of the same version goes on as if nothing had
    been; one of another version steps back with `ProjectionOutdated`. `after_commit` is never
    called. What a rebuild that was interrupted left behind, the next one clears away.

    In PostgreSQL the new tables have the privileges of the old ones, and belong to whoever
    rebuilds. In SQLite views and triggers stay as they are; PostgreSQL ties them to a table.

    Args:
        store: what to read.
        projection: in its new version, or in the old one, to make good what was wrong.
        engine: the database of its tables.
        compare: refuse to change over where rows differ in the columns that both have. Pass
            False where what is written has changed on purpose.
        batch_size: how many events share a transaction.
        parking: when so much fails that it is given up; with a limit of 1.0 never. What failed
            is parked for the projection, as it would have been in the tables in use.

    Returns:
        The position up to which both were written when they changed places.

    Raises:
        ProjectionHasDependents: others made views, triggers or foreign keys of the tables;
            nothing was read.
        ValueError: a foreign key names its column instead of being given it.
        ProjectionMismatch: rows differ; the old tables stay in use and the new ones are there
            to look at, under their names and `_rebuild`.
        TooManyParked: too many events failed.
        CheckpointConflict: another rebuild began meanwhile.
        CheckpointUnavailable: the database failed; begin again.
    """
    await create_subscription_tables(engine)
    work = _Rebuild(store, projection, engine, batch_size, parking)
    await work.check()
    await work.clear()
    live = await work.live()
    await work.catch_up(engine, live)
    return await work.change_over(compare=compare)


class _Rebuild:
    def __init__(
        self,
        store: EventStore,
        projection: Projection,
        engine: AsyncEngine,
        batch_size: int,
        parking: Parking,
    ) -> None:
        self._store = store
        self._old = projection
        self._new = projection.beside(_SUFFIX, uuid4().hex[:8])
        self._name = f"{projection.name}~rebuild"
        self._source = engine
        self._batch_size, self._parking = batch_size, parking

    @whole
    async def check(self) -> None:
        """Refuse what the change-over would refuse, before any work is done."""
        _check_references(self._new)
        async with unavailable(self._name), transaction(self._source) as connection:
            await self._refuse_dependents(connection)

    async def _refuse_dependents(self, connection: AsyncConnection) -> None:
        found = await connection.run_sync(dependents, self._new.tables)
        if found:
            raise ProjectionHasDependents(self._old.name, tuple(found))

    @whole
    async def clear(self) -> None:
        """Remove what an earlier rebuild left."""
        async with unavailable(self._name), transaction(self._source) as connection:
            await connection.run_sync(self._new.metadata.drop_all)
            for kept in (checkpoints, parked_events):
                await connection.execute(delete(kept).where(kept.c.subscription == self._name))

    async def live(self) -> tuple[Checkpoint, ...]:
        """The checkpoints of the tables in use, by partition; none where there are no tables."""
        return await SQLCheckpointStore(self._source).partitions(self._old.name)

    async def catch_up(
        self,
        source: AsyncEngine | AsyncConnection,
        live: Sequence[Checkpoint],
        *,
        until: Callable[[Iterable[Position]], Position] = min,
    ) -> Position | None:
        """Write the new tables as far as the old ones are, and in no partition further.

        `until` is `min`: as far as they are in all partitions; or `max`: in any.
        """
        seen = [each.position or Position(0) for each in live]
        projector = Projector(
            self._store,
            self._new,
            source,
            name=self._name,
            batch_size=self._batch_size,
            parking=self._parking,
            until=until(seen) if seen else None,
            silent=True,
        )
        projector._log = _AsFar(projector._log, seen)
        return await projector.run_once()

    @whole
    async def change_over(self, *, compare: bool) -> Position | None:
        """Put the new tables in the place of the old, in one transaction."""
        async with unavailable(self._old.name), transaction(self._source) as connection:
            return await self._change_over(connection, compare=compare)

    async def _change_over(self, connection: AsyncConnection, *, compare: bool) -> Position | None:
        live = await stored(connection, self._old.name, true(), hold=True)
        reached = await self.catch_up(connection, live, until=max)
        if compare and live:
            for name, new in self._new.tables.items():
                await self._compare(connection, name, new)
        await self._refuse_dependents(connection)
        await connection.run_sync(take_names, self._new.tables)
        await self._take_over(connection, partitions=len(live))
        return reached

    async def _compare(self, connection: AsyncConnection, name: str, new: Table) -> None:
        shared = await connection.run_sync(_shared_columns, name, new)
        if not shared:
            return
        only_old = await _only_in(connection, name, new.name, shared)
        only_new = await _only_in(connection, new.name, name, shared)
        if only_old or only_new:
            raise ProjectionMismatch(self._old.name, name, only_old, only_new)

    async def _take_over(self, connection: AsyncConnection, *, partitions: int) -> None:
        """Keep the progress, and what was parked on the way, under the name of the old."""
        name, version = self._old.name, self._new.version
        parked = parked_events
        await connection.execute(delete(parked).where(parked.c.subscription == name))
        named = {"subscription": name}
        await connection.execute(
            update(parked).where(parked.c.subscription == self._name).values(**named)
        )
        ours = checkpoints.c.subscription == self._name
        if not partitions:
            await connection.execute(update(checkpoints).where(ours).values(**named))
            return
        await self._divide_parked(connection, partitions)
        theirs = checkpoints.c.subscription == name
        await connection.execute(update(checkpoints).where(theirs).values(version=version))
        await connection.execute(delete(checkpoints).where(ours))

    async def _divide_parked(self, connection: AsyncConnection, partitions: int) -> None:
        parked = parked_events.c
        ours = parked.subscription == self._old.name
        streams = await connection.scalars(select(parked.stream).where(ours).distinct())
        for stream in streams.all():
            these = update(parked_events).where(ours, parked.stream == stream)
            number = partition_of(StreamId.parse(stream), partitions)
            await connection.execute(these.values(partition=number))


@attrs.frozen
class _AsFar:
    """A log of which, in each partition, only what was seen there already is read."""

    log: Log
    seen: Sequence[Position]

    async def read(self, after: Position | None, size: int) -> Batch:
        """The next events that were seen."""
        batch = await self.log.read(after, size)
        return attrs.evolve(batch, items=tuple(filter(self._was_seen, batch.items)))

    async def wait(self, after: Position | None, timeout: float) -> None:
        """Wait for what may come."""
        await self.log.wait(after, timeout)

    def _was_seen(self, item: Item) -> bool:
        if not self.seen:
            return True
        return item.position <= self.seen[partition_of(item.stream, len(self.seen))]


def _check_references(projection: Projection) -> None:
    """Refuse a foreign key that would not lead to the table beside the one it names."""
    for each in projection.tables.values():
        for key in each.foreign_keys:
            try:
                key.column  # noqa: B018  # it is looked up
            except NoReferenceError:
                reason = "give a foreign key the column that it refers to, not a name"
                raise ValueError(f"{projection.name}: {each.name}: {reason}") from None


def _shared_columns(connection: Connection, name: str, new: Table) -> list[str]:
    """The columns that both have; none where there is no old table."""
    inspector = inspect(connection)
    if not inspector.has_table(name):
        return []
    old = {each["name"] for each in inspector.get_columns(name)}
    return [each.name for each in new.columns if each.name in old]


async def _only_in(connection: AsyncConnection, here: str, there: str, columns: list[str]) -> int:
    """How many different rows one table has that the other has not, or not as often."""
    this, that = (_counted(name, columns) for name in (here, there))
    differing = except_(this, that).subquery()
    return await connection.scalar(select(func.count()).select_from(differing)) or 0


def _counted(name: str, columns: list[str]) -> Select[Any]:
    rows = table(name, *map(column, columns))
    return select(*rows.c, func.count()).group_by(*rows.c)
