"""A bus that remembers what was published, and still delivers it."""

import logging
from typing import TypeVar

import attrs

from dashtam_events.bus.memory import InMemoryEventBus
from dashtam_events.bus.protocol import DatabaseSession
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import EventMetadata, RecordedEvent
from dashtam_events.store.protocol import MetadataLike
from dashtam_events.testing._expectation import Expectation, differences, expectation, unmet

__all__ = ["PublishedEvent", "RecordingEventBus"]

_E = TypeVar("_E", bound=DomainEvent)


@attrs.frozen(kw_only=True)
class PublishedEvent:
    """One publish: the event, its metadata, and how its store keeps it, where that was told."""

    event: DomainEvent
    metadata: EventMetadata
    recorded: RecordedEvent | None = None


class RecordingEventBus(InMemoryEventBus):
    """An `InMemoryEventBus` that keeps what was published, in the order of the publishing.

    Handlers hear of it as on any bus; what a handler publishes comes after what it heard.
    """

    def __init__(
        self, *, timeout: float | None = None, logger: logging.Logger | None = None
    ) -> None:
        super().__init__(timeout=timeout, logger=logger)
        self._published: list[PublishedEvent] = []

    async def publish(
        self,
        event: DomainEvent,
        *,
        session: DatabaseSession | None = None,
        metadata: MetadataLike = None,
        recorded: RecordedEvent | None = None,
    ) -> None:
        """Remember the event, then tell its handlers; see `EventBus.publish`.

        Raises:
            BusClosed: the bus is closed; nothing is remembered.
        """
        if not self._closed:
            given = recorded.metadata if metadata is None and recorded else metadata
            self._published.append(
                PublishedEvent(event=event, metadata=EventMetadata.of(given), recorded=recorded)
            )
        await super().publish(event, session=session, metadata=metadata, recorded=recorded)

    @property
    def log(self) -> tuple[PublishedEvent, ...]:
        """Everything that was published, with its metadata."""
        return tuple(self._published)

    @property
    def events(self) -> tuple[DomainEvent, ...]:
        """The events that were published."""
        return tuple(each.event for each in self._published)

    def published(self, event_class: type[_E]) -> tuple[_E, ...]:
        """The events of exactly this class that were published; none, where none were."""
        return tuple(each for each in self.events if type(each) is event_class)

    def assert_published(self, *expected: type[DomainEvent] | DomainEvent | Expectation) -> None:
        """These events were published, in this order, and no others.

        A class, an event or `like(...)` asks for what it asks for in `Outcome.then`.

        Raises:
            AssertionError: other events were published; the sentence shows where they differ.
        """
        found = differences([expectation(one) for one in expected], self.events)
        if any(found):
            unmet("the published events differ", found)

    def clear(self) -> None:
        """Forget what was published so far; subscriptions stay."""
        self._published.clear()
