"""A store or an inbox that is busy or away, as a handler meets it: waited for, nothing parked."""

import pytest

from dashtam_events.errors import StoreBusy, StoreUnavailable
from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import EventStore, InMemoryEventStore
from dashtam_events.subscriptions import (
    CheckpointStore,
    CheckpointUnavailable,
    ConsumerGroup,
    InboxUnavailable,
    InMemoryCheckpointStore,
    Parking,
    Retry,
    SubscriptionState,
)
from dashtam_events.testing import FaultyEventStore
from tests.subscriptions.houses import REGISTRY, open_doors
from tests.subscriptions.poison import Handler, subscribed, until

AWAY = [
    StoreBusy("store", 5.0),
    StoreUnavailable("store", "gone"),
    InboxUnavailable("ledger", "OperationalError"),
    CheckpointUnavailable("elsewhere", "OperationalError"),
]
away = pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)


def failing_at(number: int, times: int, error: Exception) -> Handler:
    handler = Handler()
    handler.failing, handler.error = {number: times}, error
    return handler


@away
@pytest.mark.parametrize("in_group", [False, True])
async def test_the_event_comes_until_it_is_over_and_those_before_it_do_not_come_again(
    store: EventStore, error: Exception, in_group: bool
) -> None:
    await open_doors(store, 1, 2, 3)
    kept, handler = InMemoryCheckpointStore(), failing_at(2, 50, error)
    alone = subscribed(store, kept, handler, parking=Parking())
    async with ConsumerGroup(alone, partitions=1) if in_group else alone:
        await until(lambda: handler.dealt == [1, 2, 3])
    assert handler.tries == {1: 1, 2: 51, 3: 1}
    assert await kept.parked() == ()


@away
async def test_run_once_raises_it_and_goes_on_from_there(
    store: EventStore, checkpoints: CheckpointStore, error: Exception
) -> None:
    await open_doors(store, 1, 2, 3)
    handler = failing_at(2, 1, error)
    with pytest.raises(type(error)):
        await subscribed(store, checkpoints, handler).run_once()
    await subscribed(store, checkpoints, handler).run_once()
    assert handler.dealt == [1, 2, 3]


async def test_health_says_that_it_tries_again_and_for_what() -> None:
    store = InMemoryEventStore(registry=REGISTRY)
    await open_doors(store, 1)
    handler, patient = failing_at(1, 1, StoreBusy("store", 5.0)), Retry(first=60.0, most=60.0)
    async with subscribed(store, InMemoryCheckpointStore(), handler, retry=patient) as subscription:
        await until(lambda: handler.tries[1] == 1)
        health = await subscription.health()
    assert health.state is SubscriptionState.RETRYING
    assert health.last_error is not None
    assert health.last_error.type == "StoreBusy"


async def test_what_was_parked_for_good_waits_for_the_store_when_it_is_replayed(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await open_doors(store, 1, 2)
    handler = Handler()
    handler.mistakes = {1}
    await subscribed(store, checkpoints, handler).run_once()
    mended = failing_at(1, 20, StoreUnavailable("store", "gone"))
    await checkpoints.replay("doors")
    async with subscribed(store, checkpoints, mended):
        await until(lambda: mended.dealt == [1, 2])
    assert await checkpoints.parked() == ()


async def test_a_handler_that_appends_to_a_store_that_is_away() -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    other = FaultyEventStore(InMemoryEventStore(registry=REGISTRY))
    for nth in range(1, 30):
        other.fail(on="append", nth=nth)

    async def copy(recorded: RecordedEvent) -> None:
        await other.append(recorded.stream, [recorded.event])

    await open_doors(store, 1, 2, 3)
    async with subscribed(store, kept, copy):
        await until(lambda: other.unfired == 0)
    await subscribed(store, kept, copy).run_once()
    assert len([each async for each in other.read_all()]) == 3
    assert await kept.parked() == ()
