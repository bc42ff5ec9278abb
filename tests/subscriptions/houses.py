"""Events of two kinds, to be found among each other."""

from uuid import UUID, uuid4

from dashtam_events.event import DomainEvent, event
from dashtam_events.recorded import StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store import EventStore


@event(category="doors")
class DoorOpened(DomainEvent):
    """A door was opened."""

    number: int
    user_id: UUID | None = None


@event(category="windows")
class WindowOpened(DomainEvent):
    """A window was opened."""

    number: int
    user_id: UUID | None = None


@event(
    name="WindowOpened", version=2, category="windows", upcasters={1: lambda raw: raw | {"size": 1}}
)
class WiderWindow(DomainEvent):
    """What another release makes of a window."""

    number: int
    size: int


REGISTRY = EventRegistry([DoorOpened, WindowOpened])
NEWER = EventRegistry([DoorOpened, WiderWindow])
"""What a newer release registers."""


async def open_doors(store: EventStore, *numbers: int, user_id: UUID | None = None) -> None:
    opened = [DoorOpened(number=number, user_id=user_id) for number in numbers]
    await store.append(StreamId("house", uuid4()), opened, metadata={"actor": "a"})


async def open_windows(store: EventStore, *numbers: int) -> None:
    opened = [WindowOpened(number=number) for number in numbers]
    await store.append(StreamId("house", uuid4()), opened)
