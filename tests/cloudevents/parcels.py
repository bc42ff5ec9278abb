"""Events with something of each kind of privacy, and the two ends of a wire."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import attrs

from dashtam_events.cloudevents import CloudEventDecoder, CloudEventEncoder
from dashtam_events.codec import EventCodec
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal, secret
from dashtam_events.recorded import EventMetadata, Position, RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry

CANARY = "CANARY-7f3a"
EVENT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
CAUSE = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
USER = UUID("11111111-1111-4111-8111-111111111111")
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PREFIX = "com.example.post."


@attrs.frozen(kw_only=True)
class Label:
    """Who gets it, and how heavy it is."""

    grams: int
    name: str | None = personal(default=None)


def raised(raw: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had the weight in kilograms."""
    return {"grams": raw.pop("kilograms") * 1000, **raw}


@event(version=2, upcasters={1: raised}, category="post")
class ParcelSent(DomainEvent):
    """A parcel was handed to the carrier."""

    user_id: UUID
    grams: int
    receiver: str | None = personal(default=None)
    pin: str | None = secret(default=None)
    label: Label | None = None
    labels: frozenset[Label] = frozenset()
    more: tuple[Label, ...] = ()


@event
class LetterSent(DomainEvent):
    """A letter was posted; who sent it must be said."""

    sender: str = personal()


@event(subject="address")
class AddressLost(DomainEvent):
    """Nobody lives at an address any more."""

    address: str = personal()


CODEC = EventCodec(EventRegistry([ParcelSent, LetterSent]))
ENCODER = CloudEventEncoder(CODEC, source="/post/office", type_prefix=PREFIX)
DECODER = CloudEventDecoder(CODEC, type_prefix=PREFIX)
METADATA = EventMetadata(
    correlation_id="request 7",
    causation_id=CAUSE,
    actor=CANARY,
    ip_address=CANARY,
    user_agent=CANARY,
    trace_id=TRACE,
    span_id=SPAN,
    extras={CANARY: CANARY},
)


def sent(**fields: Any) -> ParcelSent:
    when = datetime(2026, 1, 31, 12, 30, 0, 250_000, tzinfo=UTC)
    given: dict[str, Any] = {
        "event_id": EVENT_ID,
        "occurred_at": when,
        "user_id": USER,
        "grams": 1200,
    }
    return ParcelSent(**given | fields)


def recorded(event: DomainEvent, metadata: EventMetadata = METADATA) -> RecordedEvent:
    return RecordedEvent(
        position=Position(41),
        stream=StreamId("parcel", "7"),
        version=3,
        recorded_at=datetime(2026, 1, 31, 12, 31, tzinfo=UTC),
        event=event,
        metadata=metadata,
    )


def written(event: DomainEvent, metadata: EventMetadata = METADATA) -> dict[str, Any]:
    """An event as its CloudEvent, parsed by somebody else's parser."""
    parsed: dict[str, Any] = json.loads(ENCODER.encode(recorded(event, metadata)))
    return parsed


def changed(**members: Any) -> bytes:
    """A good CloudEvent with some members changed; those that are `...` are left out."""
    whole = written(sent()) | members
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()
