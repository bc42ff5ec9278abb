"""Who holds which partition, by the clock of the database: the statements behind the leases."""

import math
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Update,
    delete,
    func,
    literal_column,
    or_,
    select,
    true,
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
    await _be_quick(connection, lease)
    members = await _seen(connection, subscription, member, lease)
    renewed = await _locked(connection, subscription, _held_by(member, held)) if held else []
    if renewed:
        ours = update(checkpoints).where(_these(subscription, renewed))
        await connection.execute(ours.values(lease_until=_clock(connection, lease)))
    return Renewal(partitions=frozenset(renewed), members=members)


async def acquire(
    connection: AsyncConnection, subscription: str, member: str, limit: int, lease: float
) -> Collection[int]:
    """Take partitions that nobody holds; which they are."""
    await _be_quick(connection, lease)
    expired = checkpoints.c.lease_until <= _clock(connection)
    free = or_(checkpoints.c.owner.is_(None), checkpoints.c.lease_until.is_(None), expired)
    taken = await _locked(connection, subscription, free, limit)
    if taken:
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
    await _give_back(connection, ours)


async def leave(connection: AsyncConnection, subscription: str, member: str) -> None:
    """Forget a member, and give back all that it owns."""
    ours = (checkpoints.c.subscription == subscription) & (checkpoints.c.owner == member)
    await _give_back(connection, update(checkpoints).where(ours))
    table = group_members.c
    one = delete(group_members).where(table.subscription == subscription, table.member == member)
    await connection.execute(one)


async def _be_quick(connection: AsyncConnection, lease: float) -> None:
    """Let the database end a transaction in which this process is paused: it has locks."""
    if connection.dialect.name == "postgresql":
        milliseconds = str(max(1000, math.ceil(1000 * lease)))
        limit = func.set_config("idle_in_transaction_session_timeout", milliseconds, true())
        await connection.execute(select(limit))


async def _give_back(connection: AsyncConnection, ours: Update) -> None:
    freed = ours.values(owner=None, lease_until=None)
    if connection.dialect.name == "postgresql":
        freed = freed.returning(IDLE_NO_LONGER_THAN_LEASED)
    await connection.execute(freed)


async def _seen(
    connection: AsyncConnection, subscription: str, member: str, lease: float
) -> frozenset[str]:
    """Take down that a member is alive, and see who else is; the others are forgotten."""
    table, until = group_members.c, _clock(connection, lease)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = dialect.insert(group_members).values(
        subscription=subscription, member=member, lease_until=until
    )
    key = [table.subscription, table.member]
    await connection.execute(
        row.on_conflict_do_update(index_elements=key, set_={"lease_until": until})
    )
    has_ended = (table.lease_until <= _clock(connection)).label("has_ended")
    everybody = select(table.member, has_ended).where(table.subscription == subscription)
    rows = (await connection.execute(everybody)).all()
    gone = {row.member for row in rows if row.has_ended} - {member}
    if gone:
        await _forget(connection, (table.subscription == subscription) & table.member.in_(gone))
    return frozenset({row.member for row in rows} - gone)


async def _forget(connection: AsyncConnection, members: ColumnElement[bool]) -> None:
    """Delete those whose leases have ended."""
    table = group_members.c
    ended = members & (table.lease_until <= _clock(connection))
    # Two that wake up at once would each wait for the other's row.
    locked = select(table.member).where(ended).with_for_update(skip_locked=True)
    dead = (await connection.scalars(locked)).all()
    await connection.execute(delete(group_members).where(members, table.member.in_(dead)))


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
