"""A subscription: everything at least once, in order, from where it left off."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from dashtam_events.errors import StoreUnavailable
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store import EventStore, InMemoryEventStore
from dashtam_events.subscriptions import (
    NOW,
    CheckpointConflict,
    CheckpointStore,
    CheckpointUnavailable,
    InMemoryCheckpointStore,
    Retry,
    Signal,
    SignalKind,
    SubscriptionState,
)
from tests.subscriptions.houses import REGISTRY, DoorOpened, open_doors, open_windows
from tests.subscriptions.poison import Handler, subscribed, until


async def test_what_was_and_what_comes(store: EventStore, checkpoints: CheckpointStore) -> None:
    handler = Handler()
    await open_doors(store, 1, 2)
    async with subscribed(store, checkpoints, handler):
        await until(lambda: handler.dealt == [1, 2])
        await open_doors(store, 3)
        await until(lambda: handler.dealt == [1, 2, 3])


async def test_another_process_goes_on_where_the_first_one_stopped(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    first, second = Handler(), Handler()
    await open_doors(store, *range(250))
    assert await subscribed(store, checkpoints, first).run_once() == await store.last_position()
    await open_doors(store, 250)
    await subscribed(store, checkpoints, second).run_once()
    assert (len(first.dealt), second.dealt) == (250, [250])


async def test_filters_hold_and_the_rest_is_not_read_again(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler, somebody = Handler(), uuid4()
    await open_doors(store, 1)
    await open_doors(store, 2, user_id=somebody)
    await open_windows(store, 3)
    wanted = {"types": [DoorOpened], "categories": ["doors"], "subject": somebody}
    await subscribed(store, checkpoints, handler, **wanted).run_once()
    assert handler.dealt == [2]
    kept = await checkpoints.load("doors")
    assert kept is not None
    assert kept.position == await store.last_position()


async def test_it_may_start_now_and_that_is_kept(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    await open_doors(store, 1)
    await subscribed(store, checkpoints, handler, start=NOW).run_once()
    await open_doors(store, 2)
    await subscribed(store, checkpoints, handler, start=NOW).run_once()
    assert handler.dealt == [2]


async def test_it_may_start_behind_a_position(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    await open_doors(store, 1, 2)
    [first] = [recorded async for recorded in store.read_all(limit=1)]
    await subscribed(store, checkpoints, handler, start=first.position).run_once()
    assert handler.dealt == [2]


@pytest.mark.parametrize(("hour", "expected"), [(0, [0, 1, 2]), (1, [1, 2]), (9, [])])
async def test_it_may_start_at_a_time(hour: int, expected: list[int]) -> None:
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    times = iter([begin + timedelta(hours=hour) for hour in range(3)])
    store = InMemoryEventStore(registry=REGISTRY, clock=lambda: next(times))
    for number in range(3):
        await open_doors(store, number)
    handler = Handler()
    start = begin + timedelta(hours=hour)
    await subscribed(store, InMemoryCheckpointStore(), handler, start=start).run_once()
    assert handler.dealt == expected


async def test_a_time_to_come_is_refused_and_not_needed_once_it_has_begun(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    """Only a position is kept, so that what comes before that time would be delivered."""
    handler, later = Handler(), datetime.now(UTC) + timedelta(minutes=1)
    with pytest.raises(ValueError, match="still to come"):
        await subscribed(store, checkpoints, handler, start=later).run_once()
    assert await checkpoints.load("doors") is None
    await subscribed(store, checkpoints, handler, start=datetime.now(UTC)).run_once()
    await open_doors(store, 1)
    await subscribed(store, checkpoints, handler, start=later).run_once()
    assert handler.dealt == [1]


@pytest.mark.parametrize("poll", [0, -1, float("nan")])
async def test_it_looks_again_after_some_time(store: EventStore, poll: float) -> None:
    with pytest.raises(ValueError, match="'poll' must be > 0"):
        subscribed(store, InMemoryCheckpointStore(), Handler(), poll=poll)


async def test_a_time_to_start_from_has_a_zone(store: EventStore) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  # what is refused
    with pytest.raises(ValueError, match="aware"):
        await subscribed(store, InMemoryCheckpointStore(), Handler(), start=naive).run_once()


async def test_stopping_waits_for_the_event_in_hand_and_keeps_the_progress(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await open_doors(store, 1, 2, 3)
    at_work, go_on, dealt = asyncio.Event(), asyncio.Event(), []

    async def handle(recorded: RecordedEvent) -> None:
        at_work.set()
        await go_on.wait()
        dealt.append(recorded.event.number)  # type: ignore[attr-defined]  # all of these have one

    subscription = subscribed(store, checkpoints, handle)
    async with subscription:
        await at_work.wait()
        stopping = asyncio.ensure_future(subscription.stop())
        await asyncio.sleep(0.02)
        assert not stopping.done()
        go_on.set()
        await stopping
        assert dealt == [1]
    again = Handler()
    await subscribed(store, checkpoints, again).run_once()
    assert again.dealt == [2, 3]


async def test_a_handler_may_stop_its_subscription(store: EventStore) -> None:
    await open_doors(store, 1, 2)

    async def handle(_recorded: RecordedEvent) -> None:
        await subscription.stop()

    checkpoints = InMemoryCheckpointStore()
    subscription = subscribed(store, checkpoints, handle)
    async with asyncio.timeout(20):
        await subscription.run()
    rest = Handler()
    await subscribed(store, checkpoints, rest).run_once()
    assert rest.dealt == [2]


async def test_a_handler_that_never_waits_lets_others_in_between_batches(store: EventStore) -> None:
    await open_doors(store, *range(1, 31))
    handler = Handler()
    async with subscribed(store, InMemoryCheckpointStore(), handler, batch_size=10):
        while not handler.dealt:  # noqa: ASYNC110  # no more than a turn of the loop
            await asyncio.sleep(0)
    assert len(handler.dealt) < 30


async def test_stopping_ends_a_pause(store: EventStore) -> None:
    handler = Handler()
    handler.failing = {1: 99}
    await open_doors(store, 1)
    checkpoints = InMemoryCheckpointStore()
    slow = Retry(first=1000.0, most=1000.0)
    subscription = subscribed(store, checkpoints, handler, retry=slow)
    async with asyncio.timeout(20), subscription:
        await until(lambda: handler.tries[1] == 1)
        await until(lambda: subscription._state is SubscriptionState.RETRYING)
        await subscription.stop()
    assert await checkpoints.parked() == ()
    again = Handler()
    await subscribed(store, checkpoints, again).run_once()
    assert again.dealt == [1]


async def test_cancelled_it_ends_at_once_and_the_batch_comes_again(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await open_doors(store, 1, 2)
    stuck, before = asyncio.Event(), asyncio.all_tasks()

    async def handle(recorded: RecordedEvent) -> None:
        if recorded.version == 2:
            stuck.set()
            await asyncio.Event().wait()

    running = asyncio.ensure_future(subscribed(store, checkpoints, handle).run())
    await stuck.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.all_tasks() == before
    again = Handler()
    await subscribed(store, checkpoints, again).run_once()
    assert again.dealt == [1, 2]


async def test_cancelled_while_it_waits_it_leaves_nothing_behind(store: EventStore) -> None:
    await store.wait(after=None, timeout=0.01)  # a store may have tasks of its own from then on
    before = asyncio.all_tasks()
    running = asyncio.ensure_future(subscribed(store, InMemoryCheckpointStore(), Handler()).run())
    await asyncio.sleep(0.03)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: asyncio.all_tasks() <= before)


async def test_of_two_under_one_name_one_steps_back(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await open_doors(store, *range(40))
    meeting = asyncio.Barrier(2)

    class Meeting(Handler):
        async def __call__(self, recorded: RecordedEvent) -> None:
            if not self.dealt:
                await meeting.wait()
            await super().__call__(recorded)

    handlers = [Meeting(), Meeting()]
    racing = [subscribed(store, checkpoints, each, batch_size=7).run_once() for each in handlers]
    ended = await asyncio.gather(*racing, return_exceptions=True)
    lost = [each for each in ended if isinstance(each, CheckpointConflict)]
    assert len(lost) == 1
    assert max(handlers, key=lambda each: len(each.dealt)).dealt == list(range(40))


async def test_it_runs_once_at_a_time(store: EventStore) -> None:
    subscription = subscribed(store, InMemoryCheckpointStore(), Handler())
    async with subscription:
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already"):
            await subscription.run_once()


async def test_not_more_than_a_batch_is_in_hand() -> None:
    class Counting(InMemoryEventStore):
        asked: ClassVar[list[Any]] = []

        async def read_all(self, **asked: Any) -> Any:
            self.asked.append(asked["limit"])
            async for recorded in super().read_all(**asked):
                yield recorded

    store = Counting(registry=REGISTRY)
    await open_doors(store, *range(20))
    handler = Handler()
    await subscribed(store, InMemoryCheckpointStore(), handler, batch_size=5).run_once()
    assert handler.dealt == list(range(20))
    assert max(store.asked) == 5


async def test_health_says_how_far_it_is(store: EventStore, checkpoints: CheckpointStore) -> None:
    handler = Handler()
    handler.mistakes = {2}
    subscription = subscribed(store, checkpoints, handler)
    await open_doors(store, 1, 2)
    before = await subscription.health()
    assert (before.state, before.position, before.lag_events) == (SubscriptionState.IDLE, None, 2)
    assert before.lag_seconds is not None
    assert before.lag_seconds > 0.0
    await subscription.run_once()
    after = await subscription.health()
    assert (after.lag_events, after.lag_seconds, after.parked_streams) == (0, 0.0, 1)
    assert after.position == await store.last_position()
    assert after.last_error is not None
    assert after.last_error.type == "ValueError"
    assert "secret" not in repr(after)
    assert (await subscribed(store, checkpoints, handler).health()).lag_events == 0


async def test_the_observer_hears_of_everything_and_harms_nobody(store: EventStore) -> None:
    heard: list[Signal] = []

    def observe(signal: Signal) -> None:
        heard.append(signal)
        raise LookupError

    handler = Handler()
    handler.mistakes, handler.failing = {3}, {2: 1}
    await open_doors(store, 1, 2, 3)
    checkpoints = InMemoryCheckpointStore()
    await subscribed(store, checkpoints, handler, observer=observe).run_once()
    kinds = SignalKind
    assert [each.kind for each in heard] == [
        *(kinds.HANDLED, kinds.RETRYING, kinds.HANDLED, kinds.SAVED, kinds.PARKED)
    ]
    assert heard[-1].event_type == "DoorOpened"
    assert "secret" not in repr(heard)


async def test_while_the_checkpoints_are_away_it_tries_again(store: EventStore) -> None:
    class Away(InMemoryCheckpointStore):
        left = 3

        async def advance(self, *asked: Any, **more: Any) -> Any:
            if self.left:
                self.left -= 1
                raise CheckpointUnavailable("doors", "OSError")
            return await super().advance(*asked, **more)

    handler, checkpoints = Handler(), Away()
    await open_doors(store, 1)
    async with subscribed(store, checkpoints, handler):
        await until(lambda: len(handler.dealt) == 4)
    assert handler.dealt == [1] * 4


async def test_while_the_store_is_away_it_tries_again() -> None:
    class Away(InMemoryEventStore):
        left = 2

        async def last_position(self) -> Position | None:
            if self.left:
                self.left -= 1
                raise StoreUnavailable("store", "gone")
            return await super().last_position()

    store, handler = Away(registry=REGISTRY), Handler()
    await open_doors(store, 1)
    async with subscribed(store, InMemoryCheckpointStore(), handler):
        await until(lambda: handler.dealt == [1])


async def test_what_ends_it_is_raised_at_the_end_of_the_block(store: EventStore) -> None:
    checkpoints = InMemoryCheckpointStore()
    handler = Handler()
    await open_doors(store, 1)

    async def handle(recorded: RecordedEvent) -> None:
        if not handler.dealt:
            await handler(recorded)
            await subscribed(store, checkpoints, handler).run_once()

    subscription = subscribed(store, checkpoints, handle)
    await subscription.__aenter__()
    with pytest.raises(CheckpointConflict):
        await subscription.finished()
    with pytest.raises(CheckpointConflict, match="another runner"):
        await subscription.__aexit__(None, None, None)
    assert (await subscription.health()).state is SubscriptionState.FAILED
