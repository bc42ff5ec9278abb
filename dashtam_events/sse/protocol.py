"""What those who tell users something live, and those who listen for them, promise each other."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.subscription import SSESubscription

__all__ = ["SSEPublisher", "SSESubscriber"]


class SSEPublisher(Protocol):
    """Tells connected users something. Nobody who listens slowly holds the publisher up."""

    async def publish(self, event: ServerSentEvent) -> None:
        """Tell the user that the event names, on every connection of theirs.

        Raises:
            SSEEncodingError: a value in `data` cannot be carried; nobody was told.
        """
        ...

    async def broadcast(self, event: ServerSentEvent) -> None:
        """Tell everybody who is connected; the event's `user_id` is not looked at.

        A broadcast is kept nowhere: who is not connected does not hear of it.

        Raises:
            SSEEncodingError: a value in `data` cannot be carried; nobody was told.
        """
        ...


class SSESubscriber(Protocol):
    """Listens for one user."""

    def subscribe(
        self, user_id: UUID, *, after: str | None = None
    ) -> AbstractAsyncContextManager[SSESubscription]:
        """What is published for a user, and broadcasts, from when the context is entered.

        Leaving the context ends it.

        Args:
            user_id: for whom.
            after: the cursor to resume after. Where that is not possible, the subscription says
                so in its `reset`.
        """
        ...
