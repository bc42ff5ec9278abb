"""Who holds which partition: leases and epochs, wherever the checkpoints are kept."""

import asyncio
from datetime import timedelta
from typing import Any

import attrs
import pytest
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dashtam_events._clock import now
from dashtam_events.recorded import Position, StreamId
from dashtam_events.subscriptions import (
    Checkpoint,
    CheckpointConflict,
    CheckpointStore,
    ParkedEvent,
    ParkedState,
)
from dashtam_events.subscriptions.sql import SQLCheckpointStore, create_subscription_tables
from dashtam_events.subscriptions.sql.checkpoints import lock

LONG, SHORT = 60.0, 0.1


async def begun(checkpoints: CheckpointStore, partitions: int = 4) -> None:
    await checkpoints.begin(Checkpoint(subscription="mail"), partitions=partitions)


async def take(
    checkpoints: CheckpointStore, member: str, limit: int = 9, lease: float = LONG
) -> tuple[Checkpoint, ...]:
    return await checkpoints.acquire("mail", member, limit=limit, lease=lease)


def numbers(taken: tuple[Checkpoint, ...]) -> list[int]:
    return sorted(each.partition for each in taken)


async def taken_over(checkpoints: CheckpointStore) -> tuple[Checkpoint, Checkpoint]:
    """A partition as its former owner knows it, and as its owner does."""
    await begun(checkpoints, 1)
    [former] = await take(checkpoints, "ann", lease=SHORT)
    await asyncio.sleep(2 * SHORT)
    [present] = await take(checkpoints, "bob")
    return former, present


def parked(position: int = 1) -> ParkedEvent:
    stream = StreamId("house", "1")
    return ParkedEvent(
        position=Position(position),
        stream=stream,
        version=1,
        event_type="DoorOpened",
        state=ParkedState.FAILED,
        parked_at=now(),
    )


async def test_the_number_of_partitions_is_for_ever(checkpoints: CheckpointStore) -> None:
    first = Checkpoint(subscription="mail", position=Position(7), version=3)
    await checkpoints.begin(first, partitions=3)
    assert await checkpoints.begin(Checkpoint(subscription="mail"), partitions=5) == first
    stored = await checkpoints.partitions("mail")
    assert stored == tuple(attrs.evolve(first, partition=number) for number in range(3))
    assert await checkpoints.partitions("feed") == ()


async def test_of_two_that_begin_at_once_one_decides(checkpoints: CheckpointStore) -> None:
    await asyncio.gather(*(begun(checkpoints, number) for number in (3, 5, 2, 4)))
    stored = await checkpoints.partitions("mail")
    assert [each.partition for each in stored] in [list(range(n)) for n in (2, 3, 4, 5)]


async def test_what_one_member_holds_no_other_can_take(checkpoints: CheckpointStore) -> None:
    await begun(checkpoints)
    ours = await take(checkpoints, "ann", limit=3)
    theirs = await take(checkpoints, "bob")
    assert numbers(ours) + numbers(theirs) == [0, 1, 2, 3]
    assert {(each.owner, each.epoch) for each in ours} == {("ann", 1)}
    assert await take(checkpoints, "cleo") == await take(checkpoints, "ann") == ()
    assert await checkpoints.load("mail", theirs[0].partition) == theirs[0]


async def test_many_that_take_at_once_never_take_the_same(checkpoints: CheckpointStore) -> None:
    await begun(checkpoints, 32)
    found = await asyncio.gather(*(take(checkpoints, f"m{n}", limit=5) for n in range(8)))
    everything = [number for taken in found for number in numbers(taken)]
    assert len(everything) == len(set(everything))
    rest = await take(checkpoints, "last", limit=32)
    assert sorted(everything + numbers(rest)) == list(range(32))


async def test_a_lease_that_ran_out_is_taken_over_in_the_next_epoch(
    checkpoints: CheckpointStore,
) -> None:
    former, present = await taken_over(checkpoints)
    assert (former.owner, former.epoch, present.owner, present.epoch) == ("ann", 1, "bob", 2)


async def test_a_former_owner_writes_nothing(checkpoints: CheckpointStore) -> None:
    former, present = await taken_over(checkpoints)
    present = await checkpoints.advance(present, Position(2), park=[parked()])
    with pytest.raises(CheckpointConflict):
        await checkpoints.advance(former, Position(1))
    with pytest.raises(CheckpointConflict):
        await checkpoints.advance(attrs.evolve(former, position=Position(2)), Position(3))
    with pytest.raises(CheckpointConflict):
        await checkpoints.settle(former, parked())
    with pytest.raises(CheckpointConflict):
        await checkpoints.park_again(former, parked())
    assert await checkpoints.load("mail") == present
    assert len(await checkpoints.parked("mail")) == 1


async def test_a_former_owner_neither_renews_nor_releases(checkpoints: CheckpointStore) -> None:
    former, present = await taken_over(checkpoints)
    renewal = await checkpoints.renew("mail", "ann", [former], lease=2 * LONG)
    assert renewal.partitions == frozenset()
    await checkpoints.release(former)
    await checkpoints.leave("mail", "ann")
    assert await checkpoints.load("mail") == present


async def test_the_same_member_in_an_earlier_epoch_is_a_former_owner(
    checkpoints: CheckpointStore,
) -> None:
    await begun(checkpoints, 1)
    [former] = await take(checkpoints, "ann")
    await checkpoints.release(former)
    [present] = await take(checkpoints, "ann")
    renewal = await checkpoints.renew("mail", "ann", [former], lease=LONG)
    await checkpoints.release(former)
    assert (renewal.partitions, present.epoch) == (frozenset(), 2)
    assert await checkpoints.load("mail") == present


async def test_a_lease_that_is_renewed_lasts(checkpoints: CheckpointStore) -> None:
    await begun(checkpoints, 2)
    held = await take(checkpoints, "ann", lease=SHORT)
    renewal = await checkpoints.renew("mail", "ann", held[:1], lease=LONG)
    assert renewal.partitions == {held[0].partition}
    await asyncio.sleep(2 * SHORT)
    assert numbers(await take(checkpoints, "bob")) == numbers(held[1:])
    moved = await checkpoints.advance(held[0], Position(1))
    assert moved.position == 1


async def test_nobody_takes_what_ran_out_and_was_renewed_in_time(
    checkpoints: CheckpointStore,
) -> None:
    """Who comes back before anybody took over goes on: nobody has written meanwhile."""
    await begun(checkpoints, 1)
    held = await take(checkpoints, "ann", lease=SHORT)
    await asyncio.sleep(2 * SHORT)
    assert (await checkpoints.renew("mail", "ann", held, lease=LONG)).partitions == {0}
    assert await take(checkpoints, "bob") == ()


async def test_what_is_released_is_free_at_once(checkpoints: CheckpointStore) -> None:
    await begun(checkpoints, 2)
    first, second = await take(checkpoints, "ann")
    await checkpoints.advance(first, Position(4))
    await checkpoints.release(first)
    [taken] = await take(checkpoints, "bob")
    assert (taken.partition, taken.position, taken.epoch) == (first.partition, 4, 2)
    assert (await checkpoints.renew("mail", "ann", [first, second], lease=LONG)).partitions == {
        second.partition
    }


async def test_who_leaves_gives_everything_back(checkpoints: CheckpointStore) -> None:
    await begun(checkpoints)
    await checkpoints.renew("mail", "ann", await take(checkpoints, "ann"), lease=LONG)
    await checkpoints.leave("mail", "ann")
    assert (await checkpoints.renew("mail", "bob", [], lease=LONG)).members == {"bob"}
    assert numbers(await take(checkpoints, "bob")) == [0, 1, 2, 3]


async def test_members_that_are_heard_of_are_alive(checkpoints: CheckpointStore) -> None:
    await checkpoints.renew("feed", "zoe", [], lease=LONG)
    await checkpoints.renew("mail", "ann", [], lease=LONG)
    both = await checkpoints.renew("mail", "bob", [], lease=LONG)
    assert both.members == {"ann", "bob"}
    await checkpoints.renew("mail", "ann", [], lease=SHORT)
    await asyncio.sleep(2 * SHORT)
    assert (await checkpoints.renew("mail", "bob", [], lease=LONG)).members == {"bob"}
    assert (await checkpoints.renew("mail", "ann", [], lease=LONG)).members == {"ann", "bob"}


@pytest.fixture
async def server(postgres: URL) -> Any:
    engine = create_async_engine(postgres)
    await create_subscription_tables(engine)
    yield engine
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            "DROP TABLE event_checkpoints, event_parked, event_group_members"
        )
    await engine.dispose()


async def test_in_postgresql_the_clocks_of_the_processes_do_not_matter(
    server: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = SQLCheckpointStore(server)
    await begun(checkpoints, 1)
    fast = now() + timedelta(days=1)
    await take(checkpoints, "ann")
    monkeypatch.setattr("dashtam_events.subscriptions.sql._leases.now", lambda: fast)
    assert await take(checkpoints, "bob") == ()
    renewal = await checkpoints.renew("mail", "bob", [], lease=SHORT)
    stored = await checkpoints.load("mail")
    assert stored is not None
    assert stored.lease_until is not None
    assert renewal.members == {"bob"}
    assert stored.lease_until < fast


async def test_in_postgresql_a_partition_that_is_being_written_holds_nobody_up(
    server: AsyncEngine,
) -> None:
    checkpoints = SQLCheckpointStore(server)
    await begun(checkpoints, 2)
    held = await take(checkpoints, "ann", lease=SHORT)
    async with asyncio.timeout(20), server.begin() as connection:
        # As somebody who is not ended for being slow.
        await lock(connection, attrs.evolve(held[0], owner=None))
        await asyncio.sleep(2 * SHORT)
        renewal = await checkpoints.renew("mail", "ann", held, lease=SHORT)
        assert renewal.partitions == {held[1].partition}
        await asyncio.sleep(2 * SHORT)
        assert numbers(await take(checkpoints, "bob")) == [held[1].partition]
    assert numbers(await take(checkpoints, "bob")) == [held[0].partition]


async def test_in_postgresql_an_owner_that_is_paused_within_a_transaction_is_not_waited_for(
    server: AsyncEngine,
) -> None:
    checkpoints = SQLCheckpointStore(server)
    await begun(checkpoints, 1)
    [held] = await take(checkpoints, "ann", lease=SHORT)
    paused = await server.connect()
    await lock(paused, held, to=Position(1))
    async with asyncio.timeout(20):
        while not await take(checkpoints, "bob"):  # noqa: ASYNC110  # nobody says when it is free
            await asyncio.sleep(0.1)
    stored = await checkpoints.load("mail")
    assert stored is not None
    assert (stored.owner, stored.position) == ("bob", None)
    await paused.invalidate()
    await paused.close()


async def test_leases_are_not_kept_in_a_transaction_of_the_caller(server: AsyncEngine) -> None:
    async with server.begin() as connection:
        with pytest.raises(TypeError, match="engine"):
            await SQLCheckpointStore(connection).renew("mail", "ann", [], lease=LONG)
