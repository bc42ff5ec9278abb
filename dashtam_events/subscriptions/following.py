"""A log as one endless iteration."""

from collections.abc import AsyncGenerator, Collection
from uuid import UUID

from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._batches import Filter, Unreadable, read_batch

__all__ = ["follow"]

_SIZE = 256


async def follow(
    store: EventStore,
    *,
    after: Position | None = None,
    types: Collection[type[DomainEvent] | str] | None = None,
    categories: Collection[str] | None = None,
    subject: UUID | str | None = None,
    poll: float = 5.0,
) -> AsyncGenerator[RecordedEvent, None]:
    """The events of a store after a position, in commit order, and on with what is yet to come.

    It never ends by itself, leaves nothing out and repeats nothing. Nothing of the store is held
    open while the reader deals with an event or while there is none. To go on later, pass the
    position of the last event that was dealt with.

    Args:
        store: what to read.
        after: the position to go on from; None: from the beginning.
        types: event classes or stored names; this and the next two must all hold.
        categories: those that the registered events declare.
        subject: whom an event declares to be about.
        poll: seconds after which the store is asked again, should its wake-up fail to come.

    Raises:
        CodecError: an event cannot be read; all before it were given.
    """
    wanted = Filter(types=types, categories=categories, subject=subject)
    while True:
        batch = await read_batch(store, after, wanted, _SIZE)
        for item in batch.items:
            if isinstance(item, Unreadable):
                raise item.error
            yield item
        after = batch.reached
        if batch.is_last:
            await store.wait(after=after, timeout=poll)
