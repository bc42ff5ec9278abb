"""A recorded event as one CloudEvent in JSON (structured mode)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs

from dashtam_events.cloudevents._values import INTEGERS, is_source, is_text, traceparent
from dashtam_events.codec import EventCodec
from dashtam_events.codec._json import dumps, parse
from dashtam_events.declaration import Privacy
from dashtam_events.errors import EncodingError
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.privacy import privacy_of
from dashtam_events.recorded import RecordedEvent, UnknownEvent

__all__ = ["CONTENT_TYPE", "CloudEventEncoder"]

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
"""The media type of a CloudEvent in JSON, as HTTP has it."""


class CloudEventEncoder:
    """Writes recorded events as CloudEvents 1.0, for readers of whatever language.

    | attribute | from |
    |---|---|
    | `id` | the `event_id`, by which a receiver knows it again |
    | `source`, `type` | `source`; `type_prefix` and the stored name |
    | `subject` | whom it is about, where that is a public field of a known class |
    | `time` | `occurred_at` |
    | `schemaversion` | the version of the event's form, read by a `CloudEventDecoder` |
    | `partitionkey`, `streamversion` | the stream, and the version of it that this event made |
    | `correlationid`, `causationid`, `traceparent` | the metadata, as far as they can hold it |
    | `data` | the fields of the event, as its codec writes them |

    Secrets are never in there, as they are in no store, nor is the personal metadata (actor,
    address, agent, extras): attributes are logged by whatever passes them on. What a codec seals
    travels sealed. An `UnknownEvent` travels as it was stored.

    Args:
        codec: encodes the events; the one of the store they are read from.
        source: what this service calls itself: a URI-reference such as `/banking/connections`.
        type_prefix: what stands before the stored names, such as `com.example.banking.`.
        personal: whether personal fields travel. Without them a receiver decodes an event whose
            class there has them with a default, or not at all.

    Raises:
        ValueError: the source is no URI-reference, or the prefix is no text for an attribute.
    """

    def __init__(
        self, codec: EventCodec, *, source: str, type_prefix: str = "", personal: bool = True
    ) -> None:
        if not is_source(source):
            raise ValueError("a source is a URI-reference, such as /banking/connections")
        if type_prefix and not is_text(type_prefix):
            raise ValueError("a prefix of types is text without control characters")
        self._codec, self._source, self._prefix = codec, source, type_prefix
        self._personal = personal

    def encode(self, recorded: RecordedEvent) -> bytes:
        """The CloudEvent of a recorded event, in UTF-8.

        Raises:
            InvalidEventClass: the class is not registered with the codec.
            EncodingError: a field cannot be written; or personal fields are to be left out of
                an event of which it is not known which they are.
            LimitExceeded: the event is over a limit of the codec.
        """
        event = recorded.event
        encoded = self._codec.encode(event)
        name, kind = encoded.name, self._prefix + encoded.name
        if not is_text(kind):
            raise EncodingError(name, ".type", "a name without control characters")
        fields = parse(encoded.data)
        attributes = {
            "specversion": "1.0",
            "id": fields.pop("event_id"),
            "source": self._source,
            "type": kind,
            "time": fields.pop("occurred_at"),
            "datacontenttype": "application/json",
        }
        optional = {
            "subject": encoded.subject if _has_public_subject(event) else None,
            "schemaversion": encoded.version,
            **_of_record(recorded),
        }
        attributes |= {key: value for key, value in optional.items() if _is_carried(value)}
        if not self._personal:
            _leave_out_personal(event, fields, name)
        return dumps(attributes | {"data": fields})


def _has_public_subject(event: DomainEvent) -> bool:
    """Whether it is known that an event's subject may be told to whoever passes it on."""
    if isinstance(event, UnknownEvent):
        return False
    spec = spec_of(type(event))
    return spec.subject in spec.fields_of(Privacy.PUBLIC)


def _of_record(recorded: RecordedEvent) -> dict[str, str | int | None]:
    metadata = recorded.metadata
    cause = metadata.causation_id
    return {
        "partitionkey": str(recorded.stream),
        "streamversion": recorded.version,
        "correlationid": metadata.correlation_id,
        "causationid": None if cause is None else str(cause),
        "traceparent": traceparent(metadata.trace_id, metadata.span_id),
    }


def _is_carried(value: str | int | None) -> bool:
    """Whether an attribute can hold it: a client may have chosen its correlation id badly."""
    return (
        is_text(value) if isinstance(value, str) else isinstance(value, int) and value in INTEGERS
    )


def _leave_out_personal(event: DomainEvent, fields: dict[str, Any], name: str) -> None:
    if isinstance(event, UnknownEvent):
        expected = "a registered class, or its personal fields cannot be told from the others"
        raise EncodingError(name, "", expected)
    _strip(event, fields)


def _strip(value: Any, raw: Any) -> None:
    """Take the personal fields of a value, and of those nested in it, out of its raw form."""
    if attrs.has(type(value)) and isinstance(raw, dict):
        for field in attrs.fields(type(value)):
            if privacy_of(field) is Privacy.PERSONAL:
                raw.pop(field.name, None)
    for inner, part in _parts(value, raw):
        _strip(inner, part)


def _parts(value: Any, raw: Any) -> list[tuple[Any, Any]]:
    """The parts of a value, each with its raw form."""
    if isinstance(raw, dict):
        get = value.get if isinstance(value, Mapping) else partial(getattr, value)
        return [(get(name, None), part) for name, part in raw.items()]
    if isinstance(raw, list) and isinstance(value, tuple):
        return list(zip(value, raw, strict=True))
    if isinstance(raw, list) and isinstance(value, frozenset):
        # A set is written in an order of its own: each with each, which hides enough.
        return [(item, part) for part in raw for item in value]
    return []
