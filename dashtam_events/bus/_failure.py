"""How the failure of a handler is logged: who failed, at what and where, and no values."""

import asyncio
import logging
import traceback

from dashtam_events._told import log_told
from dashtam_events.bus._subscription import Subscription
from dashtam_events.errors import InvalidEventClass
from dashtam_events.event import DomainEvent, spec_of

__all__ = ["log_failure", "log_undelivered", "name_of"]


def log_failure(
    logger: logging.Logger, subscription: Subscription, event: DomainEvent, error: BaseException
) -> None:
    """Log `event_handler_failed`.

    Neither the text of the exception nor its traceback goes along: both may hold values of the
    event. The line where it was raised does.
    """
    facts = {
        "event_type": name_of(event),
        "event_id": str(event.event_id),
        "handler_name": subscription.name,
        "error_type": type(error).__qualname__,
        "where": _where(error),
    }
    told = "{handler_name} raised {error_type} at {where}, told of {event_type} {event_id}"
    log_told(logger, logging.ERROR, "event_handler_failed", facts, told)


def log_undelivered(logger: logging.Logger, event: DomainEvent) -> None:
    """Log `event_not_delivered`: it was committed after its bus had been closed."""
    facts = {"event_type": name_of(event), "event_id": str(event.event_id)}
    told = "{event_type} {event_id} was committed after the bus had been closed"
    log_told(logger, logging.WARNING, "event_not_delivered", facts, told)


def name_of(event: DomainEvent) -> str:
    """The stored name of an event, or that of its class where it has none."""
    try:
        return spec_of(type(event)).name
    except InvalidEventClass:
        return type(event).__name__


def _where(error: BaseException) -> str:
    shown = error
    if isinstance(error, TimeoutError):
        # It is raised in asyncio. What it interrupted is its cause; the first releases of
        # Python 3.11 give it none.
        behind = error.__cause__ or error.__context__
        shown = behind if isinstance(behind, asyncio.CancelledError) else error
    where = "unknown"
    for frame, line in traceback.walk_tb(shown.__traceback__):
        where = f"{frame.f_globals.get('__name__', 'unknown')}:{line}"
    return where
