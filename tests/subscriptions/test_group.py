"""Competing consumers: members share the partitions of a subscription."""

import asyncio
import gc
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from dashtam_events._clock import now
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.store import EventStore, InMemoryEventStore
from dashtam_events.subscriptions import (
    Checkpoint,
    CheckpointStore,
    CheckpointUnavailable,
    InMemoryCheckpointStore,
    Lease,
    ParkedState,
    Parking,
    PartitionMismatch,
    Retry,
    Signal,
    SignalKind,
    SubscriptionState,
    TooManyParked,
    current_lease,
    partition_of,
)
from tests.loops import pass_time
from tests.subscriptions.groups import LEASE, Ledger, append, eager, group, owners, shared
from tests.subscriptions.houses import REGISTRY
from tests.subscriptions.poison import Handler, subscribed, until

__all__ = ["eager"]

SHORT = 0.6
"""A lease for tests that wait until it has run out."""
USED = len({partition_of(StreamId("house", str(number)), 8) for number in range(20)})
"""How many of eight partitions have one of twenty streams."""


@pytest.fixture
def store() -> EventStore:
    """The partitions do not care where events are kept."""
    return InMemoryEventStore(registry=REGISTRY)


async def test_one_member_deals_with_everything(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    ledger = Ledger()
    await append(store, events=2)
    async with group(store, checkpoints, ledger):
        await until(lambda: len(ledger.seen) == 40)
        await append(store)
        await until(lambda: len(ledger.seen) == 60)
    ledger.check_once(20, 3)


async def test_members_share_and_a_newcomer_gets_its_part(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    ledger = Ledger(seconds=0.002)
    await append(store, events=3)
    async with group(store, checkpoints, ledger, "ann"):
        await shared(checkpoints, ann=8)
        writing = asyncio.create_task(append(store, events=5))
        async with group(store, checkpoints, ledger, "bob"):
            await shared(checkpoints, ann=4, bob=4)
            async with group(store, checkpoints, ledger, "cleo"):
                await shared(checkpoints, ann=3, bob=3, cleo=2)
                await writing
                await append(store, events=2)
                await until(lambda: len(ledger.seen) == 200)
    ledger.check_once(20, 10)
    assert ledger.members == {"ann", "bob", "cleo"}


async def test_who_stops_gives_everything_back_at_once(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    ledger = Ledger()
    async with group(store, checkpoints, ledger, "ann"):
        await shared(checkpoints, ann=8)
        async with group(store, checkpoints, ledger, "bob"):
            await shared(checkpoints, ann=4, bob=4)
        assert "bob" not in await owners(checkpoints)
        await shared(checkpoints, ann=8)
        await append(store)
        await until(lambda: len(ledger.seen) == 20)
    assert await owners(checkpoints) == [None] * 8
    ledger.check_once(20, 1)


async def test_who_is_cancelled_gives_everything_back_too(checkpoints: CheckpointStore) -> None:
    ledger, store = Ledger(seconds=60.0), InMemoryEventStore(registry=REGISTRY)
    await append(store)
    running = asyncio.create_task(group(store, checkpoints, ledger).run())
    await until(lambda: len(ledger.busy) == USED)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await owners(checkpoints), ledger.seen) == ([None] * 8, [])


async def test_the_partitions_of_the_dead_move_when_their_leases_have_run_out(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    ledger = Ledger()
    await append(store)
    await checkpoints.begin(Checkpoint(subscription="doors"), partitions=8)
    await checkpoints.renew("doors", "dead", [], lease=LEASE)
    held = await checkpoints.acquire("doors", "dead", limit=4, lease=LEASE)
    async with group(store, checkpoints, ledger):
        await shared(checkpoints, ann=4, dead=4)
        await checkpoints.renew("doors", "dead", held, lease=SHORT)
        await shared(checkpoints, ann=8)
        await until(lambda: len(ledger.seen) == 20)
    ledger.check_once(20, 1)


async def test_more_members_than_partitions_stand_by(checkpoints: CheckpointStore) -> None:
    store, ledger = InMemoryEventStore(registry=REGISTRY), Ledger()
    async with group(store, checkpoints, ledger, "ann", partitions=1):
        await shared(checkpoints, ann=1)
        async with group(store, checkpoints, ledger, "bob", partitions=1) as waiting:
            await append(store)
            await until(lambda: len(ledger.seen) == 20)
            health = await waiting.health()
            assert (health.position, health.lag_seconds) == (None, 0.0)
            assert health.partitions == set()
    assert ledger.members == {"ann"}


async def test_partitions_go_on_beside_each_other(store: EventStore) -> None:
    ledger = Ledger()
    await append(store)
    async with group(store, InMemoryCheckpointStore(), ledger):
        with ledger.holding():
            await until(lambda: len(ledger.busy) == USED)
        await until(lambda: len(ledger.seen) == 20)
    assert ledger.most_at_once == USED


async def test_a_partition_is_given_away_when_the_event_in_hand_is_dealt_with(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    ledger = Ledger()
    await append(store, events=2)
    async with group(store, checkpoints, ledger, "ann") as ann:
        bob = group(store, checkpoints, ledger, "bob")
        with ledger.holding():
            await until(lambda: len(ledger.busy) == USED)
            await bob.__aenter__()
            await until(lambda: sum(each.is_leaving for each in ann._holdings) == 4)
            assert await owners(checkpoints) == ["ann"] * 8
        await shared(checkpoints, ann=4, bob=4)
        await until(lambda: len(ledger.seen) == 40)
        await bob.stop()
        await bob.finished()
    ledger.check_once(20, 2)
    assert ledger.members == {"ann", "bob"}


async def test_leases_are_renewed_however_long_a_handler_takes(store: EventStore) -> None:
    checkpoints, ledger = InMemoryCheckpointStore(), Ledger()
    await append(store)

    async def leased() -> list[datetime]:
        untils = [each.lease_until for each in await checkpoints.partitions("doors")]
        return [each for each in untils if each is not None]

    async with group(store, checkpoints, ledger):
        with ledger.holding():
            await until(lambda: len(ledger.busy) == USED)
            before = max(await leased())
            async with asyncio.timeout(LEASE):
                while min(await leased()) <= before:  # noqa: ASYNC110  # a lease rings no bell
                    await asyncio.sleep(0.01)
            assert len(ledger.busy) == USED
        await until(lambda: len(ledger.seen) == 20)
    ledger.check_once(20, 1)


class Skewed(InMemoryCheckpointStore):
    """Its clock can be put forward, and it can be away."""

    def __init__(self) -> None:
        super().__init__(clock=self.time)
        self.ahead = timedelta(0)
        self.is_away = False
        self.stolen: tuple[Checkpoint, ...] = ()

    def time(self) -> datetime:
        return now() + self.ahead

    def pass_time(self, seconds: float) -> None:
        """For this clock and for that of the process."""
        self.ahead += timedelta(seconds=seconds)
        pass_time(seconds)

    async def renew(self, *given: Any, **more: Any) -> Any:
        if self.is_away:
            raise CheckpointUnavailable("doors", "it is away")
        return await super().renew(*given, **more)

    async def steal(self, limit: int) -> tuple[Checkpoint, ...]:
        """Take partitions as if their leases had run out."""
        self.ahead += timedelta(hours=1)
        return await self.acquire("doors", "thief", limit=limit, lease=7200.0)


class Shaky(Skewed):
    """Partitions are stolen while an owner moves a checkpoint, which fails in between."""

    async def advance(self, checkpoint: Checkpoint, *given: Any, **more: Any) -> Checkpoint:
        if not self.stolen:
            self.stolen = await self.steal(8)
            raise CheckpointUnavailable("doors", "it was away")
        return await super().advance(checkpoint, *given, **more)


async def test_whose_epoch_is_outdated_steps_back_and_goes_on_with_the_rest(
    store: EventStore,
) -> None:
    checkpoints, ledger = Skewed(), Ledger()
    async with group(store, checkpoints, ledger) as member:
        await shared(checkpoints, ann=8)
        stolen = await checkpoints.steal(3)
        await append(store)
        gone = {each.partition for each in stolen}
        mine = [n for n in range(20) if partition_of(StreamId("house", str(n)), 8) not in gone]
        await until(lambda: {f"house-{n}" for n in mine} <= set(ledger.versions()))
        await until(lambda: len(member._holdings) == 5)
        positions = {each.partition: each.position for each in stolen}
        for each in await checkpoints.partitions("doors"):
            if each.partition in positions:
                assert (each.owner, each.position) == ("thief", positions[each.partition])
        for each in stolen:
            await checkpoints.release(each)
        await shared(checkpoints, ann=8)
    assert {f"house-{n}" for n in range(20)} == set(ledger.versions())


async def test_who_loads_a_checkpoint_again_does_not_take_the_epoch_of_another(
    store: EventStore,
) -> None:
    checkpoints, ledger = Shaky(), Ledger()
    await append(store)
    async with group(store, checkpoints, ledger) as member:
        await until(lambda: bool(checkpoints.stolen))
        await until(lambda: not member._holdings)
    assert await checkpoints.partitions("doors") == checkpoints.stolen


async def test_who_cannot_renew_stops_its_handlers_before_the_leases_run_out(
    store: EventStore,
) -> None:
    checkpoints, ledger = Skewed(), Ledger()
    await append(store)
    async with group(store, checkpoints, ledger, lease=600.0) as member:
        with ledger.holding():
            await until(lambda: len(ledger.busy) == USED)
            checkpoints.is_away = True
            left = await checkpoints.partitions("doors")
            checkpoints.pass_time(550.0)
            await until(lambda: not ledger.busy)
        time = checkpoints.time()
        assert all(each.lease_until is not None and time < each.lease_until for each in left)
        checkpoints.pass_time(50.0)
        checkpoints.is_away = False
        await until(lambda: len(ledger.seen) == 20)
        assert (await member.health()).last_error is not None
    ledger.check_once(20, 1)


async def test_who_was_paused_for_longer_than_the_lease_begins_no_event(
    store: EventStore,
) -> None:
    """What ran out by the clock of the process is not gone on with, even before a beat."""
    checkpoints, loop = Skewed(), asyncio.get_running_loop()
    begun: list[float] = []
    paused = asyncio.Event()

    async def handle(recorded: RecordedEvent) -> None:
        begun.append(loop.time())
        if len(begun) == 1:
            checkpoints.is_away = True
            time.sleep(SHORT)  # noqa: ASYNC251  # the whole process stands still
            paused.set()

    await append(store, events=2)
    async with group(store, checkpoints, handle, partitions=1, lease=SHORT):
        await paused.wait()
        await asyncio.sleep(0.1)
        assert len(begun) == 1
        checkpoints.is_away = False
        await until(lambda: len(begun) >= 41)


async def test_a_group_keeps_its_number_of_partitions(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    async with group(store, checkpoints, Handler(), partitions=4):
        await shared(checkpoints, ann=4)
    told = list[Signal]()
    with pytest.raises(PartitionMismatch, match="4 partitions and not 5") as raised:
        await group(store, checkpoints, Handler(), partitions=5, observer=told.append).run()
    assert [each.kind for each in told] == [SignalKind.FAILED]
    assert (raised.value.stored, raised.value.wanted) == (4, 5)
    with pytest.raises(PartitionMismatch, match="consumer group of 4"):
        await subscribed(store, checkpoints, Handler()).run()


async def test_what_ran_alone_may_become_a_group_of_one(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    alone, ledger = Handler(), Ledger()
    await append(store)
    await subscribed(store, checkpoints, alone).run_once()
    await append(store, streams=3)
    async with group(store, checkpoints, ledger, partitions=1):
        await until(lambda: len(ledger.seen) == 3)
    assert {version for _, version, _ in ledger.seen} == {2}
    with pytest.raises(PartitionMismatch):
        await group(store, checkpoints, ledger).run()


@pytest.mark.parametrize("wrong", [{"partitions": 0}, {"lease": 0.0}])
def test_a_group_without_partitions_or_time_is_none(wrong: dict[str, Any]) -> None:
    store = InMemoryEventStore(registry=REGISTRY)
    with pytest.raises(ValueError, match="one partition"):
        group(store, InMemoryCheckpointStore(), Handler(), **wrong)


async def test_a_parked_event_holds_up_its_stream_alone_and_is_replayed_where_it_moved_to(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    handler = Handler()
    handler.mistakes = {7}
    await append(store, events=2)
    async with group(store, checkpoints, handler, "ann"):
        await until(lambda: len(handler.dealt) == 38)
    listed = await checkpoints.parked("doors")
    assert [(str(each.stream), each.state) for _, each in listed] == [
        ("house-7", ParkedState.FAILED),
        ("house-7", ParkedState.WAITING),
    ]
    handler.mistakes = set()
    await checkpoints.replay("doors")
    async with group(store, checkpoints, handler, "bob"):
        await until(lambda: len(handler.dealt) == 40)
        await until(lambda: handler.dealt[-2:] == [7, 7])
    assert await checkpoints.parked("doors") == ()
    assert Counter(handler.dealt) == dict.fromkeys(range(20), 2)


async def test_too_many_failures_in_a_partition_end_the_member_loudly(store: EventStore) -> None:
    checkpoints, handler = InMemoryCheckpointStore(), Handler()
    handler.mistakes = set(range(300))
    await append(store, streams=300)
    failing = group(store, checkpoints, handler, parking=Parking())
    with pytest.raises(TooManyParked):
        await failing.run()
    assert (await failing.health()).state is SubscriptionState.FAILED
    assert await owners(checkpoints) == [None] * 8


async def test_a_handler_may_stop_its_group(store: EventStore) -> None:
    await append(store)

    async def handle(_recorded: RecordedEvent) -> None:
        await member.stop()

    member = group(store, InMemoryCheckpointStore(), handle)
    async with asyncio.timeout(20):
        await member.run()


async def test_every_partition_that_fails_is_heard(
    store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio says of each error that nobody asked for that it was never retrieved."""
    await append(store, streams=100)

    async def handle(_recorded: RecordedEvent) -> None:
        raise ValueError

    failing = group(store, InMemoryCheckpointStore(), handle, parking=Parking(at_least=1))
    with pytest.raises(TooManyParked):
        await failing.run()
    del failing
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_a_handler_knows_under_which_lease_it_runs(
    store: EventStore, checkpoints: CheckpointStore
) -> None:
    known: list[tuple[StreamId, Lease | None]] = []

    async def handle(recorded: RecordedEvent) -> None:
        known.append((recorded.stream, current_lease()))

    await append(store, streams=5)
    for member in ("ann", "bob"):
        async with group(store, checkpoints, handle, member, partitions=2):
            await until(lambda: len(known) == 5)
        await append(store, streams=5)
        if member == "ann":
            known.clear()
    stream, lease = known[0]
    number = partition_of(stream, 2)
    assert lease == Lease(subscription="doors", partition=number, member="bob", epoch=2)
    assert current_lease() is None


async def test_health_is_that_of_the_partition_furthest_behind(store: EventStore) -> None:
    handler, signals = Handler(), list[Signal]()
    seen = (SignalKind.RETRYING, SignalKind.HANDLED)
    handler.failing = {3: 1_000_000}
    await append(store)
    slow = Retry(first=60.0, most=60.0)
    checkpoints = InMemoryCheckpointStore()
    member = group(store, checkpoints, handler, retry=slow, observer=signals.append)
    assert (await member.health()).state is SubscriptionState.IDLE
    async with member:
        await until(lambda: {each.kind for each in signals} >= {*seen})
        health = await member.health()
        assert (health.member, health.members) == ("ann", 1)
        assert health.partitions == {*range(8)}
        assert health.state is SubscriptionState.RETRYING
        assert (health.position, health.lag_events) == (None, 20)
        assert health.lag_seconds is not None
        assert health.last_error is not None
        assert health.last_error.type.endswith("Broken")
        handler.failing = {}
    stuck = partition_of(StreamId("house", "3"), 8)
    assert {each.partition for each in signals if each.kind is SignalKind.RETRYING} == {stuck}


class Watched(InMemoryEventStore):
    """Counts how often it is read and waited for."""

    def __init__(self) -> None:
        super().__init__(registry=REGISTRY)
        self.reads = self.waits = 0

    def read_all(self, **asked: Any) -> Any:
        self.reads += 1
        return super().read_all(**asked)

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        self.waits += 1
        return await super().wait(after=after, timeout=timeout)


async def test_partitions_of_a_member_read_once_and_wait_once_for_all() -> None:
    store, ledger = Watched(), Ledger()
    await append(store, streams=300)
    member = group(store, InMemoryCheckpointStore(), ledger, partitions=64, poll=60.0)
    async with member:
        await until(lambda: len(ledger.seen) == 300 and store.waits > 0)
        await asyncio.sleep(0.1)
        assert (store.reads, store.waits) == (1, 1)
        await append(store, streams=1)
        await until(lambda: len(ledger.seen) == 301 and store.waits > 1)
        await asyncio.sleep(0.1)
        assert (store.reads, store.waits) == (2, 2)
