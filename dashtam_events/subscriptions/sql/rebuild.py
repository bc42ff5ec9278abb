"""Making a projection anew beside the one in use, comparing the two, and changing over."""

from typing import Any
from uuid import uuid4

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
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dashtam_events.recorded import Position
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions.checkpoint import Checkpoint
from dashtam_events.subscriptions.errors import PartitionMismatch, ProjectionMismatch
from dashtam_events.subscriptions.sql.checkpoints import SQLCheckpointStore, lock
from dashtam_events.subscriptions.sql.projection import Projection
from dashtam_events.subscriptions.sql.projector import Projector
from dashtam_events.subscriptions.sql.schema import (
    checkpoints,
    create_subscription_tables,
    parked_events,
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
) -> Position | None:
    """Make a projection's tables anew from the events, and put them in the place of the old.

    The old ones are read and written meanwhile. In the end, in one transaction, their checkpoint
    is held, the new tables catch up with it, both are compared, and the new ones take the old
    names. Readers never miss a table. A projector of the same version goes on as if nothing had
    been; one of another version steps back with `ProjectionOutdated`. `after_commit` is never
    called. What a rebuild that was interrupted left behind, the next one clears away.

    Args:
        store: what to read.
        projection: in its new version, or in the old one, to make good what was wrong.
        engine: the database of its tables.
        compare: refuse to change over where rows differ in the columns that both have. Pass
            False where what is written has changed on purpose.
        batch_size: how many events share a transaction.

    Returns:
        The position up to which both were written when they changed places.

    Raises:
        PartitionMismatch: the projection is written by a consumer group; it is not rebuilt.
        ProjectionMismatch: rows differ; the old tables stay in use and the new ones are there
            to look at, under their names and `_rebuild`.
        TooManyParked: too many events failed.
        CheckpointConflict: another rebuild began meanwhile.
        CheckpointUnavailable: the database failed; begin again.
    """
    await create_subscription_tables(engine)
    work = _Rebuild(store, projection, engine, batch_size)
    await work.clear()
    live = await work.live()
    await work.catch_up(engine, live)
    return await work.change_over(compare=compare)


class _Rebuild:
    def __init__(
        self, store: EventStore, projection: Projection, engine: AsyncEngine, batch_size: int
    ) -> None:
        self._store = store
        self._old = projection
        self._new = projection.beside(_SUFFIX, uuid4().hex[:8])
        self._name = f"{projection.name}~rebuild"
        self._engine = engine
        self._batch_size = batch_size

    @whole
    async def clear(self) -> None:
        """Remove what an earlier rebuild left."""
        async with unavailable(self._name), self._engine.begin() as connection:
            await connection.run_sync(self._new.metadata.drop_all)
            for kept in (checkpoints, parked_events):
                await connection.execute(delete(kept).where(kept.c.subscription == self._name))

    async def live(self) -> Checkpoint | None:
        """The checkpoint of the tables in use; None where there are none.

        Raises:
            PartitionMismatch: they are written by a consumer group.
        """
        stored = await SQLCheckpointStore(self._engine).partitions(self._old.name)
        if len(stored) > 1:
            raise PartitionMismatch(self._old.name, len(stored), 1)
        return stored[0] if stored else None

    async def catch_up(
        self, source: AsyncEngine | AsyncConnection, live: Checkpoint | None
    ) -> Position | None:
        """Write the new tables as far as the old ones are, and not further."""
        projector = Projector(
            self._store,
            self._new,
            source,
            name=self._name,
            batch_size=self._batch_size,
            until=None if live is None else live.position or Position(0),
            silent=True,
        )
        return await projector.run_once()

    @whole
    async def change_over(self, *, compare: bool) -> Position | None:
        """Put the new tables in the place of the old, in one transaction."""
        async with unavailable(self._old.name), self._engine.begin() as connection:
            return await self._change_over(connection, compare=compare)

    async def _change_over(self, connection: AsyncConnection, *, compare: bool) -> Position | None:
        live = await SQLCheckpointStore(connection).load(self._old.name)
        if live is not None:
            await lock(connection, live)
            # It may have moved between the reading and the lock.
            live = await SQLCheckpointStore(connection).load(self._old.name)
        reached = await self.catch_up(connection, live)
        if compare and live is not None:
            for name, new in self._new.tables.items():
                await self._compare(connection, name, new)
        await connection.run_sync(self._rename)
        await self._take_over(connection, replaced=live is not None)
        return reached

    async def _compare(self, connection: AsyncConnection, name: str, new: Table) -> None:
        shared = await connection.run_sync(_shared_columns, name, new)
        if not shared:
            return
        only_old = await _only_in(connection, name, new.name, shared)
        only_new = await _only_in(connection, new.name, name, shared)
        if only_old or only_new:
            raise ProjectionMismatch(self._old.name, name, only_old, only_new)

    def _rename(self, connection: Connection) -> None:
        quote = connection.dialect.identifier_preparer.quote
        for name, new in self._new.tables.items():
            connection.execute(text(f"DROP TABLE IF EXISTS {quote(name)}"))
            connection.execute(text(f"ALTER TABLE {quote(new.name)} RENAME TO {quote(name)}"))

    async def _take_over(self, connection: AsyncConnection, *, replaced: bool) -> None:
        """Keep the progress, and what was parked on the way, under the name of the old."""
        name, version = self._old.name, self._new.version
        parked = parked_events
        await connection.execute(delete(parked).where(parked.c.subscription == name))
        named = {"subscription": name}
        await connection.execute(
            update(parked).where(parked.c.subscription == self._name).values(**named)
        )
        ours = checkpoints.c.subscription == self._name
        if not replaced:
            await connection.execute(update(checkpoints).where(ours).values(**named))
            return
        theirs = checkpoints.c.subscription == name
        await connection.execute(update(checkpoints).where(theirs).values(version=version))
        await connection.execute(delete(checkpoints).where(ours))


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
