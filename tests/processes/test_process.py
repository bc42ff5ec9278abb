"""A process decides once from what it hears, and a class that cannot work is refused at once."""

import pickle
import types
from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any, Never
from uuid import UUID, uuid4, uuid5

import attrs
import pytest

from dashtam_events.aggregate import applies
from dashtam_events.errors import DecodingError, InvalidEventClass
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import secret
from dashtam_events.processes import (
    CommandIssued,
    DeadlineCancelled,
    DeadlineReached,
    DeadlineSet,
    InvalidProcessClass,
    ProcessEnded,
    ProcessManager,
    ProcessReacted,
    ProcessState,
    on_deadline,
    reacts_to,
)
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.repository.snapshot import SnapshotFormat
from tests.processes.orders import (
    MINUTE,
    NOON,
    OrderClosed,
    OrderPaid,
    OrderPlaced,
    PaymentPostponed,
    Remind,
    Send,
    Thank,
    Watch,
    order,
)

ONE = order(1)
PLACED = OrderPlaced(order=ONE, occurred_at=NOON)
PAID = OrderPaid(order=ONE)
CLOSED = OrderClosed(order=ONE)


def after(*events: DomainEvent) -> Watch:
    watch = Watch(ONE)
    for each in events:
        watch.react(each)
    return watch


def stored(event: DomainEvent, version: int = 1, stream: str = "order") -> RecordedEvent:
    return RecordedEvent(
        position=Position(version),
        stream=StreamId(stream, ONE),
        version=version,
        recorded_at=NOON,
        event=event,
    )


def written(watch: Watch) -> list[type[DomainEvent]]:
    return [type(each) for each in watch.pending_events]


def test_a_reaction_sets_deadlines_and_sends_commands() -> None:
    assert after(PLACED).deadlines == {"payment": NOON + 10 * MINUTE}
    paid = after(PLACED, PAID)
    assert paid.pending_commands == (Send(order=ONE), Thank(order=ONE, words=("dear", "you")))
    assert paid.deadlines == {}


def test_a_deadline_is_reached_when_it_is_due_and_once() -> None:
    watch = after(PLACED)
    assert watch.reach_deadlines(NOON + 10 * MINUTE - MINUTE / 60) == ()
    [reached] = watch.reach_deadlines(NOON + 12 * MINUTE)
    assert (reached.due_at, reached.occurred_at) == (NOON + 10 * MINUTE, NOON + 12 * MINUTE)
    assert watch.reach_deadlines(NOON + 12 * MINUTE) == ()
    watch.react(reached)
    assert watch.pending_commands == (Remind(order=ONE, since=NOON + 10 * MINUTE),)


@pytest.mark.parametrize("meanwhile", [PAID, PaymentPostponed(order=ONE, minutes=5), CLOSED])
def test_a_deadline_that_was_cancelled_moved_or_ended_after_it_came_is_not_reacted_to(
    meanwhile: DomainEvent,
) -> None:
    watch = after(PLACED)
    [reached] = watch.reach_deadlines(NOON + 10 * MINUTE)
    watch.react(meanwhile)
    before = watch.pending_events
    assert not watch.receive(stored(reached, 3, "watch"))
    assert watch.pending_events == before


def test_an_event_that_starts_nothing_is_passed_over_before_the_start() -> None:
    watch = Watch(ONE)
    assert not watch.receive(stored(PAID))
    assert watch.pending_events == ()


def test_after_the_end_nothing_is_heard_and_no_deadline_comes() -> None:
    watch = after(PLACED, CLOSED)
    assert watch.has_ended
    assert not watch.receive(stored(PLACED, 3))
    assert watch.reach_deadlines(NOON + 99 * MINUTE) == ()
    watch.end()
    assert written(watch) == [DeadlineSet, ProcessEnded]
    with pytest.raises(ValueError, match="has ended"):
        watch.set_deadline("payment", NOON)


def test_an_event_is_received_once_and_so_is_all_that_came_before_it_in_its_stream() -> None:
    watch = Watch(ONE)
    assert watch.receive(stored(PLACED, 1))
    assert watch.receive(stored(PAID, 2))
    known = watch.pending_events
    assert not watch.receive(stored(PAID, 2))
    assert not watch.receive(stored(PLACED, 1))
    assert watch.pending_events == known
    assert written(watch) == [
        *(ProcessReacted, DeadlineSet),
        *(ProcessReacted, DeadlineCancelled, CommandIssued, CommandIssued),
    ]


def test_streams_are_heard_apart() -> None:
    watch = Watch(ONE)
    assert watch.receive(stored(PLACED, 7))
    assert watch.receive(stored(PAID, 1, "payment"))


def test_the_ids_of_commands_follow_from_the_event() -> None:
    ids = [each.command_id for each in after(PLACED, PAID).pending_events[-2:]]  # type: ignore[attr-defined]  # commands
    assert ids == [uuid5(PAID.event_id, f"{StreamId('watch', ONE)}/{n}") for n in (1, 2)]


def test_a_snapshot_is_the_whole_state() -> None:
    watch = after(PLACED, PAID, PLACED)
    watch.receive(stored(PaymentPostponed(order=ONE, minutes=1, occurred_at=NOON)))
    watch.reach_deadlines(NOON + 99 * MINUTE)
    form = SnapshotFormat(Watch)
    again = Watch.replay_from(ONE, 0, form.load(form.dump(watch)))
    assert watch.process_state.waiting
    assert watch.process_state.reached
    assert again.same_state_as(watch)


def test_only_a_reaction_sends() -> None:
    with pytest.raises(RuntimeError, match="only a reaction"):
        Watch(ONE).send(Send(order=ONE))


def test_a_command_that_was_not_named_is_refused_when_it_is_sent() -> None:
    @attrs.frozen
    class Shout:
        pass

    class Loud(ProcessManager[Send], stream="loud"):
        @reacts_to(OrderPlaced, by="order", starts=True)
        def _placed(self, _event: OrderPlaced) -> None:
            self.send(Shout())  # type: ignore[arg-type]  # that is what is tested

    with pytest.raises(TypeError, match="none of the commands"):
        Loud(ONE).react(PLACED)


def test_a_reaction_that_returns_something_is_refused_when_it_does() -> None:
    """Also where the method that takes the place of a marked one is a coroutine."""

    class Hasty(Watch):
        async def _paid(self, event: OrderPaid) -> None:  # type: ignore[override]  # that is tested
            raise NotImplementedError

    hasty = Hasty(ONE)
    hasty.react(PLACED)
    with pytest.raises(TypeError, match="returns nothing"):
        hasty.react(PAID)


def test_a_deadline_without_a_reaction_is_refused_when_it_is_set() -> None:
    with pytest.raises(ValueError, match="on_deadline"):
        Watch(ONE).set_deadline("delivery", NOON)


@pytest.mark.parametrize(
    ("name", "body"),
    [("Sing", "{}"), ("Send", "{}"), ("Send", '{"order": "Lovelace"}'), ("Send", "")],
)
def test_a_stored_command_that_fits_no_class_is_an_error_without_its_values(
    name: str, body: str
) -> None:
    issued = CommandIssued(command_id=uuid4(), command=name, body=body)
    with pytest.raises(DecodingError) as caught:
        Watch.command_of(issued)
    assert "Lovelace" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "Lovelace" not in repr(CommandIssued(command_id=uuid4(), command=name, body="Lovelace"))


def test_a_subclass_inherits_reactions_and_may_take_their_place() -> None:
    class Patient(Watch):
        @on_deadline("payment")
        def _unpaid_still(self, reached: DeadlineReached) -> None:
            self.set_deadline("payment", reached.due_at + MINUTE)

    patient = Patient(ONE)
    patient.react(PLACED)
    [reached] = patient.reach_deadlines(NOON + 10 * MINUTE)
    patient.react(reached)
    assert patient.pending_commands == ()
    assert patient.deadlines == {"payment": NOON + 11 * MINUTE}


def test_without_commands_there_is_never() -> None:
    class Silent(ProcessManager[Never], stream="silent"):
        @reacts_to(OrderPlaced, by="order", starts=True)
        def _placed(self, _event: OrderPlaced) -> None:
            self.end()

    silent = Silent(ONE)
    silent.react(PLACED)
    assert silent.has_ended


@attrs.define
class Changeable:
    order: UUID


@attrs.frozen
class Whisper:
    word: str | None = secret(default=None)


async def later(_self: Any, _event: Any) -> None:
    pass


def bit_by_bit(_self: Any, _event: Any) -> Generator[None, None, None]:
    yield


def plain() -> Callable[..., None]:
    return lambda _self, _event: None


def one(method: Callable[..., Any] | None = None, *events: Any, **options: Any) -> dict[str, Any]:
    chosen: dict[str, Any] = {"by": "order", "starts": True} | options
    mark: Any = reacts_to
    return {"one": mark(*(events or (OrderPlaced,)), **chosen)(method or plain())}


def another(**options: Any) -> dict[str, Any]:
    return {"another": reacts_to(OrderPlaced, by="order", **options)(plain())}


def woken(*names: str) -> dict[str, Any]:
    return {name: on_deadline("payment")(plain()) for name in names}


@pytest.mark.parametrize(
    ("commands", "body", "why"),
    [
        (Send, {}, "no event starts it"),
        (Send, another(), "no event starts it"),
        (Send, one() | another(), "two methods react to OrderPlaced"),
        (Send, one() | woken("two", "three"), "two methods react to the deadline 'payment'"),
        (Send, one(later), "make it a plain function"),
        (Send, one(bit_by_bit), "make it a plain function"),
        (Send, one(None, Send), "no event class"),
        (Send, one(None, OrderPlaced, by="number"), "OrderPlaced has no field 'number'"),
        (Send, one(None, DeadlineReached, by="name"), "use on_deadline"),
        (Changeable, one(), "attrs.frozen"),
        (UUID, one(), "attrs.frozen"),
        (Whisper, one(), "Whisper has a secret field"),
    ],
)
def test_a_class_that_cannot_work_is_refused_when_it_is_defined(
    commands: Any, body: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidProcessClass, match=why) as caught:
        _define(commands, body)
    assert str(caught.value).startswith("Bad: ")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_method_reacts_to_one_thing() -> None:
    with pytest.raises(InvalidProcessClass, match="already"):
        on_deadline("payment")(one()["one"])


def test_an_undecorated_event_is_refused_as_everywhere() -> None:
    class Undecorated(DomainEvent):
        order: UUID

    with pytest.raises(InvalidEventClass):
        _define(Send, one(None, Undecorated))


def test_a_process_that_adds_to_its_state_takes_no_snapshots_until_it_says_how() -> None:
    @event
    class OrderCounted(DomainEvent):
        count: int

    class Counting(Watch):
        @applies(OrderCounted)
        def _counted(self, event: OrderCounted) -> None:
            self.count = event.count

    assert Watch.snapshot_type is ProcessState
    assert Counting.snapshot_type is None


def _define(commands: Any, body: dict[str, Any]) -> None:
    base: Any = ProcessManager
    made = types.new_class(
        "Bad", (base[commands],), {"stream": "bad"}, lambda space: space.update(body)
    )
    made.__qualname__ = "Bad"


def test_times_of_deadlines_are_aware() -> None:
    with pytest.raises(ValueError, match="give it a timezone"):
        after(PLACED).set_deadline("payment", datetime(2026, 1, 1))  # noqa: DTZ001  # that is tested
