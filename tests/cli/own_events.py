"""Events of a service's own, for `--registry`."""

from dashtam_events import DomainEvent, EventRegistry, event

__all__ = ["OWN", "DoorOpened"]


@event(category="doors")
class DoorOpened(DomainEvent):
    """Somebody opened a door."""

    door: str


OWN = EventRegistry([DoorOpened])
