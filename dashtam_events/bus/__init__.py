"""The event bus: who hears of an event, and how."""

from dashtam_events.bus.memory import InMemoryEventBus
from dashtam_events.bus.protocol import EventBus, EventContext, Handler

__all__ = ["EventBus", "EventContext", "Handler", "InMemoryEventBus"]
