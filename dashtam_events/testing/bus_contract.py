"""What every event bus has to do, as tests that run on any of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any
from uuid import UUID

import pytest

from dashtam_events.bus.protocol import EventBus, EventContext
from dashtam_events.errors import BusClosed, ClosedFromWithin, HandlerNotAsync, InvalidEventClass
from dashtam_events.event import DomainEvent, event
from dashtam_events.recorded import EventMetadata
from dashtam_events.registry import EventRegistry

__all__ = ["BusContract"]

_Heard = list[tuple[DomainEvent, EventContext]]
_request: ContextVar[str] = ContextVar("request", default="none")


@event(category="contract")
class SomethingHappened(DomainEvent):
    """An event of the contract."""

    note: str = "a note"


@event(category="contract")
class SomethingElseHappened(DomainEvent):
    """Another event of the contract."""


@event
class SomethingSpecialHappened(SomethingHappened):
    """A subclass of an event of the contract."""


def _into(heard: _Heard) -> Callable[[DomainEvent, EventContext], Awaitable[None]]:
    async def hear(happened: DomainEvent, context: EventContext) -> None:
        heard.append((happened, context))

    return hear


def _failing(happened: SomethingHappened) -> Awaitable[None]:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError(happened.note)

    return fail()


def _not_async(_happened: SomethingHappened) -> Any:
    return None


async def _failing_at_once(happened: SomethingHappened) -> None:
    raise LookupError(happened.note)


async def _endless(_event: DomainEvent) -> None:
    await asyncio.Event().wait()


class BusContract:
    """Subclass it, give it a fixture `bus`, and let pytest run it.

    The fixture yields an open bus on which nobody listens, and which may be closed afterwards.

        class TestMyBus(BusContract):
            @pytest.fixture
            def bus(self) -> EventBus:
                return MyBus()
    """

    pytestmark: pytest.MarkDecorator = pytest.mark.asyncio

    async def test_a_handler_hears_of_the_event_it_subscribed_to(self, bus: EventBus) -> None:
        heard: _Heard = []
        bus.subscribe(SomethingHappened, _into(heard))
        happened = SomethingHappened()
        await bus.publish(happened)
        assert [each for each, _ in heard] == [happened]

    async def test_a_handler_without_a_context_hears_too(self, bus: EventBus) -> None:
        heard: list[UUID] = []

        async def hear(happened: SomethingHappened) -> None:
            heard.append(happened.event_id)

        bus.subscribe(SomethingHappened, hear)
        happened = SomethingHappened()
        await bus.publish(happened)
        assert heard == [happened.event_id]

    async def test_every_event_is_heard_once_and_in_order(self, bus: EventBus) -> None:
        heard: _Heard = []
        bus.subscribe(SomethingHappened, _into(heard))
        events = [SomethingHappened(note=str(n)) for n in range(20)]
        for happened in events:
            await bus.publish(happened)
        assert [each for each, _ in heard] == events

    async def test_only_the_very_class_counts(self, bus: EventBus) -> None:
        """A handler hears neither of other classes nor of subclasses."""
        heard: _Heard = []
        bus.subscribe(SomethingHappened, _into(heard))
        await bus.publish(SomethingElseHappened())
        await bus.publish(SomethingSpecialHappened())
        assert heard == []

    async def test_all_handlers_hear_and_start_in_the_order_of_their_subscription(
        self, bus: EventBus
    ) -> None:
        started: list[int] = []

        async def first(_event: DomainEvent) -> None:
            started.append(1)

        async def second(_event: DomainEvent) -> None:
            started.append(2)
            await asyncio.sleep(0)

        async def third(_event: DomainEvent) -> None:
            started.append(3)

        async def fourth(_event: DomainEvent) -> None:
            started.append(4)
            await asyncio.sleep(0)

        for handler in (first, second, third, fourth):
            bus.subscribe(SomethingHappened, handler)
        await bus.publish(SomethingHappened())
        assert started == [1, 2, 3, 4]

    async def test_a_whole_selection_is_subscribed_in_one_call(self, bus: EventBus) -> None:
        heard: _Heard = []
        hear = _into(heard)
        registry = EventRegistry([SomethingHappened, SomethingElseHappened])
        bus.subscribe(registry.by_category("contract"), hear)
        await bus.publish(SomethingHappened())
        await bus.publish(SomethingElseHappened())
        bus.unsubscribe(registry, hear)
        await bus.publish(SomethingHappened())
        kinds: list[type[DomainEvent]] = [type(each) for each, _ in heard]
        assert kinds == [SomethingHappened, SomethingElseHappened]

    async def test_subscribed_twice_is_heard_once_and_keeps_its_place(self, bus: EventBus) -> None:
        started: list[str] = []

        async def first(_event: DomainEvent) -> None:
            started.append("first")

        async def second(_event: DomainEvent) -> None:
            started.append("second")

        for handler in (first, second, first):
            bus.subscribe(SomethingHappened, handler)
        await bus.publish(SomethingHappened())
        assert started == ["first", "second"]

    async def test_a_class_that_is_no_event_is_refused(self, bus: EventBus) -> None:
        with pytest.raises(InvalidEventClass):
            bus.subscribe(DomainEvent, _into([]))

    async def test_an_unsubscribed_handler_hears_no_more(self, bus: EventBus) -> None:
        """The others still do; unsubscribing one that never subscribed is fine."""
        heard: _Heard = []
        stays: _Heard = []
        hear = _into(heard)
        bus.subscribe(SomethingHappened, hear)
        bus.subscribe(SomethingHappened, _into(stays))
        bus.unsubscribe(SomethingHappened, hear)
        bus.unsubscribe(SomethingElseHappened, hear)
        await bus.publish(SomethingHappened())
        assert heard == []
        assert len(stays) == 1

    async def test_nobody_listening_is_no_error(self, bus: EventBus) -> None:
        await bus.publish(SomethingHappened())

    async def test_metadata_comes_along_from_a_mapping_too(self, bus: EventBus) -> None:
        heard: _Heard = []
        bus.subscribe(SomethingHappened, _into(heard))
        await bus.publish(SomethingHappened(), metadata={"correlation_id": "c", "tenant": "t"})
        await bus.publish(SomethingHappened(), metadata=EventMetadata(actor="a"))
        await bus.publish(SomethingHappened())
        assert [context.metadata for _, context in heard] == [
            EventMetadata(correlation_id="c", extras={"tenant": "t"}),
            EventMetadata(actor="a"),
            EventMetadata(),
        ]

    async def test_publish_returns_when_every_handler_is_done(self, bus: EventBus) -> None:
        done: list[int] = []

        async def slow(_event: DomainEvent) -> None:
            await asyncio.sleep(0.01)
            done.append(1)

        bus.subscribe(SomethingHappened, slow)
        await bus.publish(SomethingHappened())
        assert done == [1]

    async def test_handlers_run_concurrently(self, bus: EventBus) -> None:
        """Two that wait for each other both finish."""
        here, there = asyncio.Event(), asyncio.Event()

        async def one(_event: DomainEvent) -> None:
            here.set()
            await there.wait()

        async def other(_event: DomainEvent) -> None:
            there.set()
            await here.wait()

        bus.subscribe(SomethingHappened, one)
        bus.subscribe(SomethingHappened, other)
        async with asyncio.timeout(20):
            await bus.publish(SomethingHappened())

    @pytest.mark.parametrize("fail", [_failing, _failing_at_once])
    async def test_a_handler_that_fails_harms_no_other(self, bus: EventBus, fail: Any) -> None:
        heard: _Heard = []
        bus.subscribe(SomethingHappened, _into(heard))
        bus.subscribe(SomethingHappened, fail)
        bus.subscribe(SomethingHappened, _into(heard))
        await bus.publish(SomethingHappened())
        assert len(heard) == 2

    @pytest.mark.parametrize("fail", [_failing, _failing_at_once])
    async def test_a_failure_is_logged_without_any_value(
        self, bus: EventBus, fail: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        bus.subscribe(SomethingHappened, fail)
        happened = SomethingHappened(note="the canary")
        with caplog.at_level(logging.WARNING):
            await bus.publish(happened)
        [record] = [each for each in caplog.records if each.msg == "event_handler_failed"]
        facts = vars(record)
        assert facts["event_type"] == "SomethingHappened"
        assert facts["event_id"] == str(happened.event_id)
        assert fail.__name__ in facts["handler_name"]
        assert facts["error_type"] == "LookupError"
        assert facts["where"].startswith(f"{__name__}:")
        assert facts["exc_info"] is None
        assert "canary" not in repr(facts)

    async def test_a_handler_over_its_time_is_cancelled_and_logged(
        self, bus: EventBus, caplog: pytest.LogCaptureFixture
    ) -> None:
        heard: _Heard = []
        bus.subscribe(SomethingHappened, _endless, timeout=0.01)
        bus.subscribe(SomethingHappened, _into(heard))
        async with asyncio.timeout(20):
            await bus.publish(SomethingHappened())
        [record] = [each for each in caplog.records if each.msg == "event_handler_failed"]
        assert vars(record)["error_type"] == "TimeoutError"
        assert len(heard) == 1

    async def test_cancelling_a_publish_cancels_its_handlers_and_passes_through(
        self, bus: EventBus, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The handlers have ended when it does, and none of them is a failure."""
        started, ended = asyncio.Event(), []

        async def handler(_event: DomainEvent) -> None:
            try:
                started.set()
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append(True)

        bus.subscribe(SomethingHappened, handler)
        publish = asyncio.ensure_future(bus.publish(SomethingHappened()))
        await started.wait()
        publish.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publish
        assert ended == [True]
        assert "event_handler_failed" not in caplog.messages

    async def test_fifty_publishers_never_see_each_others_context(self, bus: EventBus) -> None:
        heard: list[tuple[str, str | None, str]] = []

        async def hear(happened: SomethingHappened, context: EventContext) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
                heard.append((happened.note, context.metadata.correlation_id, _request.get()))

        async def publisher(name: str) -> None:
            _request.set(name)
            for _ in range(5):
                await bus.publish(SomethingHappened(note=name), metadata={"correlation_id": name})

        bus.subscribe(SomethingHappened, hear)
        await asyncio.gather(*(publisher(str(n)) for n in range(50)))
        assert len(heard) == 50 * 5 * 3
        assert {note for note, _, _ in heard} == {str(n) for n in range(50)}
        assert all(note == correlation == request for note, correlation, request in heard)

    async def test_what_a_handler_sets_in_its_context_nobody_else_sees(self, bus: EventBus) -> None:
        seen: list[str] = []

        async def at_once(_event: DomainEvent) -> None:
            seen.append(_request.get())
            _request.set("changed")

        async def giving_way(_event: DomainEvent) -> None:
            await asyncio.sleep(0)
            seen.append(_request.get())
            _request.set("changed")

        for handler in (at_once, giving_way):
            bus.subscribe(SomethingHappened, handler)
        _request.set("mine")
        await bus.publish(SomethingHappened())
        await bus.publish(SomethingHappened())
        assert [*seen, _request.get()] == ["mine"] * 5

    async def test_a_handler_may_publish_and_subscribe(self, bus: EventBus) -> None:
        """Who subscribes while an event is told hears of the next one."""
        heard: _Heard = []
        hear = _into(heard)

        async def handler(_event: DomainEvent) -> None:
            bus.subscribe(SomethingHappened, hear)
            await bus.publish(SomethingElseHappened())

        bus.subscribe(SomethingHappened, handler)
        bus.subscribe(SomethingElseHappened, hear)
        await bus.publish(SomethingHappened())
        assert [type(each) for each, _ in heard] == [SomethingElseHappened]
        await bus.publish(SomethingHappened())
        assert len(heard) == 3

    async def test_closing_waits_for_the_publishes_under_way(self, bus: EventBus) -> None:
        started, go, done = asyncio.Event(), asyncio.Event(), []

        async def handler(_event: DomainEvent) -> None:
            started.set()
            await go.wait()
            await bus.publish(SomethingElseHappened())
            done.append(True)

        heard: _Heard = []
        bus.subscribe(SomethingHappened, handler)
        bus.subscribe(SomethingElseHappened, _into(heard))
        publish = asyncio.ensure_future(bus.publish(SomethingHappened()))
        await started.wait()
        closing = asyncio.ensure_future(bus.aclose())
        await asyncio.sleep(0.01)
        assert not closing.done()
        go.set()
        await closing
        assert done == [True]
        assert len(heard) == 1
        await publish

    async def test_a_closed_bus_refuses_and_closes_again(self, bus: EventBus) -> None:
        await bus.aclose()
        await bus.aclose()
        with pytest.raises(BusClosed):
            await bus.publish(SomethingHappened())

    async def test_a_handler_cannot_wait_for_its_bus_to_close(self, bus: EventBus) -> None:
        refused = []

        async def close(_event: SomethingHappened) -> None:
            try:
                await bus.aclose()
            except ClosedFromWithin as error:
                refused.append(error)

        bus.subscribe(SomethingHappened, close)
        async with asyncio.timeout(20):
            await bus.publish(SomethingHappened())
            await bus.aclose()
        assert len(refused) == 1

    async def test_a_handler_that_is_not_async_is_refused(self, bus: EventBus) -> None:
        with pytest.raises(HandlerNotAsync):
            bus.subscribe(SomethingHappened, _not_async)

    async def test_what_is_no_event_is_not_published(self, bus: EventBus) -> None:
        wrong: Any = SomethingHappened
        with pytest.raises(TypeError):
            await bus.publish(wrong)
