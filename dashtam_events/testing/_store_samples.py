"""The events that the contract of the stores is written in."""

from uuid import UUID, uuid4

from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import secret
from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store.protocol import EventStore

__all__ = [
    "CONTRACT_EVENTS",
    "KeyHandedOver",
    "LampLit",
    "LampPutOut",
    "a_stream",
    "lit",
    "log_of",
    "stream_of",
]


@event(category="light", subject="owner")
class LampLit(DomainEvent):
    """A lamp was lit; `owner` is whose it is."""

    number: int = 0
    owner: UUID | None = None


@event(category="light")
class LampPutOut(DomainEvent):
    """A lamp was put out."""

    number: int = 0


@event(category="keys")
class KeyHandedOver(DomainEvent):
    """A key was handed over, together with a word that is not kept."""

    door: str
    password: str | None = secret(default=None)


CONTRACT_EVENTS = EventRegistry([LampLit, LampPutOut, KeyHandedOver], frozen=True)
"""The registry that a store must be made with in order to run the contract."""


def lit(count: int = 1, *, owner: UUID | None = None) -> list[LampLit]:
    """Some events, numbered from 1."""
    return [LampLit(number=number, owner=owner) for number in range(1, count + 1)]


def a_stream() -> StreamId:
    """A stream that nobody has used."""
    return StreamId("lamp", uuid4())


async def log_of(store: EventStore) -> list[RecordedEvent]:
    """The whole log."""
    return [recorded async for recorded in store.read_all()]


async def stream_of(store: EventStore, stream: StreamId) -> list[RecordedEvent]:
    """A whole stream."""
    return [recorded async for recorded in store.read_stream(stream)]
