"""A projection that the members of a group write together."""

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from dashtam_events.recorded import StreamId
from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import (
    ConsumerGroup,
    Parking,
    PartitionMismatch,
    ProjectionOutdated,
    partition_of,
)
from dashtam_events.subscriptions.sql import Projector, SQLCheckpointStore, rebuild
from tests.subscriptions.groups import LEASE, append, eager
from tests.subscriptions.houses import REGISTRY
from tests.subscriptions.poison import until
from tests.subscriptions.walls import DoubleOpenings, Openings

__all__ = ["eager"]


async def test_a_projection_of_a_group_is_written_exactly_once(engine: AsyncEngine) -> None:
    store, view = InMemoryEventStore(registry=REGISTRY), Openings()
    await append(store, events=3)
    ann, bob = (
        ConsumerGroup(
            Projector(store, view, engine, batch_size=7, poll=0.05),
            partitions=8,
            lease=LEASE,
            member=name,
        )
        for name in ("ann", "bob")
    )
    async with ann:
        await until(lambda: len(ann._holdings) == 8)
        async with bob:
            await append(store, events=2)
            await written(view, engine, 100)
        await append(store)
        await written(view, engine, 120)
    with pytest.raises(PartitionMismatch):
        await Projector(store, view, engine).run_once()
    assert await SQLCheckpointStore(engine).parked() == ()


async def test_a_projection_of_a_group_is_rebuilt_beside_it(engine: AsyncEngine) -> None:
    """Also where its partitions have come to different positions, and with what is parked."""
    store, view = InMemoryEventStore(registry=REGISTRY), Openings()
    checkpoints, mended = SQLCheckpointStore(engine), Openings()
    view.mistakes = {7}
    projector = Projector(store, view, engine, poll=0.05, parking=Parking(limit=1.0))
    group = ConsumerGroup(projector, partitions=8, lease=LEASE, member="ann")
    await append(store)
    async with group:
        await until(lambda: len(group._holdings) == 8)
        await written(view, engine, 19)
    slow = await checkpoints.acquire("openings", "slow", limit=4, lease=60.0)
    await append(store, events=2)
    behind = sum(partition_of(StreamId("house", str(n)), 8) < len(slow) for n in range(20))
    async with group:
        await written(view, engine, 57 - 2 * behind)
        await rebuild(store, view, engine)
        assert len(await view.written(engine)) == 57 - 2 * behind
        await append(store)
        await checkpoints.leave("openings", "slow")
        await written(view, engine, 76)
    stuck = StreamId("house", "7")
    for each in await checkpoints.partitions("openings"):
        is_its = each.partition == partition_of(stuck, 8)
        assert await checkpoints.parked_streams(each) == ({stuck} if is_its else set())
    await checkpoints.replay("openings")
    async with ConsumerGroup(Projector(store, mended, engine), partitions=8):
        await written(mended, engine, 80)
    assert await checkpoints.parked() == ()


async def written(view: Openings, engine: AsyncEngine, expected: int) -> None:
    counted = select(func.count()).select_from(view.journal)
    async with asyncio.timeout(30), engine.connect() as connection:
        while await connection.scalar(counted) != expected:
            await connection.rollback()
            await asyncio.sleep(0.05)
    assert len(await view.written(engine)) == expected


async def test_a_group_of_another_version_of_a_projection_does_not_begin(
    engine: AsyncEngine,
) -> None:
    store = InMemoryEventStore(registry=REGISTRY)
    async with ConsumerGroup(Projector(store, Openings(), engine), partitions=2) as member:
        await until(lambda: len(member._holdings) == 2)
    with pytest.raises(ProjectionOutdated):
        await ConsumerGroup(Projector(store, DoubleOpenings(), engine), partitions=2).run()
