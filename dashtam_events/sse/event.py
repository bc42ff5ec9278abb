"""A server-sent event: what one user is told live, and how it is written for the wire."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

import attrs
import msgspec

from dashtam_events._clock import now
from dashtam_events._frozen import FrozenDict
from dashtam_events._ids import new_id
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.recorded import RecordedEvent, UnknownEvent
from dashtam_events.sse.wire import check_type, encode_data, frame

__all__ = ["ServerSentEvent"]


def _utc(value: datetime) -> datetime:
    if value.utcoffset() is None:
        raise ValueError("occurred_at must be an aware datetime: pass one with a timezone")
    return value.astimezone(UTC)


def _frozen(data: Mapping[str, Any]) -> FrozenDict[str, Any]:
    return FrozenDict(data)


def _sendable(_instance: object, _attribute: object, value: str) -> None:
    check_type(value)


def _is_uuid(_instance: object, attribute: "attrs.Attribute[UUID]", value: UUID) -> None:
    if not isinstance(value, UUID):
        raise TypeError(f"{attribute.name} must be a UUID")


@attrs.frozen(kw_only=True, hash=False)
class ServerSentEvent:
    """What one user is told while it happens.

    `data` holds what JSON can carry, and UUIDs, aware datetimes, dates, Decimals and enums, which
    travel as text. Its bytes are made once: every receiver gets the same object. The repr leaves
    `data` out, because it belongs to the user. Events hash by `event_id`.

    Raises:
        SSEEncodingError: the type is none that a client would hear (when it is made), or a value
            in `data` cannot be carried (when it is encoded).
        ValueError: `occurred_at` is naive.
        TypeError: an id is no UUID.
    """

    event_type: str = attrs.field(validator=_sendable)
    user_id: UUID = attrs.field(validator=_is_uuid)
    data: Mapping[str, Any] = attrs.field(converter=_frozen, repr=False)
    event_id: UUID = attrs.field(factory=new_id, validator=_is_uuid)
    occurred_at: datetime = attrs.field(factory=now, converter=_utc)
    _frame: bytes | None = attrs.field(default=None, init=False, eq=False, repr=False)

    def __hash__(self) -> int:
        return hash(self.event_id)

    @property
    def category(self) -> str:
        """What a client subscribes to as a whole: the first word of the type."""
        return self.event_type.partition(".")[0]

    def encode(self) -> bytes:
        """The whole frame, the same object at every call.

        Raises:
            SSEEncodingError: a value in `data` cannot be carried; it names the path.
        """
        if self._frame is None:
            encoded = frame(event_id=self.event_id, event_type=self.event_type, data=self.data)
            object.__setattr__(self, "_frame", encoded)
            return encoded
        return self._frame

    def to_sse_format(self) -> str:
        """The whole frame as text; raises what `encode` raises."""
        return self.encode().decode()

    def to_dict(self) -> dict[str, Any]:
        """All of the event in JSON's own types, to be carried between processes.

        Raises:
            SSEEncodingError: a value in `data` cannot be carried; it names the path.
        """
        return {
            "event_id": str(self.event_id),
            "event_type": str(self.event_type),
            "user_id": str(self.user_id),
            "data": msgspec.json.decode(encode_data(self.data)),
            "occurred_at": self.occurred_at.isoformat(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The event that `to_dict` wrote; its `data` is in JSON's own types.

        Raises:
            KeyError: a field is missing; it names the field.
            ValueError: a field is not as `to_dict` writes it; the sentence names the field.
        """
        return cls(
            event_id=_parsed_id(values, "event_id"),
            event_type=_given(values, "event_type", str),
            user_id=_parsed_id(values, "user_id"),
            data=_given(values, "data", Mapping),
            occurred_at=_parsed_time(values, "occurred_at"),
        )

    @classmethod
    def from_event(cls, event: DomainEvent) -> Self | None:
        """What the subject of a domain event is shown of it, as its class declares.

        The id and the time are those of the domain event, so that whoever saw it can resume
        after it. None where the event is not shown live, or has nobody to be shown to.
        """
        if isinstance(event, UnknownEvent):
            return None
        spec = spec_of(type(event))
        user_id = None if spec.subject is None else getattr(event, spec.subject)
        if spec.sse is None or user_id is None:
            return None
        return cls(
            event_type=spec.sse.type,
            user_id=user_id,
            data={shown: getattr(event, name) for shown, name in spec.sse.payload.items()},
            event_id=event.event_id,
            occurred_at=event.occurred_at,
        )

    @classmethod
    def from_recorded(cls, recorded: RecordedEvent) -> Self | None:
        """What the subject of a stored event is shown of it: what `from_event` makes of it.

        An endpoint with a store asks this. Override it to show users something else of what is
        stored, its position and version too. Keep the event's own id, which clients resume after,
        and as the user the subject that its class declares: the store finds it by that.
        """
        return cls.from_event(recorded.event)


def _given(values: Mapping[str, Any], name: str, kind: type) -> Any:
    value = values[name]
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be {'text' if kind is str else 'a mapping'}")  # noqa: TRY004  # a bad field is a ValueError, whatever is wrong with it
    return value


def _parsed_id(values: Mapping[str, Any], name: str) -> UUID:
    try:
        return UUID(_given(values, name, str))
    except ValueError:
        raise ValueError(f"{name} must be a UUID, written as text") from None


def _parsed_time(values: Mapping[str, Any], name: str) -> datetime:
    try:
        return datetime.fromisoformat(_given(values, name, str))
    except ValueError:
        raise ValueError(f"{name} must be a time in ISO 8601, written as text") from None
