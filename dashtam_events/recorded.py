"""What a store keeps around an event: its stream, version, position and metadata."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, NewType, Self
from uuid import UUID

import attrs
import msgspec
from typing_extensions import TypeVar

from dashtam_events._frozen import EMPTY, FrozenDict
from dashtam_events.declaration import Privacy
from dashtam_events.event import DomainEvent, _base
from dashtam_events.privacy import marked, personal, redact

__all__ = ["EventMetadata", "Position", "RecordedEvent", "StreamId", "UnknownEvent"]

Position = NewType("Position", int)
"""Where an event stands in the log of its store. Opaque: it only grows, and may leave gaps."""

_E = TypeVar("_E", bound=DomainEvent, default=DomainEvent, covariant=True)
_TEXTS = ("correlation_id", "actor", "ip_address", "user_agent", "trace_id", "span_id")
_CATEGORY = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def _id_text(value: UUID | str) -> str:
    return str(value)


@attrs.frozen(order=True)
class StreamId:
    """The name of a stream: the category of its aggregate and the id within it.

    Written as `category-id`. A category is a word of ASCII letters, digits and underscores; an id
    is a UUID or 1 to 200 printable characters.

    Raises:
        ValueError: the category or the id is none.
    """

    category: str
    id: str = attrs.field(converter=_id_text)

    def __attrs_post_init__(self) -> None:
        if not _CATEGORY.match(self.category):
            raise ValueError("a stream's category is a word of letters, digits and underscores")
        if not (0 < len(self.id) <= 200 and self.id.isprintable()):
            raise ValueError("a stream's id has 1 to 200 printable characters")

    def __str__(self) -> str:
        return f"{self.category}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The stream that `str` wrote.

        Raises:
            ValueError: the text is not of the form `category-id`.
        """
        category, dash, stream_id = text.partition("-")
        if not dash:
            raise ValueError("a stream is written category-id")
        return cls(category, stream_id)


def _frozen_texts(extras: Mapping[str, str]) -> FrozenDict[str, str]:
    if not isinstance(extras, Mapping):
        raise TypeError("metadata: 'extras' must be a mapping from text to text")
    for key, value in extras.items():
        if not isinstance(key, str):
            raise TypeError("metadata: the keys of 'extras' must be text")
        _check_text(key, value)
    return FrozenDict(extras)


def _check_text(key: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"metadata: {key!r} must be text")


@attrs.frozen(kw_only=True, repr=False)
class EventMetadata:
    """In what circumstances an event was recorded; none of it changes what happened.

    `correlation_id` is shared by everything that one request set off, `causation_id` is the
    event that led to this one, `actor` is who acted (where it is not the subject), `trace_id`
    and `span_id` are those of W3C Trace Context, `extras` is for the service's own. Actor,
    address, agent and extras (where a misspelt key lands) are personal: the repr masks them.

    Raises:
        TypeError: a value is not of its type; nothing is coerced.
    """

    correlation_id: str | None = None
    causation_id: UUID | None = None
    actor: str | None = personal(default=None)
    ip_address: str | None = personal(default=None)
    user_agent: str | None = personal(default=None)
    trace_id: str | None = None
    span_id: str | None = None
    extras: Mapping[str, str] = attrs.field(
        default=EMPTY, converter=_frozen_texts, metadata=marked(Privacy.PERSONAL)
    )

    def __attrs_post_init__(self) -> None:
        for key in _TEXTS:
            value = getattr(self, key)
            if value is not None:
                _check_text(key, value)
        if not (self.causation_id is None or isinstance(self.causation_id, UUID)):
            raise TypeError("metadata: 'causation_id' must be a UUID")

    def __repr__(self) -> str:
        given = {name: value for name, value in redact(self).items() if getattr(self, name)}
        return f"EventMetadata({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    @classmethod
    def of(cls, given: "EventMetadata | Mapping[str, Any] | None") -> "EventMetadata":
        """Metadata from itself, from a mapping of its fields, or from nothing.

        Keys that are no field are kept in `extras`. A `causation_id` may be given as text.

        Raises:
            TypeError: a value is no text (or no UUID, for the causation_id); it names the key.
            ValueError: a causation_id that is text is no UUID.
        """
        if isinstance(given, EventMetadata):
            return given
        if not given:
            return _NOTHING
        values = {key: value for key, value in given.items() if key in _FIELDS}
        extras = {key: value for key, value in given.items() if key not in _FIELDS}
        if isinstance(values.get("causation_id"), str):
            values["causation_id"] = UUID(values["causation_id"])
        if extras:
            values["extras"] = {**_frozen_texts(values.get("extras", EMPTY)), **extras}
        return cls(**values)

    def following(self, cause: DomainEvent) -> "EventMetadata":
        """Metadata for what `cause` led to: the same correlation, and `cause` as the causation.

        Where there is no correlation yet, the id of `cause` begins one.
        """
        correlation_id = self.correlation_id or str(cause.event_id)
        return attrs.evolve(self, correlation_id=correlation_id, causation_id=cause.event_id)


_FIELDS = frozenset(field.name for field in attrs.fields(EventMetadata))
_NOTHING = EventMetadata()


class RecordedEvent(msgspec.Struct, Generic[_E], frozen=True, kw_only=True, gc=False):
    """An event as a store keeps it.

    `version` counts the events of its stream from 1; `position` orders the whole store;
    `recorded_at` (aware, UTC) is when the store took it, `event.occurred_at` when it happened.
    It is a struct of `msgspec`, which is made in a seventh of the time of a frozen class of attrs.
    """

    position: Position
    stream: StreamId
    version: int
    recorded_at: datetime
    event: _E
    metadata: EventMetadata = _NOTHING


@_base
class UnknownEvent(DomainEvent):
    """An event that was read, but that no class here is registered for.

    `name` and `schema_version` are as stored; `data` holds the stored bytes, untouched. It can
    be carried from store to store without loss. `subject` is whom it is about, where the store
    knows. The repr does not show the bytes.
    """

    name: str
    schema_version: int
    data: bytes
    subject: str | None = None

    def __hash__(self) -> int:
        return hash(self.event_id)

    def __repr__(self) -> str:
        return (
            f"UnknownEvent(event_id={self.event_id!r}, name={self.name!r}, "
            f"schema_version={self.schema_version}, data=<{len(self.data)} bytes>)"
        )
