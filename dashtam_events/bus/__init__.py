"""The event bus: who hears of an event, and how."""

from dashtam_events.bus.memory import InMemoryEventBus
from dashtam_events.bus.protocol import DatabaseSession, EventBus, EventContext, Handler, OnError

__all__ = [
    "DatabaseSession",
    "EventBus",
    "EventContext",
    "Handler",
    "InMemoryEventBus",
    "OnError",
]
