"""Telling the connections of one process, from memory."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from uuid import UUID

from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.subscription import Bounds, Delivery, Reset, SSESubscription

__all__ = ["SSEHub"]


class SSEHub:
    """An `SSEPublisher` and `SSESubscriber` for one process and one event loop.

    An event is encoded once, and all who hear it share its bytes. Publishing never waits for
    anybody: a listener that falls behind its bounds is cut off. Nothing is kept: who was not
    there has not heard, and a subscription that asks to resume gets a `reset`.

    Args:
        max_events: how many events may wait for one listener.
        max_bytes: how many bytes of them.
    """

    def __init__(self, *, max_events: int = 1_024, max_bytes: int = 1 << 20) -> None:
        self._bounds = Bounds(events=max_events, bytes=max_bytes)
        self._listening: dict[UUID, dict[SSESubscription, None]] = {}

    async def publish(self, event: ServerSentEvent) -> None:
        """Tell one user. See `SSEPublisher.publish`."""
        delivery = Delivery(event=event, frame=event.encode())
        _tell(self._listening.get(event.user_id, ()), delivery)

    async def broadcast(self, event: ServerSentEvent) -> None:
        """Tell everybody who listens here. See `SSEPublisher.broadcast`."""
        delivery = Delivery(event=event, frame=event.encode())
        for listening in self._listening.values():
            _tell(listening, delivery)

    @asynccontextmanager
    async def subscribe(
        self, user_id: UUID, *, after: str | None = None
    ) -> AsyncGenerator[SSESubscription, None]:
        """Listen for one user. See `SSESubscriber.subscribe`."""
        reset = None if after is None else Reset(reason="unknown")
        subscription = SSESubscription(self._bounds, reset=reset)
        listening = self._listening.setdefault(user_id, {})
        listening[subscription] = None
        try:
            yield subscription
        finally:
            del listening[subscription]
            if not listening:
                del self._listening[user_id]


def _tell(listening: Iterable[SSESubscription], delivery: Delivery) -> None:
    for subscription in listening:
        subscription.put(delivery)
