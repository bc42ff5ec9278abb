"""Right and wrong ways to subscribe: each `type: ignore` stands where a checker must object."""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from dashtam_events.bus import EventBus, EventContext, InMemoryEventBus
from dashtam_events.event import DomainEvent, event
from dashtam_events.recorded import EventMetadata
from dashtam_events.registry import EventRegistry


@event
class DoorOpened(DomainEvent):
    door: str


@event
class DoorClosed(DomainEvent):
    door: str


async def opened(event: DoorOpened) -> None: ...
async def opened_in_context(event: DoorOpened, context: EventContext) -> None: ...
async def either(event: DoorOpened | DoorClosed) -> None: ...
async def anything(event: DomainEvent, context: EventContext) -> None: ...
async def too_much(event: DoorOpened, context: EventContext, more: int) -> None: ...
async def wrong_context(event: DoorOpened, context: str) -> None: ...
def not_async(event: DoorOpened) -> None: ...


class Listener:
    async def hear(self, event: DoorOpened) -> None: ...


class Hearing:
    async def __call__(self, event: DoorOpened) -> None: ...


class HearingAll:
    async def __call__(self, event: DomainEvent, context: EventContext) -> None: ...


async def right(bus: EventBus, registry: EventRegistry) -> None:
    bus.subscribe(DoorOpened, opened)
    bus.subscribe(DoorOpened, opened_in_context, timeout=1.5)
    bus.subscribe(DoorOpened, Listener().hear)
    bus.subscribe(DoorOpened, either)
    bus.subscribe(DoorOpened, anything)
    bus.subscribe(DoorOpened, Hearing())
    bus.subscribe(registry, HearingAll())
    bus.subscribe([DoorOpened], opened)
    bus.subscribe([DoorOpened, DoorClosed], anything)
    bus.subscribe(registry, anything)
    bus.subscribe(registry.audited(), anything)
    bus.unsubscribe(DoorOpened, opened)
    bus.unsubscribe(registry, anything)
    await bus.publish(DoorOpened(door="front"))
    await bus.publish(DoorOpened(door="front"), metadata={"actor": "a"})
    await bus.publish(DoorOpened(door="front"), metadata=EventMetadata())


async def wrong(bus: EventBus, registry: EventRegistry) -> None:
    bus.subscribe(DoorClosed, opened)  # type: ignore[arg-type]
    bus.subscribe(DoorClosed, opened_in_context)  # type: ignore[arg-type]
    bus.subscribe(DoorClosed, Listener().hear)  # type: ignore[arg-type]
    bus.subscribe(DoorClosed, Hearing())  # type: ignore[arg-type]
    bus.subscribe(registry, Hearing())  # type: ignore[arg-type]
    bus.subscribe([DoorClosed], opened)  # type: ignore[arg-type]
    bus.subscribe(registry, opened)  # type: ignore[arg-type]
    bus.subscribe(DoorOpened, too_much)  # type: ignore[arg-type]
    bus.subscribe(DoorOpened, wrong_context)  # type: ignore[arg-type]
    bus.subscribe(DoorOpened, not_async)  # type: ignore[arg-type]
    bus.subscribe(str, anything)  # type: ignore[arg-type,type-var]
    bus.unsubscribe(DoorClosed, opened)  # type: ignore[arg-type]
    await bus.publish("front")  # type: ignore[arg-type]


in_memory: EventBus = InMemoryEventBus()
