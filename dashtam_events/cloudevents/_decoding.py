"""A CloudEvent in JSON (structured mode) as an event with its circumstances."""

from uuid import UUID

import attrs

from dashtam_events.cloudevents._attributes import Attributes, refusal
from dashtam_events.cloudevents._values import trace_of
from dashtam_events.codec import EncodedEvent, EventCodec
from dashtam_events.codec._json import dumps
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import EventMetadata, StreamId

__all__ = ["CloudEvent", "CloudEventDecoder"]

_AROUND_BYTES, _AROUND_DEPTH, _AROUND_ITEMS = 64 * 1024, 1, 100


@attrs.frozen(kw_only=True)
class CloudEvent:
    """An event that came from another service.

    `event.event_id` is the `id` of the CloudEvent: it may come more than once. `stream` and
    `version` say where it stands at the sender, None where that did not come along. Pass
    `metadata.following(event)` on to what you do about it.
    """

    source: str
    event: DomainEvent
    metadata: EventMetadata
    stream: StreamId | None = None
    version: int | None = None


class CloudEventDecoder:
    """Reads CloudEvents 1.0 in JSON: strictly, within limits, and with no value in an error.

    Its sender is a `CloudEventEncoder`, or whoever writes `specversion`, `id` (a UUID), `source`,
    `type`, `time`, and the fields of the event as an object in `data`. Without `schemaversion`
    these are of version 1. Attributes that are not known here are left aside, and so is a
    `causationid` that is no UUID, or a `partitionkey` that is no stream.

    Args:
        codec: decodes the events; their classes need not be the sender's. Those of an earlier
            version go through the upcasters of their class.
        type_prefix: what stands before the stored names; other types are refused.
    """

    def __init__(self, codec: EventCodec, *, type_prefix: str = "") -> None:
        self._codec, self._prefix = codec, type_prefix
        # The codec holds the event against its limits; there is more around it.
        self._limits = attrs.evolve(
            codec.limits,
            max_bytes=codec.limits.max_bytes + _AROUND_BYTES,
            max_depth=codec.limits.max_depth + _AROUND_DEPTH,
            max_items=codec.limits.max_items + _AROUND_ITEMS,
        )

    def decode(self, data: bytes) -> CloudEvent:
        """The event that a CloudEvent holds; an `UnknownEvent` where no class is registered.

        Raises:
            DecodingError: it is no CloudEvent 1.0 in JSON, or not of such an event.
            FutureSchemaVersion: a newer release wrote it.
            LimitExceeded: it is over a limit; it was not parsed.
            InvalidEventClass: a field of the class has a type without a hook.
        """
        self._limits.check("CloudEvent", data)
        attributes = Attributes.read(data)
        event = self._codec.decode(self._encoded(attributes))
        return CloudEvent(
            source=attributes.required("source"),
            event=event,
            metadata=_metadata(attributes),
            stream=_stream(attributes.text("partitionkey")),
            version=attributes.number("streamversion"),
        )

    def _encoded(self, attributes: Attributes) -> EncodedEvent:
        kind = attributes.required("type")
        name = kind.removeprefix(self._prefix)
        if not name or not kind.startswith(self._prefix):
            raise refusal(".type", f"{self._prefix!r} and the name of an event")
        schema_version = attributes.number("schemaversion")
        return EncodedEvent(
            name=name,
            version=1 if schema_version is None else schema_version,
            data=dumps(attributes.fields()),
            subject=attributes.text("subject"),
        )


def _metadata(attributes: Attributes) -> EventMetadata:
    trace_id, span_id = trace_of(attributes.text("traceparent") or "")
    return EventMetadata(
        correlation_id=attributes.text("correlationid"),
        causation_id=_uuid(attributes.text("causationid")),
        trace_id=trace_id,
        span_id=span_id,
    )


def _uuid(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None


def _stream(text: str | None) -> StreamId | None:
    """The stream at the sender; partition keys of others may be anything."""
    try:
        return None if text is None else StreamId.parse(text)
    except ValueError:
        return None
