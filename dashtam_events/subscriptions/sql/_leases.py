"""Who holds which partition, by the clock of the database: the statements behind the leases."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    DateTime,
    delete,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from dashtam_events._clock import now
from dashtam_events.subscriptions.checkpoint import Checkpoint, Renewal
from dashtam_events.subscriptions.sql.schema import checkpoints, group_members

__all__ = ["IDLE_NO_LONGER_THAN_LEASED", "acquire", "leave", "release", "renew"]

IDLE_NO_LONGER_THAN_LEASED: ColumnElement[str] = literal_column(
    "set_config('idle_in_transaction_session_timeout', greatest(1000, ceil(1000 * extract("
    "epoch FROM event_checkpoints.lease_until - clock_timestamp())))::bigint::text, true)"
)
"""For PostgreSQL: an owner that is paused within a transaction keeps its locks no longer."""


async def renew(
    connection: AsyncConnection,
    subscription: str,
    member: str,
    held: Collection[Checkpoint],
    lease: float,
) -> Renewal:
    """Say that a member is alive, prolong its leases, and see who else is alive."""
    await _see(connection, subscription, member, lease)
    renewed = await _locked(connection, subscription, _held_by(member, held)) if held else []
    until = _clock(connection, lease)
    ours = update(checkpoints).where(_these(subscription, renewed))
    await connection.execute(ours.values(lease_until=until))
    alive = select(group_members.c.member).where(group_members.c.subscription == subscription)
    return Renewal(
        partitions=frozenset(renewed), members=frozenset(await connection.scalars(alive))
    )


async def acquire(
    connection: AsyncConnection, subscription: str, member: str, limit: int, lease: float
) -> Collection[int]:
    """Take partitions that nobody holds; which they are."""
    expired = checkpoints.c.lease_until <= _clock(connection)
    free = or_(checkpoints.c.owner.is_(None), checkpoints.c.lease_until.is_(None), expired)
    taken = await _locked(connection, subscription, free, limit)
    until, epoch = _clock(connection, lease), checkpoints.c.epoch + 1
    these = update(checkpoints).where(_these(subscription, taken))
    await connection.execute(these.values(owner=member, lease_until=until, epoch=epoch))
    return taken


async def release(connection: AsyncConnection, checkpoint: Checkpoint) -> None:
    """Give a partition back, if it is still held."""
    ours = update(checkpoints).where(
        _these(checkpoint.subscription, [checkpoint.partition]),
        checkpoints.c.epoch == checkpoint.epoch,
        checkpoints.c.owner == checkpoint.owner,
    )
    await connection.execute(ours.values(owner=None, lease_until=None))


async def leave(connection: AsyncConnection, subscription: str, member: str) -> None:
    """Forget a member, and give back all that it owns."""
    ours = (checkpoints.c.subscription == subscription) & (checkpoints.c.owner == member)
    await connection.execute(update(checkpoints).where(ours).values(owner=None, lease_until=None))
    table = group_members.c
    one = delete(group_members).where(table.subscription == subscription, table.member == member)
    await connection.execute(one)


async def _see(connection: AsyncConnection, subscription: str, member: str, lease: float) -> None:
    """Take down that a member is alive, and forget those that are not."""
    table, time = group_members.c, _clock(connection)
    until = _clock(connection, lease)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = dialect.insert(group_members).values(
        subscription=subscription, member=member, lease_until=until
    )
    key = [table.subscription, table.member]
    seen = row.on_conflict_do_update(index_elements=key, set_={"lease_until": until})
    await connection.execute(seen)
    gone = select(table.member).where(table.subscription == subscription, table.lease_until <= time)
    # Two that wake up at once would each wait for the other's row.
    dead = (await connection.scalars(gone.with_for_update(skip_locked=True))).all()
    forgotten = delete(group_members).where(table.subscription == subscription)
    await connection.execute(forgotten.where(table.member.in_(dead)))


async def _locked(
    connection: AsyncConnection,
    subscription: str,
    condition: ColumnElement[bool],
    limit: int | None = None,
) -> Collection[int]:
    """Partitions of which something holds, locked; those that are being written are passed over."""
    number = checkpoints.c.partition
    rows = select(number).where(checkpoints.c.subscription == subscription, condition)
    rows = rows.order_by(number).limit(limit).with_for_update(skip_locked=True)
    return (await connection.scalars(rows)).all()


def _held_by(member: str, held: Iterable[Checkpoint]) -> ColumnElement[bool]:
    known = tuple_(checkpoints.c.partition, checkpoints.c.epoch)
    pairs = [(each.partition, each.epoch) for each in held]
    return (checkpoints.c.owner == member) & known.in_(pairs)


def _these(subscription: str, partitions: Collection[int]) -> ColumnElement[bool]:
    ours = checkpoints.c.subscription == subscription
    return ours & checkpoints.c.partition.in_(partitions)


def _clock(connection: AsyncConnection, later: float = 0.0) -> ColumnElement[datetime] | datetime:
    """The time of the database, or some seconds later; SQLite has that of its host."""
    added = timedelta(seconds=later)
    if connection.dialect.name != "postgresql":
        return now() + added
    time: ColumnElement[datetime] = func.clock_timestamp(type_=DateTime(timezone=True))
    return time + added
