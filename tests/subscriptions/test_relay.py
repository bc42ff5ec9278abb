"""The relay: every event of a store reaches the bus at least once, in order."""

import asyncio
from typing import Any

import pytest

from dashtam_events.bus import EventContext, InMemoryEventBus
from dashtam_events.errors import BusClosed
from dashtam_events.store import EventStore
from dashtam_events.subscriptions import Relay
from tests.subscriptions.houses import REGISTRY, DoorOpened, WindowOpened, open_doors, open_windows

LAST = 999


class Listener:
    """Hears of doors, and can be told to wait or to fail at one."""

    def __init__(self, bus: InMemoryEventBus) -> None:
        self.heard: list[int] = []
        self.contexts: list[EventContext] = []
        self.stuck_at: int | None = None
        self.stuck = asyncio.Event()
        self.heard_the_last = asyncio.Event()
        bus.subscribe(REGISTRY, self.hear)

    async def hear(self, opened: Any, context: EventContext) -> None:
        if opened.number == self.stuck_at:
            self.stuck.set()
            await asyncio.Event().wait()
        self.heard.append(opened.number)
        self.contexts.append(context)
        if opened.number == LAST:
            self.heard_the_last.set()


@pytest.fixture
def bus() -> InMemoryEventBus:
    return InMemoryEventBus()


@pytest.fixture
def listener(bus: InMemoryEventBus) -> Listener:
    return Listener(bus)


async def test_it_catches_up_and_says_how_far(
    store: EventStore, bus: InMemoryEventBus, listener: Listener
) -> None:
    relay = Relay(store, bus)
    assert await relay.run_once() is None
    await open_doors(store, *range(300))
    assert await relay.run_once() == relay.position == await store.last_position()
    assert listener.heard == list(range(300))
    await relay.run_once()
    assert len(listener.heard) == 300


async def test_handlers_get_the_metadata_and_the_recorded_event(
    store: EventStore, bus: InMemoryEventBus, listener: Listener
) -> None:
    await open_doors(store, 1)
    await Relay(store, bus).run_once()
    [context] = listener.contexts
    [recorded] = [recorded async for recorded in store.read_all()]
    assert context == EventContext(metadata=recorded.metadata, recorded=recorded)
    assert context.metadata.actor == "a"


async def test_another_relay_goes_on_from_the_position_that_was_kept(
    store: EventStore, bus: InMemoryEventBus, listener: Listener
) -> None:
    await open_doors(store, 1, 2)
    kept = await Relay(store, bus).run_once()
    await open_doors(store, 3)
    await Relay(store, bus, after=kept).run_once()
    assert listener.heard == [1, 2, 3]


async def test_the_position_moves_over_what_is_not_wanted(
    store: EventStore, bus: InMemoryEventBus, listener: Listener
) -> None:
    await open_doors(store, 1)
    await open_windows(store, 2)
    relay = Relay(store, bus, types=[DoorOpened])
    assert await relay.run_once() == await store.last_position()
    assert listener.heard == [1]
    assert await Relay(store, bus, categories=["windows"]).run_once() == relay.position
    assert listener.heard == [1, 2]


async def test_it_runs_on_until_it_is_cancelled(
    store: EventStore, bus: InMemoryEventBus, listener: Listener
) -> None:
    relay = Relay(store, bus)
    running = asyncio.ensure_future(relay.run())
    for number in (1, 2, 3, LAST):
        await open_doors(store, number)
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await listener.heard_the_last.wait()
    await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert listener.heard == [1, 2, 3, LAST]
    assert relay.position == await store.last_position()


async def test_an_event_whose_publish_was_cancelled_is_published_again(
    store: EventStore, bus: InMemoryEventBus, listener: Listener
) -> None:
    await open_doors(store, 1, 2, 3)
    listener.stuck_at = 2
    relay = Relay(store, bus)
    running = asyncio.ensure_future(relay.run_once())
    await listener.stuck.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    [first] = [recorded async for recorded in store.read_all(limit=1)]
    assert relay.position == first.position
    listener.stuck_at = None
    await Relay(store, bus, after=relay.position).run_once()
    assert listener.heard == [1, 2, 3]


async def test_a_handler_that_fails_does_not_hold_it_up(
    store: EventStore, bus: InMemoryEventBus, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_event: DoorOpened) -> None:
        raise LookupError

    bus.subscribe(DoorOpened, fail)
    listener = Listener(bus)
    await open_doors(store, 1, 2)
    await Relay(store, bus).run_once()
    assert listener.heard == [1, 2]
    assert caplog.messages == ["event_handler_failed"] * 2


async def test_a_closed_bus_stops_it_before_the_event_it_refused(
    store: EventStore, bus: InMemoryEventBus
) -> None:
    class Fussy(InMemoryEventBus):
        async def publish(self, event: Any, **circumstances: Any) -> None:
            if type(event) is WindowOpened:
                await self.aclose()
            await super().publish(event, **circumstances)

    await open_doors(store, 1)
    await open_windows(store, 2)
    relay = Relay(store, Fussy())
    with pytest.raises(BusClosed):
        await relay.run_once()
    [first] = [recorded async for recorded in store.read_all(limit=1)]
    assert relay.position == first.position
