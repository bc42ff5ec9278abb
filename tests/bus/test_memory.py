"""The bus in memory: the contract, and what is its own."""

import asyncio
import logging
import pickle
import subprocess
import sys
import types
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from dashtam_events.bus import EventBus, EventContext, InMemoryEventBus
from dashtam_events.errors import BusClosed, ClosedFromWithin, HandlerNotAsync
from dashtam_events.event import DomainEvent, event
from dashtam_events.recorded import EventMetadata, Position, RecordedEvent, StreamId, UnknownEvent
from dashtam_events.testing.bus_contract import BusContract


@event
class DoorOpened(DomainEvent):
    """A door was opened."""

    door: str = "front"


class TestInMemoryEventBus(BusContract):
    @pytest.fixture
    def bus(self) -> EventBus:
        return InMemoryEventBus()


@pytest.fixture
def bus() -> InMemoryEventBus:
    return InMemoryEventBus()


def failures(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(each) for each in caplog.records if each.msg == "event_handler_failed"]


async def test_a_handler_without_an_await_runs_in_the_publishers_task(
    bus: InMemoryEventBus,
) -> None:
    seen: list[Any] = []

    class Listener:
        async def hear(self, _event: DoorOpened) -> None:
            seen.append(asyncio.current_task())

    async def gives_way(_event: DoorOpened) -> None:
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    bus.subscribe(DoorOpened, Listener().hear)
    await bus.publish(DoorOpened())
    assert seen == [asyncio.current_task()]
    bus.subscribe(DoorOpened, gives_way)
    await bus.publish(DoorOpened())
    assert seen[1] is asyncio.current_task()
    assert seen[2] is not asyncio.current_task()


async def test_a_handler_object_without_an_await_costs_no_task_either(
    bus: InMemoryEventBus,
) -> None:
    seen: list[Any] = []

    class Noting:
        async def __call__(self, _event: DoorOpened) -> None:
            seen.append(asyncio.current_task())

    class Waiting:
        async def __call__(self, _event: DoorOpened) -> None:
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())

    bus.subscribe(DoorOpened, Noting())
    bus.subscribe(DoorOpened, Waiting())
    await bus.publish(DoorOpened())
    assert seen[0] is asyncio.current_task()
    assert seen[1] is not asyncio.current_task()


async def test_an_object_whose_call_only_returns_an_awaitable_gets_a_task(
    bus: InMemoryEventBus,
) -> None:
    seen: list[Any] = []

    async def hear(_event: DoorOpened) -> None:
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    class Passing:
        def __call__(self, event: DoorOpened) -> Any:
            return hear(event)

    for handler in (Passing(), partial(hear), hear):
        bus.subscribe(DoorOpened, handler)
    await bus.publish(DoorOpened())
    assert len(set(seen) - {asyncio.current_task()}) == 3


async def test_every_way_of_giving_way_gets_a_task(bus: InMemoryEventBus) -> None:
    tasks = []

    async def numbers() -> Any:
        yield 1

    class Pause:
        async def __aenter__(self) -> None:
            await asyncio.sleep(0)

        async def __aexit__(self, *_raised: object) -> None:
            return

    async def awaits(_event: DoorOpened) -> None:
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    async def iterates(_event: DoorOpened) -> None:
        async for number in numbers():
            assert number == 1
        tasks.append(asyncio.current_task())

    async def comprehends(_event: DoorOpened) -> None:
        assert [n async for n in numbers()] == [1]
        tasks.append(asyncio.current_task())

    async def enters(_event: DoorOpened) -> None:
        async with Pause():
            tasks.append(asyncio.current_task())

    for handler in (awaits, iterates, comprehends, enters):
        bus.subscribe(DoorOpened, handler)
    await bus.publish(DoorOpened())
    assert len(set(tasks) - {asyncio.current_task()}) == 4


async def test_any_callable_may_be_a_handler(bus: InMemoryEventBus) -> None:
    heard = []

    class Listener:
        async def __call__(self, opened: DoorOpened, _context: EventContext) -> None:
            heard.append(("object", opened.door))

    async def named(name: str, opened: DoorOpened) -> None:
        heard.append((name, opened.door))

    bus.subscribe(DoorOpened, Listener())
    bus.subscribe(DoorOpened, partial(named, "partial"))
    bus.subscribe(DoorOpened, lambda opened: named("lambda", opened))
    await bus.publish(DoorOpened())
    assert heard == [("object", "front"), ("partial", "front"), ("lambda", "front")]


async def test_a_failure_names_any_callable(
    bus: InMemoryEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    """An object by its class, a partial by its function, a builtin by itself."""

    class Listener:
        async def __call__(self, _event: DoorOpened) -> None:
            raise LookupError

    async def named(_name: str, _event: DoorOpened) -> None:
        raise LookupError

    handlers: list[Any] = [Listener(), partial(named, "partial"), iter]
    for handler in handlers:
        bus.subscribe(DoorOpened, handler)
    await bus.publish(DoorOpened())
    names = [each["handler_name"] for each in failures(caplog)]
    assert [name.rpartition(".")[2] for name in names] == ["Listener", "named", "iter"]


async def test_a_context_with_a_default_stays_at_its_default(bus: InMemoryEventBus) -> None:
    heard = []

    async def hear(_event: DoorOpened, context: EventContext | None = None) -> None:
        heard.append(context)

    bus.subscribe(DoorOpened, hear)
    await bus.publish(DoorOpened(), metadata={"actor": "a"})
    assert heard == [None]


@pytest.mark.parametrize("handler", [lambda: None, lambda _a, _b, _c: None])
def test_what_cannot_be_called_with_an_event_is_refused(
    bus: InMemoryEventBus, handler: Any
) -> None:
    with pytest.raises(TypeError, match="takes an event"):
        bus.subscribe(DoorOpened, handler)


def test_a_selection_with_a_wrong_class_subscribes_to_none_of_it(bus: InMemoryEventBus) -> None:
    async def hear(_event: DomainEvent) -> None: ...

    with pytest.raises(TypeError):
        bus.subscribe([DoorOpened, DomainEvent], hear)
    assert bus._audiences == {}


async def test_an_unknown_event_can_be_heard_of(
    bus: InMemoryEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    """One read by a relay, say; its failures are logged by the name of the class."""

    async def fail(unknown: UnknownEvent) -> None:
        raise KeyError(unknown.name)

    bus.subscribe(UnknownEvent, fail)
    await bus.publish(UnknownEvent(name="Gone", schema_version=1, data=b"{}"))
    assert failures(caplog)[0]["event_type"] == "UnknownEvent"


async def test_the_recorded_event_brings_its_metadata(bus: InMemoryEventBus) -> None:
    heard = []

    async def hear(_event: DoorOpened, context: EventContext) -> None:
        heard.append(context)

    opened = DoorOpened()
    recorded = RecordedEvent(
        position=Position(7),
        stream=StreamId("door", uuid4()),
        version=1,
        recorded_at=opened.occurred_at,
        event=opened,
        metadata=EventMetadata(actor="recorded"),
    )
    bus.subscribe(DoorOpened, hear)
    await bus.publish(opened, recorded=recorded)
    await bus.publish(opened, recorded=recorded, metadata={"actor": "given"})
    assert [(each.recorded, each.metadata.actor) for each in heard] == [
        (recorded, "recorded"),
        (recorded, "given"),
    ]


async def test_the_time_of_the_bus_holds_where_a_subscription_names_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = InMemoryEventBus(timeout=0.01, logger=logging.getLogger("mine"))
    done = []

    async def endless(_event: DoorOpened) -> None:
        await asyncio.Event().wait()

    async def patient(_event: DoorOpened) -> None:
        await asyncio.sleep(0.05)
        done.append(True)

    bus.subscribe(DoorOpened, endless)
    bus.subscribe(DoorOpened, patient, timeout=60)
    await bus.publish(DoorOpened())
    assert done == [True]
    [record] = failures(caplog)
    assert record["name"] == "mine"
    assert record["handler_name"].endswith("endless")
    # Where it was waiting, not where asyncio noticed.
    assert record["where"].startswith("asyncio.locks:")


async def test_subscribing_again_takes_the_new_timeout(
    bus: InMemoryEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    async def endless(_event: DoorOpened) -> None:
        await asyncio.Event().wait()

    bus.subscribe(DoorOpened, endless)
    bus.subscribe(DoorOpened, endless, timeout=0.01)
    async with asyncio.timeout(20):
        await bus.publish(DoorOpened())
    assert len(failures(caplog)) == 1


async def test_a_handler_that_is_cancelled_from_elsewhere_has_failed(
    bus: InMemoryEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it gives way or not: nobody cancelled the publish."""

    async def at_once(_event: DoorOpened) -> None:
        raise asyncio.CancelledError

    async def giving_way(_event: DoorOpened) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    bus.subscribe(DoorOpened, at_once)
    bus.subscribe(DoorOpened, giving_way)
    await bus.publish(DoorOpened())
    assert [each["error_type"] for each in failures(caplog)] == ["CancelledError"] * 2


async def test_what_is_no_exception_passes_through_a_handler_without_await(
    bus: InMemoryEventBus,
) -> None:
    async def quit_now(_event: DoorOpened) -> None:
        raise SystemExit(3)

    bus.subscribe(DoorOpened, quit_now)
    with pytest.raises(SystemExit):
        await bus.publish(DoorOpened())


def test_a_keyboard_interrupt_in_a_task_ends_the_program() -> None:
    program = """
import asyncio
from dashtam_events.bus import InMemoryEventBus
from dashtam_events.event import DomainEvent, event

@event
class DoorOpened(DomainEvent):
    pass

async def interrupted(_event):
    await asyncio.sleep(0)
    raise KeyboardInterrupt

async def main():
    bus = InMemoryEventBus()
    bus.subscribe(DoorOpened, interrupted)
    await bus.publish(DoorOpened())

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "interrupted\n"
    assert "event_handler_failed" not in ran.stderr


async def test_cancelling_before_a_handler_started_leaves_nothing_behind(
    bus: InMemoryEventBus,
) -> None:
    async def hear(_event: DoorOpened) -> None:
        await asyncio.sleep(0)

    bus.subscribe(DoorOpened, hear)
    publish = asyncio.ensure_future(bus.publish(DoorOpened()))
    await asyncio.sleep(0)
    publish.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publish
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await bus.aclose()


def test_the_refusal_of_a_closed_bus_pickles() -> None:
    error = pickle.loads(pickle.dumps(BusClosed("InMemoryEventBus")))
    assert isinstance(error, RuntimeError)
    assert str(error) == "InMemoryEventBus: closed; publish before aclose()"


async def test_a_failure_can_be_read_where_logging_is_not_structured(
    bus: InMemoryEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    """What a plain formatter prints; the message alone stays what a search looks for."""

    async def fail(opened: DoorOpened) -> None:
        raise LookupError(opened.door)

    bus.subscribe(DoorOpened, fail)
    opened = DoorOpened(door="the canary")
    await bus.publish(opened)
    [record] = caplog.records
    message, told = logging.Formatter(logging.BASIC_FORMAT).format(record).splitlines()
    assert message == "ERROR:dashtam_events.bus:event_handler_failed"
    assert told.startswith(f"{__name__}.test_a_failure_can_be_read")
    assert told.endswith(
        f"fail raised LookupError at {vars(record)['where']}, told of DoorOpened {opened.event_id}"
    )
    assert "canary" not in told


async def test_a_quiet_logger_hears_of_no_failure(
    bus: InMemoryEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_event: DoorOpened) -> None:
        raise LookupError

    bus.subscribe(DoorOpened, fail)
    with caplog.at_level(logging.CRITICAL, logger="dashtam_events.bus"):
        await bus.publish(DoorOpened())
    assert caplog.records == []


def _returns_nothing(_event: DoorOpened) -> None:
    len("it ran")


def _returns_nothing_either_way(event: DoorOpened) -> None:
    if event.door == "front":
        return
    len("it ran")


def _yields(_event: DoorOpened) -> Any:
    yield


async def _yields_too(_event: DoorOpened) -> Any:
    yield


class _Plain:
    def __call__(self, _event: DoorOpened) -> None:
        return None

    def hear(self, _event: DoorOpened) -> None:
        return None


@pytest.mark.parametrize(
    "handler",
    [
        *(_returns_nothing, _returns_nothing_either_way, _yields, _yields_too, lambda _event: None),
        *(_Plain(), _Plain().hear, partial(_returns_nothing), partial(_Plain())),
        lambda _event: 7,
    ],
)
def test_what_returns_nothing_to_await_is_no_handler(bus: InMemoryEventBus, handler: Any) -> None:
    with pytest.raises(HandlerNotAsync, match="write `async def`") as refusal:
        bus.subscribe(DoorOpened, handler)
    assert refusal.value.handler.startswith(__name__)
    assert isinstance(refusal.value, TypeError)


@pytest.mark.parametrize("wrap", [lambda handler: handler, partial])
async def test_a_function_that_may_return_an_awaitable_is_a_handler(
    bus: InMemoryEventBus, wrap: Any, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    async def hear(opened: DoorOpened) -> None:
        heard.append(opened.door)

    def conditional(opened: DoorOpened) -> Any:
        return hear(opened) if opened.door else None

    def either(opened: DoorOpened) -> Any:
        return hear(opened) or None

    @types.coroutine
    def by_hand(opened: DoorOpened) -> Any:
        heard.append(opened.door)
        yield

    def late(opened: DoorOpened) -> Any:
        return asyncio.ensure_future(hear(opened))

    for handler in (conditional, either, by_hand, late):
        bus.subscribe(DoorOpened, wrap(handler))
    await bus.publish(DoorOpened())
    assert heard == ["front"] * 4
    assert failures(caplog) == []


async def test_a_handler_that_turns_out_not_to_be_async_is_logged_as_that(
    bus: InMemoryEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Any] = []
    handlers: list[Any] = [heard.append, lambda opened: heard.insert(0, opened)]
    for handler in handlers:
        bus.subscribe(DoorOpened, handler)
    await bus.publish(DoorOpened())
    assert len(heard) == 2
    assert [each["error_type"] for each in failures(caplog)] == ["HandlerNotAsync"] * 2


@pytest.mark.parametrize("wrong", ["x", None, DoorOpened, [DoorOpened()]])
async def test_only_an_event_is_published(bus: InMemoryEventBus, wrong: Any) -> None:
    with pytest.raises(TypeError, match="publish takes an event, an instance of"):
        await bus.publish(wrong)


async def test_a_handler_that_closes_its_bus_is_told_that_it_cannot(
    bus: InMemoryEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    """It would wait for itself; the bus stays open."""
    heard = []

    async def close(opened: DoorOpened) -> None:
        heard.append(opened.door)
        await bus.aclose()

    bus.subscribe(DoorOpened, close)
    async with asyncio.timeout(20):
        await bus.publish(DoorOpened())
        await bus.publish(DoorOpened(door="back"))
    assert heard == ["front", "back"]
    assert [each["error_type"] for each in failures(caplog)] == ["ClosedFromWithin"] * 2
    await bus.aclose()


async def test_a_transactional_handler_cannot_close_its_bus_either(bus: InMemoryEventBus) -> None:
    class Closing:
        transactional = True

        def needs_session(self, _event: DoorOpened) -> bool:
            return False

        async def __call__(self, _event: DoorOpened) -> None:
            await bus.aclose()

    bus.subscribe(DoorOpened, Closing())
    async with asyncio.timeout(20):
        with pytest.raises(ClosedFromWithin, match="would wait for itself"):
            await bus.publish(DoorOpened())
        await bus.aclose()


async def test_a_handler_may_have_its_bus_closed_by_a_task_of_its_own(
    bus: InMemoryEventBus,
) -> None:
    closing = []

    async def close_later(_event: DoorOpened) -> None:
        closing.append(asyncio.ensure_future(bus.aclose()))
        await asyncio.sleep(0)

    bus.subscribe(DoorOpened, close_later)
    await bus.publish(DoorOpened())
    async with asyncio.timeout(20):
        await closing[0]
    with pytest.raises(BusClosed):
        await bus.publish(DoorOpened())


@pytest.mark.parametrize("error", [HandlerNotAsync("shop.greet"), ClosedFromWithin("Bus")])
def test_the_refusals_of_a_bus_pickle(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
