"""Telling a bus what a store holds: nobody misses an event because they were not there."""

from collections.abc import Collection
from uuid import UUID

from dashtam_events.bus.protocol import EventBus
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._pages import Filter, read_page

__all__ = ["Relay"]


class Relay:
    """Publishes the events of a store to a bus, one after the other, in commit order.

    Every event is published at least once: one that was under way when the relay was cancelled,
    or when its process ended before the position was kept, is published again. A handler that
    fails does not hold the relay up. Run one relay at a time for a position.

    Args:
        store: what to read.
        bus: what is told; each event comes with its metadata and as it is recorded.
        after: the position to go on from, as it was kept; None: from the beginning.
        types: event classes or stored names; this and the next two must all hold.
        categories: those that the registered events declare.
        subject: whom an event declares to be about.
        poll: seconds after which the store is asked again, should its wake-up fail to come.
    """

    def __init__(
        self,
        store: EventStore,
        bus: EventBus,
        *,
        after: Position | None = None,
        types: Collection[type[DomainEvent] | str] | None = None,
        categories: Collection[str] | None = None,
        subject: UUID | str | None = None,
        poll: float = 5.0,
    ) -> None:
        self._store = store
        self._bus = bus
        self._position = after
        self._wanted = Filter(types=types, categories=categories, subject=subject)
        self._poll = poll

    @property
    def position(self) -> Position | None:
        """How far the store has been dealt with: keep it, and pass it as `after` the next time.

        It moves when an event has been published, and over events that are not wanted.
        """
        return self._position

    async def run_once(self) -> Position | None:
        """Publish all that the store holds by now; returns the position that was reached.

        Raises:
            BusClosed: the bus is closed; the position stays before the event it refused.
        """
        while True:
            page = await read_page(self._store, self._position, self._wanted)
            for recorded in page.events:
                await self._publish(recorded)
            self._position = page.reached
            if page.is_last:
                return self._position

    async def run(self) -> None:
        """Publish what the store holds and what is yet to come, until it is cancelled.

        Raises what `run_once` raises.
        """
        while True:
            await self.run_once()
            await self._store.wait(after=self._position, timeout=self._poll)

    async def _publish(self, recorded: RecordedEvent) -> None:
        await self._bus.publish(recorded.event, metadata=recorded.metadata, recorded=recorded)
        self._position = recorded.position
