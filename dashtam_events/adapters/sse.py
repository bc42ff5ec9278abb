"""Events shown live: what a service without a store tells its users while it happens."""

from dashtam_events.bus.protocol import EventContext
from dashtam_events.event import DomainEvent
from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.protocol import SSEPublisher

__all__ = ["SSEEventHandler"]


class SSEEventHandler:
    """Publishes each event that is declared with `sse=...` to its subject; passes over others.

    For services without a store, or whose browsers listen elsewhere: to an `SSEHub`, or through
    a `RedisTransport`. An endpoint that reads the store needs no handler, and would show each
    event twice if it listened to the same publisher.

    Args:
        publisher: who is told.
        event_class: what events are shown as, such as `SSEEvent`; the same as the endpoint's.
    """

    def __init__(
        self, publisher: SSEPublisher, *, event_class: type[ServerSentEvent] = ServerSentEvent
    ) -> None:
        self._publisher, self._event_class = publisher, event_class

    async def __call__(self, event: DomainEvent, context: EventContext) -> None:  # noqa: ARG002  # what every handler takes
        """Publish what the subject of one event is shown of it.

        Raises:
            SSEEncodingError: a value that is shown cannot be carried.
            TypeError: the subject is no UUID.
            ValueError: the type that the event declares is none of the event class's.
        """
        shown = self._event_class.from_event(event)
        if shown is not None:
            await self._publisher.publish(shown)
