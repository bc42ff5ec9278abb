"""A projector that is stopped deals with the event in hand, and keeps what it wrote until then."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import ColumnElement, literal_column
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import ConsumerGroup, Signal, SignalKind
from dashtam_events.subscriptions._life import Living
from dashtam_events.subscriptions.sql import Projector, SQLCheckpointStore, _leases
from tests.subscriptions.groups import append, eager
from tests.subscriptions.houses import REGISTRY
from tests.subscriptions.poison import EAGER, until
from tests.subscriptions.walls import Openings

__all__ = ["eager"]


class Slow(Openings):
    """Each event takes a while."""

    def __init__(self, seconds: float = 0.05) -> None:
        super().__init__()
        self.seconds, self.applied = seconds, 0

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await super().apply(connection, recorded)
        self.applied += 1
        await asyncio.sleep(self.seconds)


class Together(Slow):
    async def apply_batch(
        self, connection: AsyncConnection, recorded: Sequence[RecordedEvent]
    ) -> None:
        for each in recorded:
            await self.apply(connection, each)


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database ends no transaction in which this process does nothing for a while."""
    never: ColumnElement[str] = literal_column(
        "set_config('idle_in_transaction_session_timeout', '0', true)"
    )
    monkeypatch.setattr(_leases, "IDLE_NO_LONGER_THAN_LEASED", never)


async def hundred_doors() -> InMemoryEventStore:
    store = InMemoryEventStore(registry=REGISTRY)
    await append(store, streams=20, events=5)
    return store


async def stop_at(running: Living, view: Slow, number: int) -> None:
    """Run it, and stop it once so many events were applied."""
    task = asyncio.ensure_future(running.run())
    await until(lambda: view.applied >= number)
    async with asyncio.timeout(20):
        await running.stop()
        await task


async def test_it_stops_within_a_batch_and_goes_on_from_there(engine: AsyncEngine) -> None:
    store, view, heard = await hundred_doors(), Slow(), list[Signal]()
    stopping = Projector(store, view, engine, observer=heard.append)
    await stop_at(stopping, view, 3)
    written = await view.written(engine)
    [checkpoint] = await SQLCheckpointStore(engine).partitions("openings")
    assert 3 <= len(written) < 20
    assert checkpoint.position == len(written) == view.applied
    assert view.acted == list(range(1, len(written) + 1))
    assert [signal.kind for signal in heard].count(SignalKind.HANDLED) == len(written)
    view.seconds = 0.0
    await Projector(store, view, engine).run_once()
    assert len(await view.written(engine)) == view.applied == 100
    assert view.acted == list(range(1, 101))


async def test_the_partitions_of_a_group_do_so_too(engine: AsyncEngine) -> None:
    store, view = await hundred_doors(), Slow()
    group = ConsumerGroup(Projector(store, view, engine), partitions=2, lease=20.0)
    await stop_at(group, view, 3)
    assert 3 <= len(await view.written(engine)) == view.applied < 30
    view.seconds = 0.0
    async with ConsumerGroup(Projector(store, view, engine), partitions=2, lease=20.0):
        await until(lambda: len(view.acted) == 100)
    assert len(await view.written(engine)) == view.applied == 100


async def test_what_is_set_aside_behind_it_comes_again(engine: AsyncEngine) -> None:
    store, view = InMemoryEventStore(registry=REGISTRY), Slow(seconds=0.0)
    view.mistakes, parked = {0}, SQLCheckpointStore(engine).parked
    await append(store, streams=1)
    await Projector(store, view, engine, retry=EAGER).run_once()
    view.mistakes, view.seconds, view.applied = set(), 0.05, 0
    await append(store, streams=10, events=2)
    await stop_at(Projector(store, view, engine), view, 3)
    assert [each.position for _, each in await parked()] == [1, 2]
    view.seconds = 0.0
    await Projector(store, view, engine).run_once()
    assert [each.position for _, each in await parked()] == [1, 2, 12]
    assert len(await view.written(engine)) == 18


async def test_where_a_batch_is_written_together_it_is_written_to_its_end(
    engine: AsyncEngine,
) -> None:
    store, view = await hundred_doors(), Together(seconds=0.01)
    await stop_at(Projector(store, view, engine, batch_size=30), view, 3)
    assert len(await view.written(engine)) == 30


@pytest.mark.usefixtures("lenient")
async def test_a_batch_that_takes_longer_than_a_lease_is_kept_as_far_as_it_came(
    engine: AsyncEngine,
) -> None:
    store, view = InMemoryEventStore(registry=REGISTRY), Slow()
    await append(store, streams=30)
    async with ConsumerGroup(Projector(store, view, engine), partitions=1, lease=0.5):
        await until(lambda: len(view.acted) == 30)
    assert len(await view.written(engine)) == view.applied == 30


@pytest.mark.usefixtures("lenient")
async def test_an_event_that_takes_longer_than_a_lease_is_written(engine: AsyncEngine) -> None:
    store, view = InMemoryEventStore(registry=REGISTRY), Slow(seconds=0.8)
    await append(store, streams=2)
    async with ConsumerGroup(Projector(store, view, engine), partitions=1, lease=0.5):
        await until(lambda: len(view.acted) == 2)
    assert len(await view.written(engine)) == view.applied == 2


async def test_a_projection_may_stop_its_projector(engine: AsyncEngine) -> None:
    """Whatever task it is applied in."""

    class Stopping(Openings):
        async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
            await super().apply(connection, recorded)
            await projector.stop()

    projector = Projector(await hundred_doors(), view := Stopping(), engine)
    async with asyncio.timeout(20):
        await projector.run()
    assert len(await view.written(engine)) == 1
