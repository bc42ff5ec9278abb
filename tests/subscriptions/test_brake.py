"""A subscription stops where too much of what came lately was set aside, also when started anew."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Column
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store import EventStore, InMemoryEventStore, SQLiteEventStore
from dashtam_events.subscriptions import (
    Checkpoint,
    CheckpointStore,
    CheckpointUnavailable,
    ConsumerGroup,
    InMemoryCheckpointStore,
    ParkedState,
    Parking,
    Subscription,
    SubscriptionState,
    TooManyParked,
)
from dashtam_events.subscriptions._batches import Filter
from dashtam_events.subscriptions._lately import lately
from dashtam_events.subscriptions._log import WholeLog
from dashtam_events.subscriptions.partitions import partition_of
from dashtam_events.subscriptions.retrying import FailureWindow
from dashtam_events.subscriptions.sql import Projection, Projector
from tests.subscriptions.houses import REGISTRY, DoorOpened, WindowOpened, open_doors
from tests.subscriptions.poison import Handler, subscribed, until

FAILED, WAITING = ParkedState.FAILED, ParkedState.WAITING


def braked(store: EventStore, kept: CheckpointStore, handler: Any, **options: Any) -> Subscription:
    return subscribed(store, kept, handler, **{"parking": Parking(), **options})


def failing(numbers: Collection[int]) -> Handler:
    handler = Handler()
    handler.mistakes = set(numbers)
    return handler


async def in_streams(store: EventStore, streams: int, rounds: int) -> None:
    """Numbers from 0, one stream after the other, and so on in rounds."""
    for number in range(streams * rounds):
        stream = StreamId("house", str(number % streams))
        await store.append(stream, [DoorOpened(number=number)])


async def test_few_streams_of_which_all_fails_stop_it(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await in_streams(store, streams=9, rounds=4)
    with pytest.raises(TooManyParked) as raised:
        await braked(store, checkpoints, failing(range(36))).run_once()
    assert (raised.value.failed, raised.value.waiting, raised.value.dealt) == (9, 1, 10)
    assert len(await checkpoints.parked()) == 10


async def test_three_streams_of_which_all_waits_stop_it() -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    await in_streams(store, streams=3, rounds=40)
    with pytest.raises(TooManyParked, match="7 behind them"):
        await braked(store, kept, failing([0, 1, 2])).run_once()


@pytest.mark.parametrize("streams", [1, 2])
async def test_one_or_two_streams_that_fail_never_stop_it(streams: int) -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    await in_streams(store, streams=streams, rounds=150)
    for _ in range(2):
        await braked(store, kept, failing(range(300))).run_once()
    assert len(await kept.parked()) == 150 * streams
    await store.append(StreamId("house", "other"), [DoorOpened(number=999)])
    mended = Handler()
    await braked(store, kept, mended).run_once()
    assert mended.dealt == [999]


async def test_a_stream_that_is_alone_in_its_partition_does_not_stop_a_group() -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    await in_streams(store, streams=30, rounds=30)
    parts = [partition_of(StreamId("house", str(number)), 64) for number in range(30)]
    alone = next(number for number, part in enumerate(parts) if parts.count(part) == 1)
    handler = failing([alone])
    async with ConsumerGroup(braked(store, kept, handler), partitions=64) as group:
        await until(lambda: len(handler.dealt) == 29 * 30)
        async with asyncio.timeout(20):
            while len(await kept.parked()) < 30:  # noqa: ASYNC110  # it rings no bell
                await asyncio.sleep(0.005)
        await in_streams(store, streams=30, rounds=1)
        await until(lambda: len(handler.dealt) == 29 * 31)
        assert (await group.health()).state is SubscriptionState.RUNNING


class Away(InMemoryCheckpointStore):
    """Cannot be reached for the first so many times that something is to be kept."""

    left = 12

    async def advance(self, *given: Any, **options: Any) -> Checkpoint:
        if self.left:
            self.left -= 1
            raise CheckpointUnavailable("doors", "away")
        return await super().advance(*given, **options)


async def test_what_comes_again_because_it_could_not_be_kept_counts_once() -> None:
    store, kept, handler = InMemoryEventStore(registry=REGISTRY), Away(), failing([2])
    await in_streams(store, streams=5, rounds=1)
    async with braked(store, kept, handler):
        await until(lambda: kept.left == 0 and handler.dealt[-1:] == [4])
        await open_doors(store, 5)
        await until(lambda: handler.dealt[-1:] == [5])
    assert [each.position for _, each in await kept.parked()] == [3]


async def test_too_much_is_set_aside_once_it_can_be_kept() -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), Away()
    await in_streams(store, streams=40, rounds=1)
    with pytest.raises(TooManyParked) as raised:
        async with asyncio.timeout(20):
            await braked(store, kept, failing(range(40))).run()
    assert (raised.value.failed, raised.value.dealt) == (10, 10)
    assert len(await kept.parked()) == 10


async def test_a_stream_that_waits_does_not_stop_the_many_that_do_not() -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    await in_streams(store, streams=3, rounds=100)
    handler = failing([0])
    await braked(store, kept, handler).run_once()
    assert len(handler.dealt) == 200
    assert len(await kept.parked()) == 100


async def test_a_release_that_lacks_a_type_stops_whatever_waits_behind_it(tmp_path: Any) -> None:
    kept, handler = InMemoryCheckpointStore(), Handler()
    async with SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY) as store:
        for number in range(30):
            both = [WindowOpened(number=number), DoorOpened(number=number)]
            await store.append(StreamId("house", str(number % 6)), both)
    lacking = EventRegistry([DoorOpened])
    async with SQLiteEventStore(tmp_path / "events.db", registry=lacking) as store:
        with pytest.raises(TooManyParked):
            await braked(store, kept, handler).run_once()
    assert len(await kept.parked()) == 10


async def test_started_again_it_sets_nothing_more_aside(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await in_streams(store, streams=40, rounds=1)
    for _ in range(3):
        with pytest.raises(TooManyParked):
            await braked(store, checkpoints, failing(range(40))).run_once()
    assert len(await checkpoints.parked()) == 10


async def test_what_was_set_aside_one_by_one_counts_together() -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    for number in range(9):
        await open_doors(store, number)
        await braked(store, kept, failing(range(40))).run_once()
    await open_doors(store, 9)
    with pytest.raises(TooManyParked):
        await braked(store, kept, failing(range(40))).run_once()


@pytest.mark.parametrize("way", ["replay", "drop"])
async def test_replayed_or_dropped_it_goes_on(
    store: EventStore, checkpoints: CheckpointStore, way: str
) -> None:
    await in_streams(store, streams=9, rounds=4)
    with pytest.raises(TooManyParked):
        await braked(store, checkpoints, failing(range(36))).run_once()
    await getattr(checkpoints, way)("doors")
    mended = Handler()
    await braked(store, checkpoints, mended).run_once()
    assert sorted(mended.dealt) == list(range(0 if way == "replay" else 10, 36))


async def test_replayed_in_vain_it_stops_again() -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    await in_streams(store, streams=40, rounds=1)
    for _ in range(2):
        with pytest.raises(TooManyParked):
            await braked(store, kept, failing(range(40))).run_once()
        await kept.replay("doors")
    assert len(await kept.parked()) == 10


async def test_with_a_greater_limit_it_goes_on() -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    await in_streams(store, streams=40, rounds=1)
    with pytest.raises(TooManyParked):
        await braked(store, kept, failing(range(40))).run_once()
    mended = Handler()
    await braked(store, kept, mended, parking=Parking(limit=1.0)).run_once()
    assert mended.dealt == list(range(10, 40))


async def test_what_failed_long_ago_does_not_stop_it_when_it_is_started() -> None:
    store, kept = InMemoryEventStore(registry=REGISTRY), InMemoryCheckpointStore()
    for number in range(450):
        await open_doors(store, number)
    thirty = failing(range(0, 450, 15))
    await braked(store, kept, thirty).run_once()
    await open_doors(store, 450)
    await braked(store, kept, thirty).run_once()
    assert thirty.dealt[-1] == 450


async def test_a_member_of_a_group_stops_where_another_one_did(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    await in_streams(store, streams=40, rounds=1)
    for _ in range(2):
        group = ConsumerGroup(braked(store, checkpoints, failing(range(40))), partitions=1)
        with pytest.raises(TooManyParked):
            await group.run()
    assert len(await checkpoints.parked()) == 10


class Numbers(Projection):
    name = "numbers"

    def define(self) -> None:
        self.numbers = self.table("numbers", Column("number", BigInteger, primary_key=True))

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        raise ValueError("a secret value")


async def test_a_projection_stops_and_stays_so(engine: AsyncEngine) -> None:
    store = InMemoryEventStore(registry=REGISTRY)
    await in_streams(store, streams=9, rounds=4)
    projector = Projector(store, Numbers(), engine)
    for _ in range(2):
        with pytest.raises(TooManyParked):
            await projector.run_once()
    assert len(await projector._checkpoints.parked()) == 10


states = st.lists(st.sampled_from([None, FAILED, WAITING, ParkedState.REPLAY]), max_size=60)


@given(states=states, window=st.integers(1, 20), at_least=st.integers(1, 8), limit=st.floats(0, 1))
def test_the_rule_holds_of_the_latest_events(
    states: list[ParkedState | None], window: int, at_least: int, limit: float
) -> None:
    seen = FailureWindow(Parking(window=window, at_least=at_least, limit=limit))
    for state in states:
        seen.add(state)
    latest = states[-window:]
    failed, waiting = latest.count(FAILED), latest.count(WAITING)
    assert (seen.failed, seen.waiting, seen.dealt) == (failed, waiting, len(latest))
    too_many = failed >= at_least and failed > limit * len(latest)
    too_many_more = failed >= 3 and failed + waiting > max(limit, 0.5) * len(latest)
    assert seen.is_over == (too_many or (failed + waiting >= at_least and too_many_more))


@given(
    kinds=st.lists(st.booleans(), max_size=120),
    before=st.integers(0, 130),
    count=st.integers(1, 30),
    size=st.integers(1, 200),
)
async def test_what_came_last_is_found_from_wherever_it_is(
    kinds: list[bool], before: int, count: int, size: int
) -> None:
    store, stream = InMemoryEventStore(registry=REGISTRY), StreamId("house", "1")
    events = [DoorOpened(number=1) if kind else WindowOpened(number=1) for kind in kinds]
    if events:
        await store.append(stream, events)
    log = WholeLog(store=store, wanted=Filter(types=(DoorOpened,)))
    wanted = [number for number, kind in enumerate(kinds, 1) if kind and number <= before]
    assert await lately(log, before, count, size=size) == wanted[-count:]


async def test_what_lies_far_back_and_close_together_is_not_read_whole() -> None:
    class Counted(InMemoryEventStore):
        given = 0

        async def read_all(self, **asked: Any) -> AsyncIterator[RecordedEvent]:
            async for recorded in super().read_all(**asked):
                self.given += 1
                yield recorded

    store = Counted(registry=REGISTRY)
    stream = StreamId("house", "1")
    await store.append(stream, [DoorOpened(number=1) for _ in range(3000)])
    await store.append(stream, [WindowOpened(number=1) for _ in range(3000)])
    log = WholeLog(store=store, wanted=Filter(types=(DoorOpened,)))
    assert await lately(log, 6000, 10, size=100) == [
        Position(number) for number in range(2991, 3001)
    ]
    assert store.given < 1500


async def test_starting_again_reads_no_more_than_a_batch_at_once() -> None:
    class Limited(InMemoryEventStore):
        limits: ClassVar[list[Any]] = []

        def read_all(self, **asked: Any) -> AsyncIterator[RecordedEvent]:
            self.limits.append(asked["limit"])
            return super().read_all(**asked)

    store, kept = Limited(registry=REGISTRY), InMemoryCheckpointStore()
    await in_streams(store, streams=300, rounds=1)
    await braked(store, kept, failing([250])).run_once()
    store.limits.clear()
    await braked(store, kept, Handler(), batch_size=3).run_once()
    assert len(store.limits) > 60
    assert max(store.limits) <= 3
