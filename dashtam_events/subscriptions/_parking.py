"""Which events a handler never sees, and how an event is written down that is set aside."""

from dashtam_events._clock import now
from dashtam_events.recorded import UnknownEvent
from dashtam_events.subscriptions._batches import Item, Unreadable, type_of
from dashtam_events.subscriptions.checkpoint import ParkedEvent, ParkedState
from dashtam_events.subscriptions.health import ErrorPlace

__all__ = ["failed", "unfit", "waiting"]


def unfit(item: Item) -> ParkedEvent | None:
    """How an event is set aside that cannot be read or that nobody knows; None for all others."""
    if isinstance(item, Unreadable):
        return failed(item, ErrorPlace.of(item.error))
    if isinstance(item.event, UnknownEvent):
        return failed(item, ErrorPlace("UnknownEvent", item.event.name))
    return None


def failed(item: Item, error: ErrorPlace, attempts: int = 0) -> ParkedEvent:
    """An event that was given up."""
    return _set_aside(item, ParkedState.FAILED, error, attempts)


def waiting(item: Item) -> ParkedEvent:
    """An event behind one of its stream that is set aside."""
    return _set_aside(item, ParkedState.WAITING)


def _set_aside(
    item: Item, state: ParkedState, error: ErrorPlace | None = None, attempts: int = 0
) -> ParkedEvent:
    return ParkedEvent(
        position=item.position,
        stream=item.stream,
        version=item.version,
        event_type=type_of(item),
        state=state,
        parked_at=now(),
        error_type=None if error is None else error.type,
        place=None if error is None else error.place,
        attempts=attempts,
    )
