"""What a handler waits for is cancelled by somebody else: the handler failed, nothing more."""

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dashtam_events.processes import ProcessRunner
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import (
    CheckpointConflict,
    CheckpointStore,
    InMemoryCheckpointStore,
    ProjectionFailed,
    Relay,
    Retry,
    SubscriptionState,
    Verdict,
    WorkCancelled,
)
from dashtam_events.subscriptions.sql import (
    InlineProjections,
    JoinableStore,
    Projector,
    SQLCheckpointStore,
)
from tests.processes.orders import REGISTRY as ORDERS
from tests.processes.orders import Hands, OrderPaid, OrderPlaced, Watch, happen, order
from tests.subscriptions.groups import BEAT, append, eager, group
from tests.subscriptions.houses import REGISTRY, DoorOpened, open_doors
from tests.subscriptions.inlines import InlineOpenings, a_house, doors, numbers_of, store_on
from tests.subscriptions.poison import EAGER, no_time, subscribed, until
from tests.subscriptions.walls import Openings

__all__ = ["eager"]


class Dependent:
    """A handler that waits for what somebody else cancels, at some numbers so many times."""

    def __init__(self, **cancelled: int) -> None:
        self.cancelled = {int(number[1:]): times for number, times in cancelled.items()}
        self.tries: Counter[int] = Counter()
        self.dealt: list[int] = []

    async def __call__(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, DoorOpened)
        self.tries[event.number] += 1
        if self.tries[event.number] <= self.cancelled.get(event.number, 0):
            await cancelled_elsewhere()
        self.dealt.append(event.number)


class DependentOpenings(Openings):
    """The same of a projection; `forgetful` is one that waits so once it is committed."""

    def __init__(self, *numbers: int, forgetful: bool = False) -> None:
        super().__init__()
        self.numbers, self.forgetful = numbers, forgetful

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await super().apply(connection, recorded)
        if getattr(recorded.event, "number", None) in self.numbers:
            await cancelled_elsewhere()

    async def after_commit(self, recorded: RecordedEvent) -> None:
        await super().after_commit(recorded)
        if self.forgetful:
            await cancelled_elsewhere()


class DependentInline(InlineOpenings):
    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await super().apply(connection, recorded)
        await cancelled_elsewhere()


async def cancelled_elsewhere() -> None:
    work = asyncio.ensure_future(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(work.cancel)
    await work


@pytest.fixture
async def three_doors() -> InMemoryEventStore:
    store = InMemoryEventStore(registry=REGISTRY)
    for number in (1, 2, 3):
        await open_doors(store, number)
    return store


async def test_it_is_tried_again(
    three_doors: InMemoryEventStore, checkpoints: CheckpointStore
) -> None:
    handler = Dependent(n2=2)
    await subscribed(three_doors, checkpoints, handler).run_once()
    assert handler.dealt == [1, 2, 3]
    assert handler.tries[2] == 3


async def test_what_fails_so_for_good_is_parked_with_its_place(
    three_doors: InMemoryEventStore, checkpoints: CheckpointStore
) -> None:
    handler = Dependent(n2=99)
    async with subscribed(three_doors, checkpoints, handler) as subscription:
        await until(lambda: handler.dealt == [1, 3])
        assert subscription._state is SubscriptionState.RUNNING
    [(_, parked)] = await checkpoints.parked()
    assert (parked.position, parked.attempts) == (2, 3)
    assert parked.error_type == "dashtam_events.subscriptions.errors.WorkCancelled"
    assert parked.place is not None


async def test_the_service_says_whether_it_may_pass(three_doors: InMemoryEventStore) -> None:
    seen: list[Exception] = []

    def never(error: Exception) -> Verdict:
        seen.append(error)
        return Verdict.PERMANENT

    handler, retry = Dependent(n2=99), Retry(sleep=no_time, classify=never)
    await subscribed(three_doors, InMemoryCheckpointStore(), handler, retry=retry).run_once()
    assert (handler.dealt, handler.tries[2]) == ([1, 3], 1)
    assert [type(error) for error in seen] == [WorkCancelled]


async def test_a_parked_event_that_fails_so_again_stays_parked(
    three_doors: InMemoryEventStore, checkpoints: CheckpointStore
) -> None:
    handler = Dependent(n2=99)
    await subscribed(three_doors, checkpoints, handler).run_once()
    await checkpoints.replay("doors")
    await subscribed(three_doors, checkpoints, handler).run_once()
    [(_, parked)] = await checkpoints.parked()
    assert parked.attempts == 6


async def test_a_group_neither_spins_nor_stops(
    three_doors: InMemoryEventStore, checkpoints: CheckpointStore
) -> None:
    handler = Dependent(n2=10**9)
    async with group(three_doors, checkpoints, handler, partitions=1) as member:
        await until(lambda: handler.dealt == [1, 3])
        await open_doors(three_doors, 4)
        await until(lambda: handler.dealt == [1, 3, 4])
        assert (await member.health()).parked_streams == 1
    assert handler.tries[2] == EAGER.attempts
    [(_, parked)] = await checkpoints.parked()
    assert parked.position == 2


async def test_a_relay_tries_until_it_goes_through(three_doors: InMemoryEventStore) -> None:
    sent, failures = list[int](), [1, 2]

    class Lossy:
        async def publish(self, event: Any, **_rest: Any) -> None:
            if failures:
                failures.pop()
                await cancelled_elsewhere()
            sent.append(event.number)

    await Relay(three_doors, Lossy(), retry=EAGER).run_once()
    assert sent == [1, 2, 3]


async def test_a_command_is_executed_again() -> None:
    store, hands = InMemoryEventStore(registry=ORDERS), Hands()
    await happen(store, OrderPlaced(order=order(1)), OrderPaid(order=order(1)))
    hands.errors = [asyncio.CancelledError()]
    checkpoints = InMemoryCheckpointStore()
    await ProcessRunner(Watch, store, hands, checkpoints=checkpoints, retry=EAGER).run_once()
    assert [type(command).__name__ for command in hands.commands] == ["Send", "Send", "Thank"]


async def test_a_projector_parks_the_event_and_writes_the_others(
    three_doors: InMemoryEventStore, engine: AsyncEngine
) -> None:
    view = DependentOpenings(2)
    async with Projector(three_doors, view, engine, poll=0.05, retry=EAGER):
        await until(lambda: view.acted == [1, 3])
    assert await view.written(engine) == [1, 3]
    [(_, parked)] = await SQLCheckpointStore(engine).parked()
    assert (parked.position, parked.attempts) == (2, 3)


async def test_after_the_commit_it_is_logged(
    three_doors: InMemoryEventStore, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    view = DependentOpenings(forgetful=True)
    await Projector(three_doors, view, engine).run_once()
    assert view.acted == [1, 2, 3]
    assert caplog.messages == ["projection_after_commit_failed"] * 3


async def test_an_append_is_refused_where_an_inline_projection_fails_so(
    engine: AsyncEngine,
) -> None:
    async with store_on(engine, REGISTRY) as store:
        joinable: JoinableStore = store
        inline = InlineProjections(joinable, engine, [DependentInline()])
        await inline.catch_up()
        with pytest.raises(ProjectionFailed, match="WorkCancelled"):
            await inline.append(a_house(), doors(1))
        assert await numbers_of(store) == []


class CancellingStore(InMemoryEventStore):
    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        await cancelled_elsewhere()
        return await super().wait(after=after, timeout=timeout)


async def test_what_cannot_be_laid_to_an_event_ends_the_run_with_an_error() -> None:
    store = CancellingStore(registry=REGISTRY)
    subscription = subscribed(store, InMemoryCheckpointStore(), Dependent())
    with pytest.raises(WorkCancelled, match="doors"):
        await subscription.run()
    assert (await subscription.health()).state is SubscriptionState.FAILED


async def test_so_it_ends_the_member_of_a_group() -> None:
    store = CancellingStore(registry=REGISTRY)
    with pytest.raises(WorkCancelled, match="doors"):
        await group(store, InMemoryCheckpointStore(), Dependent()).run()


async def test_a_partition_whose_task_somebody_cancels_ends_the_member() -> None:
    store, handler = InMemoryEventStore(registry=REGISTRY), Dependent()
    member = group(store, InMemoryCheckpointStore(), handler, partitions=2)
    running = asyncio.ensure_future(member.run())
    await until(lambda: len(member._holdings) == 2)
    await asyncio.sleep(0.01)
    member._holdings[0].task.cancel()
    with pytest.raises(WorkCancelled, match="doors"):
        await running


async def test_a_partition_that_is_lost_at_once_is_not_taken_back_at_once(
    checkpoints: CheckpointStore,
) -> None:
    store, tries = InMemoryEventStore(registry=REGISTRY), list[float]()
    await append(store, streams=1)

    async def lose(_recorded: RecordedEvent) -> None:
        tries.append(asyncio.get_running_loop().time())
        raise CheckpointConflict("of another", 0, 1)

    async with group(store, checkpoints, lose, partitions=1):
        await until(lambda: len(tries) >= 5)
    assert all(later - earlier > 0.9 * BEAT for earlier, later in pairwise(tries))
