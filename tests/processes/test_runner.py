"""A runner brings events, wakes at deadlines and has commands executed, whatever happens."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashtam_events.event import DomainEvent
from dashtam_events.processes import (
    CommandIssued,
    DeadlineReached,
    IssuedCommand,
    ProcessRunner,
)
from dashtam_events.recorded import EventMetadata, Position, StreamId
from dashtam_events.store import AppendResult, EventStore
from dashtam_events.subscriptions import (
    CheckpointConflict,
    ConsumerGroup,
    InMemoryCheckpointStore,
    ParkedState,
    Parking,
    SubscriptionState,
)
from dashtam_events.testing import FaultyEventStore, HeldClock
from tests.processes.houses import (
    BEGUN,
    ONE,
    PLACED,
    REMINDED,
    RETRY,
    TWO,
    House,
    begun,
    have,
    until,
)
from tests.processes.orders import (
    MINUTE,
    NOON,
    Command,
    Hands,
    OrderClosed,
    OrderPaid,
    OrderPlaced,
    PaymentPostponed,
    Remind,
    Send,
    Thank,
    Watch,
    happen,
    order,
    story,
    told,
)


async def test_commands_are_executed_in_order_and_known_by_their_ids(house: House) -> None:
    await house.happen(PLACED, OrderPaid(order=ONE))
    await house.runner().run_once()
    assert house.hands.commands == [Send(order=ONE), Thank(order=ONE, words=("dear", "you"))]
    issued = [each.event for each in await story(house.store, ONE)]
    assert [each.command_id for each in issued if isinstance(each, CommandIssued)] == [
        each.id for each in house.hands.done
    ]
    assert {each.process_id for each in house.hands.done} == {ONE}


async def test_what_was_dealt_with_is_not_dealt_with_again(house: House) -> None:
    await house.happen(PLACED, OrderPaid(order=ONE))
    await house.runner().run_once()
    before = await told(house.store, ONE)
    house.checkpoints = InMemoryCheckpointStore()
    await house.runner().run_once()
    assert await told(house.store, ONE) == before
    assert len(house.hands.done) == 2


async def test_the_request_goes_on_in_what_follows_from_it(house: House) -> None:
    metadata = EventMetadata(correlation_id="a click")
    await house.store.append(StreamId("order", ONE), [PLACED], metadata=metadata)
    paid = OrderPaid(order=ONE)
    await house.store.append(StreamId("order", ONE), [paid], metadata=metadata)
    await house.runner().run_once()
    written = await story(house.store, ONE)
    assert {each.metadata.correlation_id for each in written} == {"a click"}
    [first, *_] = [each for each in written if isinstance(each.event, CommandIssued)]
    assert first.metadata.causation_id == paid.event_id
    assert house.hands.done[0].metadata == first.metadata.following(first.event)


async def test_an_event_of_no_process_is_passed_over(house: House) -> None:
    await house.store.append(StreamId("order", ONE), [OrderPlaced(order=None)])
    await house.happen(OrderPaid(order=TWO))
    await house.runner().run_once()
    assert await told(house.store, TWO) == []


async def test_a_deadline_comes_when_it_is_due_and_once(house: House) -> None:
    await house.happen(PLACED)
    runner = house.runner()
    for minutes in (0, 9):
        house.clock.instant = NOON + minutes * MINUTE
        await runner.run_once()
    assert await told(house.store, ONE) == BEGUN
    assert runner.next_deadline == NOON + 10 * MINUTE
    house.clock.instant = NOON + 10 * MINUTE
    for _ in range(2):
        await runner.run_once()
        await house.runner().run_once()
    assert await told(house.store, ONE) == BEGUN + REMINDED
    assert house.hands.commands == [Remind(order=ONE, since=NOON + 10 * MINUTE)]
    assert runner.next_deadline is None


async def test_now_may_be_given_in_place_of_the_clock(house: House) -> None:
    await house.happen(PLACED)
    await house.runner().run_once(now=NOON + 11 * MINUTE)
    assert len(house.hands.done) == 1


async def test_a_deadline_that_was_moved_comes_at_the_later_time(house: House) -> None:
    await house.happen(PLACED, PaymentPostponed(order=ONE, minutes=30, occurred_at=NOON))
    await house.runner().run_once(now=NOON + 29 * MINUTE)
    assert house.hands.done == []
    await house.runner().run_once(now=NOON + 30 * MINUTE)
    assert house.hands.commands == [Remind(order=ONE, since=NOON + 30 * MINUTE)]


@pytest.mark.parametrize("answer", [OrderPaid(order=ONE), OrderClosed(order=ONE)])
async def test_an_answer_that_was_stored_while_the_runner_was_away_cancels_the_deadline(
    house: House, answer: DomainEvent
) -> None:
    await house.happen(PLACED)
    await house.runner().run_once()
    house.clock.advance(timedelta(days=1))
    await house.happen(answer)
    await house.runner().run_once()
    assert "DeadlineReached" not in await told(house.store, ONE)


async def test_an_answer_that_is_stored_while_commands_are_executed_cancels_the_deadline(
    house: House,
) -> None:
    """It came in time, though it is dealt with late."""

    class Slow(Hands):
        async def __call__(self, issued: IssuedCommand[Command]) -> None:
            await super().__call__(issued)
            house.clock.advance(timedelta(minutes=5))
            if len(self.done) == 1:
                await house.happen(OrderPaid(order=TWO))

    house.hands = Slow()
    await house.happen(PLACED, OrderPlaced(order=TWO, occurred_at=NOON), OrderPaid(order=ONE))
    await house.runner().run_once()
    assert house.clock.instant == NOON + 20 * MINUTE
    assert "DeadlineReached" not in await told(house.store, TWO)


async def test_a_deadline_comes_though_nobody_said_that_it_was_stored(house: House) -> None:
    faulty = FaultyEventStore(house.store)
    await house.happen(OrderPlaced(order=TWO))
    async with house.runner(faulty, poll=0.05) as runner:
        await until(lambda: is_on_the_agenda(runner))
        faulty.fail(when="after")
        faulty.fail(on="read_stream", nth=2)
        await house.happen(PLACED)
        await until(lambda: begun(house))
        house.clock.advance(timedelta(minutes=10))
        await until(lambda: have(house, 1))
        assert faulty.unfired == 0


async def is_on_the_agenda(runner: ProcessRunner) -> bool:
    await asyncio.sleep(0)
    return runner.next_deadline is not None


async def test_after_the_end_only_what_was_asked_for_is_done(house: House) -> None:
    await house.happen(PLACED, OrderPaid(order=ONE), OrderClosed(order=ONE))
    await house.runner().run_once()
    ended = await told(house.store, ONE)
    assert len(house.hands.done) == 2
    await house.happen(OrderPlaced(order=ONE), OrderPaid(order=ONE))
    await house.runner().run_once(now=NOON + timedelta(days=400))
    assert await told(house.store, ONE) == ended


async def test_processes_of_other_classes_are_left_alone(house: House) -> None:
    class Other(Watch, stream="other"):
        pass

    hands = Hands()
    other = ProcessRunner(Other, house.store, hands, checkpoints=house.checkpoints)
    await house.happen(PLACED, OrderPaid(order=ONE), OrderPlaced(order=TWO, occurred_at=NOON))
    await house.runner().run_once()
    assert await other.run_once() is not None
    await house.runner().run_once(now=NOON + 10 * MINUTE)
    assert len(house.hands.done) == 3
    ids = {each.id for each in house.hands.done} | {each.id for each in hands.done}
    assert len(ids) == len(house.hands.done) + len(hands.done)


async def test_a_command_that_fails_once_is_tried_again_with_the_same_id(house: House) -> None:
    await house.happen(PLACED, OrderPaid(order=ONE))
    house.hands.errors = [ConnectionError()]
    await house.runner().run_once()
    assert [type(each) for each in house.hands.commands] == [Send, Send, Thank]
    assert house.hands.done[0].id == house.hands.done[1].id


async def test_a_command_that_fails_for_good_is_parked_and_holds_up_its_process_alone(
    house: House,
) -> None:
    await house.happen(PLACED, OrderPaid(order=ONE))
    await house.happen(OrderPlaced(order=TWO), OrderPaid(order=TWO))
    house.hands.errors = [ValueError("no such address")]
    await house.runner().run_once()
    assert [each.order for each in house.hands.commands] == [ONE, TWO, TWO]
    parked = [each for _, each in await house.checkpoints.parked("watch")]
    assert [each.state for each in parked] == [ParkedState.FAILED, ParkedState.WAITING]
    assert {each.stream for each in parked} == {StreamId("watch", ONE)}
    assert parked[0].event_type == "CommandIssued"
    await house.checkpoints.replay("watch")
    await house.runner().run_once()
    assert [type(each) for each in house.hands.commands[-2:]] == [Send, Thank]


async def test_dropping_a_parked_command_gives_it_up(house: House) -> None:
    await house.happen(PLACED, OrderPaid(order=ONE))
    house.hands.errors = [ValueError()]
    await house.runner().run_once()
    [(_, failed), _] = await house.checkpoints.parked("watch")
    await house.checkpoints.drop("watch", [failed.position])
    await house.runner().run_once()
    assert [type(each) for each in house.hands.commands] == [Send, Thank]


async def test_a_reaction_that_fails_is_parked_and_writes_nothing(
    store: EventStore, clock: HeldClock
) -> None:
    class Broken(Watch, stream="broken"):
        def _paid(self, event: OrderPaid) -> None:
            super()._paid(event)
            raise ValueError("no")

    checkpoints, hands = InMemoryCheckpointStore(), Hands()
    runner = ProcessRunner(Broken, store, hands, checkpoints=checkpoints, clock=clock.now)
    await happen(store, PLACED, OrderPaid(order=ONE))
    await runner.run_once()
    written = [
        type(each.event).__name__ async for each in store.read_stream(StreamId("broken", ONE))
    ]
    assert written == BEGUN
    [(name, parked)] = await checkpoints.parked()
    assert (name, parked.event_type, parked.error_type) == ("broken", "OrderPaid", "ValueError")


async def test_a_process_that_cannot_be_read_does_not_hold_up_the_deadlines_of_others(
    house: House,
) -> None:
    await house.happen(PLACED, OrderPlaced(order=TWO, occurred_at=NOON + MINUTE))
    await house.runner().run_once()
    await house.store.append(StreamId("watch", ONE), [OrderPlaced(order=None)])
    runner = house.runner()
    await runner.run_once(now=NOON + 20 * MINUTE)
    assert house.hands.commands == [Remind(order=TWO, since=NOON + 11 * MINUTE)]
    error = (await runner.health()).last_error
    assert error is not None
    assert error.type == "UnappliedEvent"


async def test_of_two_runners_one_reacts_to_an_event(house: House) -> None:
    await house.happen(*(OrderPlaced(order=order(number)) for number in range(8)))
    await house.happen(*(OrderPaid(order=order(number)) for number in range(8)))
    ends = await asyncio.gather(
        *(house.runner().run_once() for _ in range(2)), return_exceptions=True
    )
    assert {type(end) for end in ends if isinstance(end, Exception)} <= {CheckpointConflict}
    await house.runner().run_once()
    for number in range(8):
        written = await told(house.store, order(number))
        assert written.count("CommandIssued") == 2
        assert written.count("CommandExecuted") == 2
        assert written.count("ProcessReacted") == 2


async def test_of_two_runners_one_reaches_a_deadline(house: House) -> None:
    await house.happen(*(OrderPlaced(order=order(number), occurred_at=NOON) for number in range(8)))
    runners = [house.runner(), house.runner()]
    await runners[0].run_once()
    house.clock.advance(timedelta(hours=1))
    await asyncio.gather(*(runner.run_once() for runner in runners), return_exceptions=True)
    await house.runner().run_once()
    for number in range(8):
        written = await told(house.store, order(number))
        assert written.count("DeadlineReached") == 1
        assert written.count("CommandIssued") == 1


class Overtaken(FaultyEventStore):
    """A store whose first append comes after another runner has done all there was to do."""

    def __init__(self, store: EventStore, other: ProcessRunner) -> None:
        super().__init__(store)
        self._other: ProcessRunner | None = other

    async def append(self, *args: Any, **options: Any) -> AppendResult:
        other, self._other = self._other, None
        if other is not None:
            await other.run_once()
        return await super().append(*args, **options)


async def test_a_runner_that_was_overtaken_decides_nothing_again(house: House) -> None:
    await house.happen(PLACED, OrderPaid(order=ONE))
    slow = Overtaken(house.store, house.runner())
    with pytest.raises(CheckpointConflict):
        await house.runner(slow).run_once()
    written = await told(house.store, ONE)
    assert written.count("ProcessReacted") == 2
    assert len(house.hands.done) == 2


async def test_a_runner_that_was_overtaken_reaches_no_deadline_again(house: House) -> None:
    await house.happen(PLACED)
    await house.runner().run_once()
    house.clock.advance(timedelta(hours=1))
    slow = Overtaken(house.store, house.runner())
    with suppress(CheckpointConflict):
        await house.runner(slow).run_once()
    assert await told(house.store, ONE) == BEGUN + REMINDED


async def test_in_a_group_another_takes_over_and_the_deadlines_with_it(house: House) -> None:
    first, second = (
        ConsumerGroup(house.runner(poll=0.05), partitions=1, lease=60.0) for _ in range(2)
    )
    async with second:
        async with first:
            await house.happen(PLACED)
            await until(lambda: begun(house))
        await house.happen(OrderPlaced(order=TWO), OrderPaid(order=TWO))
        await until(lambda: have(house, 2))
        house.clock.advance(timedelta(minutes=10))
        await until(lambda: have(house, 3))
    assert await told(house.store, ONE) == BEGUN + REMINDED


async def test_a_group_has_one_partition(house: House) -> None:
    group = ConsumerGroup(house.runner(), partitions=2)
    with pytest.raises(ValueError, match="partitions=1"):
        await group.run()


async def test_long_lives_are_loaded_from_snapshots(house: House) -> None:
    await house.happen(PLACED)
    postponed = [PaymentPostponed(order=ONE, minutes=n, occurred_at=NOON) for n in range(1, 60)]
    await house.happen(*postponed)
    await house.runner().run_once()
    kept = await house.store.read_attachment(StreamId("watch", ONE), "snapshot")
    assert kept is not None
    assert kept.version >= 100
    await house.runner().run_once(now=NOON + timedelta(hours=2))
    assert house.hands.commands == [Remind(order=ONE, since=NOON + 59 * MINUTE)]


async def test_it_sleeps_until_the_next_deadline_or_the_next_event(store: EventStore) -> None:
    """By the clock on the wall; a poll of an hour does not wake it."""
    house = House(store, HeldClock())
    runner = ProcessRunner(
        Watch, store, house.hands, checkpoints=house.checkpoints, retry=RETRY, poll=3600
    )
    async with runner:
        early = datetime.now(UTC) - 10 * MINUTE + timedelta(seconds=0.4)
        await house.happen(OrderPlaced(order=ONE, occurred_at=early))
        await until(lambda: have(house, 1))
        written = [each.event for each in await story(store, ONE)]
        [reached] = [each for each in written if isinstance(each, DeadlineReached)]
        assert timedelta(0) <= reached.occurred_at - reached.due_at < timedelta(seconds=20)
        await house.happen(OrderPlaced(order=TWO), OrderPaid(order=TWO))
        await until(lambda: have(house, 3))
    assert (await runner.health()).state is SubscriptionState.STOPPED


async def test_it_does_not_look_at_the_store_while_nothing_happens(
    store: EventStore, clock: HeldClock
) -> None:
    house = House(store, clock)
    watched = Watched(store)
    await house.happen(PLACED)
    async with house.runner(watched, poll=3600.0):
        await until(lambda: begun(house))
        await until(lambda: is_at_the_end(watched))
        before = watched.calls.copy()
        await asyncio.sleep(0.3)
        assert watched.calls == before


class Watched(FaultyEventStore):
    """Knows behind which position it is being waited on."""

    waited_on: int | None = None

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        self.waited_on = after
        try:
            return await super().wait(after=after, timeout=timeout)
        finally:
            self.waited_on = None


async def is_at_the_end(watched: Watched) -> bool:
    return watched.waited_on == await watched._store.last_position()


async def test_a_clock_that_is_set_is_seen_within_the_poll(house: House) -> None:
    await house.happen(PLACED)
    async with house.runner(poll=0.05):
        await until(lambda: begun(house))
        house.clock.advance(timedelta(minutes=10))
        await until(lambda: have(house, 1))


async def test_a_deadline_behind_a_command_that_was_dropped_comes_unless_dropped_with_it(
    house: House,
) -> None:
    class Eager(Watch, stream="eager"):
        def _placed(self, event: OrderPlaced) -> None:
            super()._placed(event)
            self.send(Send(order=self.id))

    await house.happen(PLACED, OrderPlaced(order=TWO, occurred_at=NOON))
    house.hands.errors = [ValueError(), ValueError()]
    runner = ProcessRunner(
        Eager, house.store, house.hands, checkpoints=house.checkpoints, clock=house.clock.now
    )
    await runner.run_once()
    await runner.run_once(now=NOON + 10 * MINUTE)
    parked = [each for _, each in await house.checkpoints.parked("eager")]
    assert [each.event_type for each in parked] == ["CommandIssued"] * 2 + ["DeadlineReached"] * 2
    dropped = [each.position for each in parked if each.stream == StreamId("eager", ONE)]
    await house.checkpoints.drop("eager", [*dropped, parked[1].position])
    await runner.run_once(now=NOON + timedelta(days=9))
    assert house.hands.commands[2:] == [Remind(order=TWO, since=NOON + 10 * MINUTE)]


async def test_events_of_a_stream_wait_always(house: House) -> None:
    with pytest.raises(ValueError, match="react in order"):
        ProcessRunner(
            Watch,
            house.store,
            house.hands,
            checkpoints=house.checkpoints,
            parking=Parking(stream_waits=False),
        )
