"""What every event bus promises to those who publish and to those who listen."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar, overload

import attrs

from dashtam_events.event import DomainEvent
from dashtam_events.recorded import EventMetadata, RecordedEvent
from dashtam_events.store.protocol import MetadataLike

__all__ = ["EventBus", "EventContext", "Handler"]

_E = TypeVar("_E", bound=DomainEvent)
_NO_METADATA = EventMetadata()


@attrs.frozen(kw_only=True)
class EventContext:
    """In what circumstances a handler hears of an event.

    `recorded` is the event as its store keeps it, where it was read from one; None where it was
    published straight from memory.
    """

    metadata: EventMetadata = _NO_METADATA
    recorded: RecordedEvent | None = None


Handler = Callable[[_E], Awaitable[None]] | Callable[[_E, EventContext], Awaitable[None]]
"""`async def handler(event)` or `async def handler(event, context)`.

One that can be called with the event alone is; a `context` with a default stays at its default.
"""


class EventBus(Protocol):
    """Tells handlers of events.

    A handler hears of events of exactly the class it subscribed to, not of subclasses. The
    handlers of an event start in the order of their subscription and run concurrently; each sees
    a copy of the publisher's context variables, and what it sets there nobody else sees. One
    that raises is logged as `event_handler_failed` and harms neither the others nor the
    publisher. Nothing of a publish is kept on the bus: what belongs to it travels as arguments.
    """

    @overload
    def subscribe(
        self, events: type[_E], handler: Handler[_E], *, timeout: float | None = None
    ) -> None: ...
    @overload
    def subscribe(
        self, events: Iterable[type[_E]], handler: Handler[_E], *, timeout: float | None = None
    ) -> None: ...
    def subscribe(self, events: Any, handler: Any, *, timeout: float | None = None) -> None:
        """Let a handler hear of an event class, or of each class of a selection.

        A selection is any iterable of event classes: a whole registry, or `CATALOGUE.audited()`.
        A handler is subscribed once to a class: again, it keeps its place and takes the new
        timeout. A publish under way is not affected.

        Args:
            events: the event class, or the classes.
            handler: see `Handler`.
            timeout: seconds after which the handler is cancelled, and logged with a
                `TimeoutError`; by default that of the bus. It takes hold where the handler
                gives way, at an `await`.

        Raises:
            InvalidEventClass: a class is not decorated with `event`, so nothing could be heard.
            TypeError: the handler cannot be called with an event.
        """
        ...

    @overload
    def unsubscribe(self, events: type[_E], handler: Handler[_E]) -> None: ...
    @overload
    def unsubscribe(self, events: Iterable[type[_E]], handler: Handler[_E]) -> None: ...
    def unsubscribe(self, events: Any, handler: Any) -> None:
        """Let a handler hear no more of a class or a selection; fine where it never did."""
        ...

    async def publish(
        self,
        event: DomainEvent,
        *,
        metadata: MetadataLike = None,
        recorded: RecordedEvent | None = None,
    ) -> None:
        """Tell the handlers of an event; returns when each has finished, failed or timed out.

        Cancelling it cancels the handlers still running, waits for them and passes through.
        That nobody listens is no error.

        Args:
            event: what happened.
            metadata: by default that of `recorded`, where it is given.
            recorded: the event as its store keeps it.

        Raises:
            BusClosed: the bus is closed.
        """
        ...

    async def aclose(self) -> None:
        """Wait for the publishes under way, then take no more; closing twice is fine.

        What is published while it waits (by a handler, say) is still delivered. A handler must
        not close the bus it runs on: it would wait for itself.
        """
        ...
