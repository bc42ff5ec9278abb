"""A checkpoint behind which the log has lost events is told, and nothing new is passed over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from dashtam_events.bus import InMemoryEventBus
from dashtam_events.processes import ProcessRunner
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store import EventStore, InMemoryEventStore
from dashtam_events.subscriptions import (
    Checkpoint,
    CheckpointAhead,
    CheckpointStore,
    ConsumerGroup,
    InMemoryCheckpointStore,
    Relay,
    SubscriptionState,
)
from dashtam_events.subscriptions.sql import Projector, SQLCheckpointStore
from tests.processes.orders import REGISTRY as ORDERS
from tests.processes.orders import Watch
from tests.subscriptions.houses import REGISTRY, DoorOpened, open_doors
from tests.subscriptions.poison import EAGER, Handler, subscribed, until
from tests.subscriptions.walls import Openings


def at(position: int, name: str = "doors") -> Checkpoint:
    return Checkpoint(subscription=name, position=Position(position))


class Restored(InMemoryEventStore):
    """A store that can be set back to what it was."""

    before: InMemoryEventStore | None = None

    async def read_all(self, **asked: Any) -> AsyncIterator[RecordedEvent]:
        reading = self.before.read_all(**asked) if self.before else super().read_all(**asked)
        async for recorded in reading:
            yield recorded

    async def last_position(self) -> Position | None:
        return await (self.before.last_position() if self.before else super().last_position())


async def test_where_the_log_ends_before_the_checkpoint_nothing_is_passed_over(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await checkpoints.begin(at(500))
    await open_doors(store, 1, 2, 3)
    handler = Handler()
    subscription = subscribed(store, checkpoints, handler)
    for run in (subscription.run, subscription.run_once):
        with pytest.raises(CheckpointAhead) as raised:
            await run()
        error = raised.value
        assert (error.subscription, error.position, error.last) == ("doors", 500, 3)
    health = await subscription.health()
    assert health.state is SubscriptionState.FAILED
    assert health.last_error is not None
    assert health.last_error.type.endswith("CheckpointAhead")
    assert handler.dealt == []


async def test_so_is_a_log_that_is_empty(store: EventStore, checkpoints: CheckpointStore) -> None:
    await checkpoints.begin(at(1))
    with pytest.raises(CheckpointAhead, match="at position 1, but the log ends at 0"):
        await subscribed(store, checkpoints, Handler()).run_once()


async def test_set_back_to_the_end_of_the_log_it_goes_on(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await checkpoints.begin(at(500))
    await open_doors(store, 1, 2)
    handler, last = Handler(), await store.last_position()
    for stored in await checkpoints.partitions("doors"):
        await checkpoints.advance(stored, last)
    await open_doors(store, 3)
    await subscribed(store, checkpoints, handler).run_once()
    assert handler.dealt == [3]


@pytest.mark.parametrize("types", [None, (DoorOpened,)])
@pytest.mark.parametrize("partitions", [None, 1, 4])
async def test_it_is_noticed_while_it_waits_for_more(types: Any, partitions: int | None) -> None:
    store, handler = Restored(registry=REGISTRY), Handler()
    await open_doors(store, *range(30))
    earlier = InMemoryEventStore(registry=REGISTRY)
    await open_doors(earlier, *range(5))
    runner = subscribed(store, InMemoryCheckpointStore(), handler, types=types)
    running = runner if partitions is None else ConsumerGroup(runner, partitions=partitions)
    task = asyncio.create_task(running.run())
    await until(lambda: len(handler.dealt) == 30)
    store.before = earlier
    with pytest.raises(CheckpointAhead):
        await asyncio.wait_for(task, 20)
    assert len(handler.dealt) == 30


async def test_a_group_notices_it_in_each_partition(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    first = await checkpoints.begin(at(2), partitions=4)
    await checkpoints.advance(first, Position(50))
    await open_doors(store, 1, 2, 3)
    with pytest.raises(CheckpointAhead):
        await ConsumerGroup(subscribed(store, checkpoints, Handler()), partitions=4).run()


async def test_a_relay_and_a_process_runner_notice_it() -> None:
    kept = InMemoryCheckpointStore()
    await kept.begin(at(9, "relay"))
    await kept.begin(at(9, "watch"))
    store = InMemoryEventStore(registry=ORDERS)
    with pytest.raises(CheckpointAhead):
        await Relay(store, InMemoryEventBus(), checkpoints=kept).run_once()

    async def execute(_command: Any) -> None:
        raise AssertionError

    with pytest.raises(CheckpointAhead):
        await ProcessRunner(Watch, store, execute, checkpoints=kept).run_once()


async def test_a_projector_notices_it_and_writes_nothing(engine: AsyncEngine) -> None:
    store, view = InMemoryEventStore(registry=REGISTRY), Openings()
    projector = Projector(store, view, engine, retry=EAGER)
    await open_doors(store, 1)
    await projector.run_once()
    kept = SQLCheckpointStore(engine)
    for stored in await kept.partitions(view.name):
        await kept.advance(stored, Position(9))
    await open_doors(store, 2)
    with pytest.raises(CheckpointAhead):
        await projector.run_once()
    assert await view.written(engine) == [1]


async def test_a_start_that_the_log_has_not_reached_is_refused_and_not_kept(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await open_doors(store, 1)
    with pytest.raises(CheckpointAhead):
        await subscribed(store, checkpoints, Handler(), start=Position(7)).run_once()
    assert await checkpoints.partitions("doors") == ()


async def test_what_is_parked_is_still_there_when_the_store_is_mended(
    checkpoints: CheckpointStore,
) -> None:
    store, handler = Restored(registry=REGISTRY), Handler()
    await open_doors(store, *range(5))
    handler.mistakes = {4}
    await subscribed(store, checkpoints, handler).run_once()
    await checkpoints.replay("doors")
    store.before = InMemoryEventStore(registry=REGISTRY)
    with pytest.raises(CheckpointAhead):
        await subscribed(store, checkpoints, handler).run_once()
    assert len(await checkpoints.parked("doors")) == 1
