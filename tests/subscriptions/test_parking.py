"""Events that fail for good are set aside: nothing is lost, and a stream stays in order."""

import asyncio
from collections.abc import Iterable
from ssl import SSLCertVerificationError
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_events.recorded import Position, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store import EventStore, InMemoryEventStore, SQLiteEventStore
from dashtam_events.subscriptions import (
    CheckpointStore,
    InMemoryCheckpointStore,
    ParkedEvent,
    ParkedState,
    Parking,
    Retry,
    TooManyParked,
    Verdict,
    classify,
)
from tests.subscriptions.houses import NEWER, REGISTRY, DoorOpened, WindowOpened, open_doors
from tests.subscriptions.poison import Handler, subscribed, until

FAILED, WAITING = ParkedState.FAILED, ParkedState.WAITING


async def parked(checkpoints: CheckpointStore) -> list[ParkedEvent]:
    return [each for _, each in await checkpoints.parked("doors")]


async def states(checkpoints: CheckpointStore) -> list[ParkedState]:
    return [each.state for each in await parked(checkpoints)]


async def test_a_transient_failure_is_tried_again(store: EventStore) -> None:
    handler = Handler()
    handler.failing = {1: 2}
    await open_doors(store, 1, 2)
    checkpoints = InMemoryCheckpointStore()
    await subscribed(store, checkpoints, handler).run_once()
    assert (handler.dealt, handler.tries[1]) == ([1, 2], 3)
    assert await parked(checkpoints) == []


async def test_what_fails_too_often_is_set_aside_with_where_and_without_values(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    handler.failing = {2: 99}
    await open_doors(store, 1)
    await open_doors(store, 2)
    await open_doors(store, 3)
    await subscribed(store, checkpoints, handler).run_once()
    assert (handler.dealt, handler.tries[2]) == ([1, 3], 3)
    [(name, fallen)] = await checkpoints.parked()
    assert (name, fallen.state, fallen.event_type, fallen.version) == (
        "doors",
        FAILED,
        "DoorOpened",
        1,
    )
    assert fallen.error_type == "tests.subscriptions.poison.Broken"
    assert fallen.place is not None
    assert fallen.place.startswith("tests.subscriptions.poison.Handler.__call__:")
    assert fallen.attempts == 3
    assert "secret" not in repr(fallen)


async def test_a_mistake_is_not_tried_again(store: EventStore) -> None:
    handler = Handler()
    handler.mistakes = {1}
    await open_doors(store, 1)
    checkpoints = InMemoryCheckpointStore()
    await subscribed(store, checkpoints, handler).run_once()
    assert handler.tries[1] == 1
    assert await states(checkpoints) == [FAILED]


async def test_only_its_own_stream_waits_behind_it(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    handler.mistakes = {2}
    await open_doors(store, 1, 2, 3)
    await open_doors(store, 4)
    await subscribed(store, checkpoints, handler).run_once()
    assert handler.dealt == [1, 4]
    assert await states(checkpoints) == [FAILED, WAITING]


async def test_by_choice_nothing_waits(store: EventStore, checkpoints: CheckpointStore) -> None:
    handler = Handler()
    handler.mistakes = {2}
    await open_doors(store, 1, 2, 3)
    parking = Parking(stream_waits=False, limit=1.0)
    await subscribed(store, checkpoints, handler, parking=parking).run_once()
    assert handler.dealt == [1, 3]


async def test_replayed_it_comes_with_all_that_waited_in_order(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    handler.mistakes = {2}
    await open_doors(store, 1, 2, 3, 4)
    async with subscribed(store, checkpoints, handler):
        await until(lambda: handler.dealt == [1])
        await open_doors(store, 5)
        await until(lambda: handler.dealt == [1, 5])
        handler.mistakes = set()
        assert await checkpoints.replay("doors") == 1
        await until(lambda: handler.dealt == [1, 5, 2, 3, 4])
    assert await parked(checkpoints) == []


async def test_replayed_in_vain_it_is_set_aside_again(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    handler.failing = {1: 99}
    await open_doors(store, 1, 2)
    await subscribed(store, checkpoints, handler).run_once()
    [first, _] = await parked(checkpoints)
    assert await checkpoints.replay("doors", [first.position]) == 1
    await subscribed(store, checkpoints, handler).run_once()
    assert await states(checkpoints) == [FAILED, WAITING]
    assert [each.attempts for each in await parked(checkpoints)] == [6, 0]
    assert handler.dealt == []


async def test_dropped_it_lets_go_of_its_stream(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    handler.mistakes = {1}
    await open_doors(store, 1, 2, 3)
    await subscribed(store, checkpoints, handler).run_once()
    [first, *_] = await parked(checkpoints)
    assert await checkpoints.drop("doors", [first.position]) == 1
    await subscribed(store, checkpoints, handler).run_once()
    assert handler.dealt == [2, 3]
    assert await checkpoints.drop("doors") == 0


async def test_what_is_parked_is_listed_page_by_page(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    handler.mistakes = {1, 2, 3}
    for number in (1, 2, 3):
        await open_doors(store, number)
    await subscribed(store, checkpoints, handler).run_once()
    [(_, first)] = await checkpoints.parked("doors", limit=1)
    rest = await checkpoints.parked("doors", after=first.position)
    assert len(rest) == 2
    assert await checkpoints.parked("windows") == ()


async def test_what_cannot_be_read_is_set_aside(
    from_elsewhere: Any, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    async with SQLiteEventStore(from_elsewhere, registry=REGISTRY) as store:
        subscription = subscribed(store, checkpoints, handler)
        await subscription.run_once()
        [fallen] = await parked(checkpoints)
        assert (fallen.error_type, fallen.event_type) == ("FutureSchemaVersion", "WindowOpened")
        await checkpoints.replay("doors")
        await subscription.run_once()
        assert await states(checkpoints) == [FAILED]
    assert handler.dealt == [1, 3]
    async with SQLiteEventStore(from_elsewhere, registry=NEWER) as store:
        await checkpoints.replay("doors")
        await subscribed(store, checkpoints, handler).run_once()
    assert handler.dealt == [1, 3, 2]


async def test_what_nobody_knows_is_set_aside(
    from_elsewhere: Any, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    older = EventRegistry([DoorOpened])
    async with SQLiteEventStore(from_elsewhere, registry=older) as store:
        await subscribed(store, checkpoints, handler).run_once()
    [fallen] = await parked(checkpoints)
    assert (fallen.error_type, fallen.place) == ("UnknownEvent", "WindowOpened")
    assert handler.dealt == [1, 3]


async def test_too_many_failures_stop_it_and_what_failed_is_kept(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    handler.mistakes = set(range(100))
    for number in range(30):
        await open_doors(store, number)
    parking = Parking(limit=0.5, at_least=5, window=20)
    with pytest.raises(TooManyParked) as raised:
        await subscribed(store, checkpoints, handler, parking=parking).run()
    assert (raised.value.failed, raised.value.dealt) == (5, 5)
    assert len(await parked(checkpoints)) == 5
    handler.mistakes = set()
    await subscribed(store, checkpoints, handler).run_once()
    assert handler.dealt == list(range(5, 30))


async def test_few_failures_among_many_do_not_stop_it(store: EventStore) -> None:
    handler = Handler()
    handler.mistakes = {0, 10, 20, 30}
    for number in range(40):
        await open_doors(store, number)
    parking = Parking(limit=0.5, at_least=2, window=20)
    await subscribed(store, InMemoryCheckpointStore(), handler, parking=parking).run_once()
    assert len(handler.dealt) == 36


def test_pauses_grow_to_a_limit_and_differ() -> None:
    longest = Retry(first=1.0, most=6.0, random=lambda: 1.0)
    assert [longest.pause(attempt) for attempt in (1, 2, 3, 4, 500)] == [1.0, 2.0, 4.0, 6.0, 6.0]
    assert Retry(first=1.0, random=lambda: 0.0).pause(1) == 0.5


def test_mistakes_are_permanent_and_the_rest_may_pass() -> None:
    mistakes = (TypeError(), KeyError(), ValueError(), ZeroDivisionError(), AssertionError())
    assert {classify(each) for each in mistakes} == {Verdict.PERMANENT}
    passing = (OSError(), TimeoutError(), RuntimeError(), SSLCertVerificationError())
    assert {classify(each) for each in passing} == {Verdict.TRANSIENT}


async def test_a_parked_event_that_was_dropped_meanwhile_is_no_error(
    checkpoints: CheckpointStore,
) -> None:
    store, handler = InMemoryEventStore(registry=REGISTRY), Handler()
    handler.mistakes = {1}
    await open_doors(store, 1)
    await subscribed(store, checkpoints, handler).run_once()
    handler.mistakes = set()

    async def handle(recorded: Any) -> None:
        await checkpoints.drop("doors")
        await handler(recorded)

    await checkpoints.replay("doors")
    await subscribed(store, checkpoints, handle).run_once()
    assert handler.dealt == [1]
    assert await parked(checkpoints) == []


Step = tuple[str, int]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2)),
        st.tuples(st.sampled_from(["fail", "mend", "replay", "drop", "run"]), st.integers(0, 12)),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=150)
@given(steps=steps, batch_size=st.integers(1, 4))
def test_whatever_fails_nothing_is_lost_and_each_stream_stays_in_order(
    steps: list[Step], batch_size: int
) -> None:
    asyncio.run(_check_model(steps, batch_size))


async def _check_model(steps: Iterable[Step], batch_size: int) -> None:
    """Three streams, a handler that breaks and is mended, replays and drops in between."""
    store, checkpoints = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    handler, streams = Handler(), [StreamId("house", uuid4()) for _ in range(3)]
    appended, dropped = 0, set[int]()

    async def run() -> None:
        await subscribed(store, checkpoints, handler, batch_size=batch_size).run_once()

    for step, number in steps:
        if step == "append":
            await store.append(streams[number], [WindowOpened(number=appended)])
            appended += 1
        elif step == "fail":
            handler.mistakes.add(number)
        elif step == "mend":
            handler.mistakes.discard(number)
        elif step == "replay":
            await checkpoints.replay("doors")
        elif step == "drop":
            position = Position(number + 1)
            if await checkpoints.drop("doors", [position]):
                dropped.add(number)
        else:
            await run()
    handler.mistakes = set()
    await run()
    await checkpoints.replay("doors")
    await run()
    assert sorted(handler.dealt) == sorted(set(range(appended)) - dropped)
    for stream in streams:
        versions = [each.version for each in handler.seen if each.stream == stream]
        assert versions == sorted(versions)


@pytest.mark.parametrize(
    ("kind", "name", "number"),
    [
        (Retry, "attempts", 0),
        (Retry, "first", -1),
        (Retry, "most", -1),
        (Parking, "limit", -1),
        (Parking, "at_least", 0),
        (Parking, "window", 0),
    ],
)
def test_numbers_that_mean_nothing_are_refused(kind: Any, name: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"'{name}' must be >="):
        kind(**{name: number})
