"""The relay: every event of a store reaches the bus, or the service, at least once, in order."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dashtam_events.bus import EventContext, InMemoryEventBus
from dashtam_events.cloudevents import CloudEventDecoder, CloudEventEncoder
from dashtam_events.codec import EventCodec
from dashtam_events.errors import BusClosed, SessionRequired
from dashtam_events.recorded import UnknownEvent
from dashtam_events.registry import EventRegistry
from dashtam_events.store import EventStore, InMemoryEventStore, SQLiteEventStore
from dashtam_events.subscriptions import (
    CheckpointStore,
    CloudEventPublisher,
    InMemoryCheckpointStore,
    Relay,
    Retry,
    Signal,
    SignalKind,
)
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
    assert await relay.run_once() == await store.last_position()
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
    assert kept is not None
    await Relay(store, bus, start=kept).run_once()
    assert listener.heard == [1, 2, 3]


async def test_another_relay_goes_on_from_the_checkpoint_of_its_name(
    store: EventStore,
    bus: InMemoryEventBus,
    listener: Listener,
    checkpoints: CheckpointStore,
) -> None:
    await open_doors(store, 1, 2)
    await Relay(store, bus, checkpoints=checkpoints).run_once()
    await open_doors(store, 3)
    await Relay(store, bus, checkpoints=checkpoints).run_once()
    assert listener.heard == [1, 2, 3]
    await Relay(store, bus, name="another", checkpoints=checkpoints).run_once()
    assert listener.heard == [1, 2, 3, 1, 2, 3]


async def test_the_position_moves_over_what_is_not_wanted(
    store: EventStore, bus: InMemoryEventBus, listener: Listener
) -> None:
    await open_doors(store, 1)
    await open_windows(store, 2)
    relay = Relay(store, bus, types=[DoorOpened])
    assert await relay.run_once() == await store.last_position()
    assert listener.heard == [1]
    assert await Relay(store, bus, categories=["windows"]).run_once() == await relay.run_once()
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
        while (await relay.health()).lag_events:  # noqa: ASYNC110  # it rings no bell
            await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert listener.heard == [1, 2, 3, LAST]
    assert (await relay.health()).lag_events == 0


async def test_an_event_whose_publish_was_cancelled_is_published_again(
    store: EventStore, bus: InMemoryEventBus, listener: Listener
) -> None:
    """And with it at most a batch of those before it."""
    await open_doors(store, 1, 2, 3)
    listener.stuck_at = 2
    relay = Relay(store, bus)
    running = asyncio.ensure_future(relay.run_once())
    await listener.stuck.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    listener.stuck_at = None
    await relay.run_once()
    assert listener.heard == [1, 1, 2, 3]


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


async def test_a_closed_bus_ends_it_and_nothing_is_parked(store: EventStore) -> None:
    class Fussy(InMemoryEventBus):
        async def publish(self, event: Any, **circumstances: Any) -> None:
            if type(event) is WindowOpened:
                await self.aclose()
            await super().publish(event, **circumstances)

    await open_doors(store, 1)
    await open_windows(store, 2)
    kept = InMemoryCheckpointStore()
    with pytest.raises(BusClosed):
        await Relay(store, Fussy(), checkpoints=kept, batch_size=1).run_once()
    bus = InMemoryEventBus()
    listener = Listener(bus)
    await Relay(store, bus, checkpoints=kept).run_once()
    assert listener.heard == [2]
    assert await kept.parked() == ()


async def test_a_handler_that_needs_a_session_ends_it(
    store: EventStore, bus: InMemoryEventBus
) -> None:
    async def write(_event: DoorOpened) -> None:
        raise AssertionError("there is no session")

    bus.subscribe(DoorOpened, write, transactional=True)
    await open_doors(store, 1)
    with pytest.raises(SessionRequired):
        await Relay(store, bus).run_once()


async def test_an_event_of_no_known_class_is_passed_on_as_it_is_stored(tmp_path: Path) -> None:
    sent: list[bytes] = []

    async def send(cloud_event: bytes) -> None:
        sent.append(cloud_event)

    async with SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY) as known:
        await open_doors(known, 1)
        await open_doors(known, 2)
    nothing = EventRegistry()
    encoder = CloudEventEncoder(EventCodec(nothing), source="/houses")
    kept = InMemoryCheckpointStore()
    async with SQLiteEventStore(tmp_path / "events.db", registry=nothing) as unknown:
        await Relay(unknown, CloudEventPublisher(encoder, send), checkpoints=kept).run_once()
        [first, _] = [each.event async for each in unknown.read_all()]
    assert isinstance(first, UnknownEvent)
    assert [json.loads(each)["data"]["number"] for each in sent] == [1, 2]
    assert await kept.parked() == ()


class Service:
    """Another service: it may be away, and it may refuse an event for good."""

    def __init__(self) -> None:
        self.decoder = CloudEventDecoder(EventCodec(REGISTRY))
        self.took: list[int] = []
        self.away_for = 0
        self.refuses: set[int] = set()

    @property
    def publisher(self) -> CloudEventPublisher:
        return CloudEventPublisher(
            CloudEventEncoder(EventCodec(REGISTRY), source="/houses"), self.receive
        )

    async def receive(self, cloud_event: bytes) -> None:
        if self.away_for:
            self.away_for -= 1
            raise ConnectionError
        event: Any = self.decoder.decode(cloud_event).event
        if event.number in self.refuses:
            raise ValueError("not for us")
        self.took.append(event.number)


async def at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


async def test_a_service_that_is_away_misses_nothing_however_long(store: EventStore) -> None:
    service, signals = Service(), list[Signal]()
    await open_doors(store, 1, 2, 3)
    kept = InMemoryCheckpointStore()
    default = Relay(store, service.publisher)._options.retry
    patient = Retry(attempts=default.attempts, sleep=at_once)
    service.away_for = 500
    relay = Relay(
        store, service.publisher, checkpoints=kept, retry=patient, observer=signals.append
    )
    await relay.run_once()
    assert service.took == [1, 2, 3]
    assert await kept.parked() == ()
    assert sum(signal.kind is SignalKind.RETRYING for signal in signals) == 500


async def test_what_a_service_refuses_for_good_is_parked_and_its_stream_waits(
    store: EventStore,
) -> None:
    service = Service()
    await open_doors(store, 1, 2, 3)
    await open_doors(store, 4)
    service.refuses = {2}
    kept = InMemoryCheckpointStore()
    await Relay(store, service.publisher, checkpoints=kept).run_once()
    assert service.took == [1, 4]
    assert [each.state.value for _, each in await kept.parked()] == ["failed", "waiting"]
    service.refuses = set()
    await kept.replay("relay")
    await Relay(store, service.publisher, checkpoints=kept).run_once()
    assert service.took == [1, 4, 2, 3]


async def test_an_event_that_cannot_be_encoded_is_parked() -> None:
    """Here the encoder's registry lacks its class."""
    store = InMemoryEventStore(registry=REGISTRY)
    await open_doors(store, 1)
    await open_windows(store, 2)
    service = Service()
    encoder = CloudEventEncoder(EventCodec(EventRegistry([WindowOpened])), source="/houses")
    kept = InMemoryCheckpointStore()
    relay = Relay(store, CloudEventPublisher(encoder, service.receive), checkpoints=kept)
    await relay.run_once()
    assert service.took == [2]
    [(_, parked)] = await kept.parked()
    assert parked.error_type == "InvalidEventClass"
