"""What the page is told of every event that is appended: its place, its facts, who hears of it."""

from typing import Any, Self

from dashtam_events.adapters._names import snake_name
from dashtam_events.declaration import EventSpec
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.privacy import redact
from dashtam_events.recorded import RecordedEvent, UnknownEvent
from dashtam_events.sse import ServerSentEvent

__all__ = ["CATEGORIES", "AppendedEvent", "shown"]

CATEGORIES = ("provider", "data_sync")
"""The categories of the events that the demo writes."""
_AROUND = ("event_id", "occurred_at")


class AppendedEvent(ServerSentEvent):
    """Every event of the log as its user sees it.

    A service shows its users what the event classes declare, with `SSEEvent`; this page shows
    people how the log grows, so it shows all of it.
    """

    @property
    def category(self) -> str:
        """The category of the event, for `?categories=`."""
        return str(self.data["category"])

    @classmethod
    def from_recorded(cls, recorded: RecordedEvent) -> Self | None:
        """See `ServerSentEvent.from_recorded`; None for an event that belongs to nobody."""
        event = recorded.event
        subject = None if isinstance(event, UnknownEvent) else spec_of(type(event)).subject
        if subject is None:
            return None
        return cls(
            event_type="appended",
            user_id=getattr(event, subject),
            data=shown(recorded),
            event_id=event.event_id,
            occurred_at=event.occurred_at,
        )


def shown(recorded: RecordedEvent) -> dict[str, Any]:
    """A recorded event as its own user sees it: personal fields as they are, secrets not."""
    event = recorded.event
    spec = spec_of(type(event))
    return {
        "event_id": event.event_id,
        "position": recorded.position,
        "stream": str(recorded.stream),
        "version": recorded.version,
        "name": spec.name,
        "category": spec.category,
        "phase": spec.phase,
        "occurred_at": event.occurred_at,
        "recorded_at": recorded.recorded_at,
        "correlation_id": recorded.metadata.correlation_id,
        "fields": {name: getattr(event, name) for name in redact(event) if name not in _AROUND},
        "heard": _heard(spec, event),
    }


def _heard(spec: EventSpec, event: DomainEvent) -> dict[str, Any]:
    """Who hears of it, as its class declares."""
    mailed = spec.email is not None and (
        spec.email.when is None or bool(getattr(event, spec.email.when))
    )
    return {
        "log": f"{spec.log_level} {snake_name(spec.name)}",
        "audit": spec.audit.action if spec.audit else None,
        "email": mailed,
        "live": spec.sse.type if spec.sse else None,
    }
