"""From a store to a bus, or to another service: nobody misses an event for having been away."""

import sys
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Protocol
from uuid import UUID

from dashtam_events.cloudevents import CloudEventEncoder
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import EventMetadata, Position, RecordedEvent, UnknownEvent
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._batches import BEGINNING, Item, Start, Unreadable
from dashtam_events.subscriptions.checkpoint import CheckpointStore, ParkedEvent
from dashtam_events.subscriptions.health import Observer
from dashtam_events.subscriptions.memory import InMemoryCheckpointStore
from dashtam_events.subscriptions.retrying import Parking, Retry
from dashtam_events.subscriptions.subscription import Subscription

__all__ = ["CloudEventPublisher", "Publisher", "Relay"]

_UNTIL_IT_GOES_THROUGH = Retry(attempts=sys.maxsize, most=30.0)


class Publisher(Protocol):
    """What a relay tells; every `EventBus` is one."""

    async def publish(
        self, event: DomainEvent, *, metadata: EventMetadata, recorded: RecordedEvent
    ) -> None:
        """Pass an event on; returns when that is done, and raises where it is not."""
        ...


class CloudEventPublisher:
    """Sends each event to another service, as a CloudEvent in JSON.

    Args:
        encoder: makes the CloudEvents.
        send: awaited with one of them, in UTF-8, of the media type `CONTENT_TYPE`. It returns
            when the receiver has it for good. It raises a ValueError where the receiver will
            never take it, and anything else where it may be tried again.
    """

    def __init__(
        self, encoder: CloudEventEncoder, send: Callable[[bytes], Awaitable[None]]
    ) -> None:
        self._encoder, self._send = encoder, send

    async def publish(
        self,
        event: DomainEvent,  # noqa: ARG002  # it is in what is recorded
        *,
        metadata: EventMetadata,  # noqa: ARG002  # so is this
        recorded: RecordedEvent,
    ) -> None:
        """Send a recorded event. Raises what encoding it and `send` raise."""
        await self._send(self._encoder.encode(recorded))


class Relay(Subscription):
    """Publishes the events of a store, one after the other, in commit order, at least once.

    It is a `Subscription`, is run like one, and stops like one. Two things are its own. An event
    that does not go through is tried until it does, and those behind it wait, in `run_once` too:
    a receiver that is away for a day misses nothing, and only what fails for good is parked (see
    `classify`). An event that no class is registered for is passed on as an `UnknownEvent`.
    Where a publisher itself says that a store is busy or away, `run_once` raises that.

    Where the process dies, or is cancelled, the events since the last checkpoint are published
    again: `event_id` is the key by which the receiver knows them. On a bus in the same process a
    handler that fails is the bus's affair and holds nothing up.

    Args:
        store: what to read.
        publisher: a bus, or a `CloudEventPublisher`; each event comes with its metadata and as it
            is recorded.
        name: under which the checkpoint is kept; a relay for each publisher has its own.
        checkpoints: where the progress is kept; by default in memory, for as long as the relay.
        start: where to begin if the name never ran; see `Subscription`.
        types: event classes or stored names, also those that no class is registered for; this
            and the next two must all hold.
        categories: those that the registered events declare; it ends with a ValueError where that
            is none of them.
        subject: whom an event declares to be about.
        batch_size: how many events are read at once, and come again at most.
        poll: seconds after which the store and the parked events are looked at again, should no
            wake-up come.
        retry: how often an event is tried.
        parking: what happens around an event that is set aside, and when it is too much.
        observer: told of what happens, for metrics.
    """

    def __init__(
        self,
        store: EventStore,
        publisher: Publisher,
        *,
        name: str = "relay",
        checkpoints: CheckpointStore | None = None,
        start: Start | Position | datetime = BEGINNING,
        types: Collection[type[DomainEvent] | str] | None = None,
        categories: Collection[str] | None = None,
        subject: UUID | str | None = None,
        batch_size: int = 100,
        poll: float = 5.0,
        retry: Retry = _UNTIL_IT_GOES_THROUGH,
        parking: Parking = Parking(),  # noqa: B008  # frozen
        observer: Observer | None = None,
    ) -> None:
        super().__init__(
            name,
            store,
            self._publish,
            checkpoints=InMemoryCheckpointStore() if checkpoints is None else checkpoints,
            start=start,
            types=types,
            categories=categories,
            subject=subject,
            batch_size=batch_size,
            poll=poll,
            retry=retry,
            parking=parking,
            observer=observer,
        )
        self._publisher = publisher

    async def _publish(self, recorded: RecordedEvent) -> None:
        await self._publisher.publish(recorded.event, metadata=recorded.metadata, recorded=recorded)

    def _unfit(self, item: Item) -> ParkedEvent | None:
        if not isinstance(item, Unreadable) and isinstance(item.event, UnknownEvent):
            return None
        return super()._unfit(item)
