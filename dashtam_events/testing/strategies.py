"""Hypothesis strategies for events: anybody's classes, from the types of their fields."""

import types
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, NewType, TypeVar, get_args, get_origin, overload
from uuid import UUID

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from dashtam_events._frozen import FrozenDict
from dashtam_events.declaration import Privacy
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.privacy import privacy_of
from dashtam_events.recorded import EventMetadata, Position, RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry

__all__ = ["events", "recorded_events"]

_E = TypeVar("_E", bound=DomainEvent)
_Make = Callable[..., SearchStrategy[Any]]

# An integer beyond this is no longer exact for every reader of JSON, and the codec refuses it.
_LARGEST_INTEGER = 2**53 - 1
# A day short of what datetime holds, so that every offset can be converted to UTC.
_FIRST, _LAST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001  # hypothesis wants bounds without a timezone
_OFFSETS = (UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8)))


@overload
def events(
    source: type[_E], /, *, secrets: bool = False, **fields: object
) -> SearchStrategy[_E]: ...
@overload
def events(
    source: EventRegistry, /, *, secrets: bool = False, **fields: object
) -> SearchStrategy[DomainEvent]: ...
def events(
    source: type[DomainEvent] | EventRegistry, /, *, secrets: bool = False, **fields: object
) -> SearchStrategy[Any]:
    """Events of a class, or of any class of a registry, made from the types of their fields.

    Whatever is made can be stored and read back. Secrets are None, as in an event that was read
    back, unless `secrets` asks for them. A keyword gives a field a strategy or a value of its
    own (`event_id` and `occurred_at` too); of a registry, each class takes those that it has.
    A field with a validator of its own, or of a type that hypothesis does not know, needs one.

    Raises:
        InvalidEventClass: the class is no event.
        ValueError: no class here has a field that a keyword names, or the registry is empty.
    """
    classes = tuple(source) if isinstance(source, EventRegistry) else (source,)
    if not classes:
        raise ValueError("the registry is empty: register an event first")
    unknown = set(fields) - {name for cls in classes for name in _names(cls)}
    if unknown:
        raise ValueError(f"no event here has a field {', '.join(sorted(unknown))}")
    return st.one_of([_event(cls, fields, secrets=secrets) for cls in classes])


def recorded_events(
    source: type[DomainEvent] | EventRegistry | SearchStrategy[DomainEvent],
    /,
    *,
    stream: StreamId | None = None,
    min_size: int = 0,
    max_size: int = 8,
) -> SearchStrategy[tuple[RecordedEvent, ...]]:
    """The history of one stream as a store returns it.

    Versions count from 1 without a hole, positions grow and leave gaps, `recorded_at` never
    goes back, and no event comes twice. `source` is what `events` takes, or a strategy of events.
    """
    each = source if isinstance(source, SearchStrategy) else events(source)
    facts = st.lists(each, min_size=min_size, max_size=max_size, unique_by=lambda e: e.event_id)
    return _history(st.just(stream) if stream else _STREAMS, facts)


@st.composite
def _history(
    draw: st.DrawFn,
    streams: SearchStrategy[StreamId],
    facts: SearchStrategy[list[DomainEvent]],
) -> tuple[RecordedEvent, ...]:
    stream, position, instant = draw(streams), 0, draw(_instants(UTC))
    history: list[RecordedEvent] = []
    for version, fact in enumerate(draw(facts), start=1):
        position += draw(_STEPS)
        instant = min(instant + draw(_PAUSES), _LAST.replace(tzinfo=UTC))
        history.append(
            RecordedEvent(
                position=Position(position),
                stream=stream,
                version=version,
                recorded_at=instant,
                event=fact,
                metadata=draw(_METADATA),
            )
        )
    return tuple(history)


def _names(cls: type[DomainEvent]) -> list[str]:
    return ["event_id", "occurred_at", *(field.name for field in spec_of(cls).fields)]


def _event(cls: type[_E], fields: Mapping[str, object], *, secrets: bool) -> SearchStrategy[_E]:
    made: dict[str, SearchStrategy[Any]] = {"event_id": _EVENT_IDS, "occurred_at": _instants(UTC)}
    made |= {
        field.name: _of_type(field.type, secrets)
        for field in spec_of(cls).fields
        if secrets or field.privacy is not Privacy.SECRET
    }
    own = {name: value for name, value in fields.items() if name in _names(cls)}
    return st.builds(cls, **made | {name: _strategy(value) for name, value in own.items()})


def _strategy(value: object) -> SearchStrategy[Any]:
    return value if isinstance(value, SearchStrategy) else st.just(value)


def _instants(*offsets: timezone) -> SearchStrategy[datetime]:
    return st.datetimes(_FIRST, _LAST, timezones=st.sampled_from(offsets))


def _version_7(value: UUID) -> UUID:
    return UUID(int=value.int & ~(0xF << 76) | 7 << 76)


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_EVENT_IDS = st.uuids(version=4).map(_version_7)
_STREAMS = _EVENT_IDS.map(lambda value: StreamId("stream", value))
_STEPS = st.integers(1, 3)
_PAUSES = st.timedeltas(timedelta(0), timedelta(days=1))
_METADATA = st.builds(
    EventMetadata,
    correlation_id=st.none() | _TEXTS,
    causation_id=st.none() | _EVENT_IDS,
    actor=st.none() | _TEXTS,
    extras=st.dictionaries(_TEXTS, _TEXTS, max_size=2),
)

_LEAVES: Mapping[Any, SearchStrategy[Any]] = {
    str: _TEXTS,
    int: st.integers(-_LARGEST_INTEGER, _LARGEST_INTEGER),
    float: st.floats(allow_nan=False, allow_infinity=False),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    UUID: st.uuids(),
    datetime: _instants(*_OFFSETS),
    None: st.none(),
    types.NoneType: st.none(),
}


@cache
def _of_type(annotation: Any, secrets: bool) -> SearchStrategy[Any]:  # noqa: FBT001  # a key of the cache
    if annotation in _LEAVES:
        return _LEAVES[annotation]
    if isinstance(annotation, NewType):
        return _of_type(annotation.__supertype__, secrets)
    origin = get_origin(annotation)
    if origin in _GENERICS:
        return _GENERICS[origin](*get_args(annotation), secrets=secrets)
    if isinstance(annotation, type) and attrs.has(annotation):
        # Deferred, because a class may hold values of its own kind.
        return st.deferred(lambda: _nested(annotation, secrets=secrets))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    return st.from_type(annotation)


def _nested(cls: type[Any], *, secrets: bool) -> SearchStrategy[Any]:
    if issubclass(cls, DomainEvent):
        return _event(cls, {}, secrets=secrets)
    hints = typing.get_type_hints(cls, include_extras=True)
    made = {
        field.alias: _of_type(hints[field.name], secrets)
        for field in attrs.fields(cls)
        if field.init and (secrets or privacy_of(field) is not Privacy.SECRET)
    }
    return st.builds(cls, **made)


def _union(*members: Any, secrets: bool) -> SearchStrategy[Any]:
    # None first: the simplest example of an optional value is its absence.
    ordered = sorted(members, key=lambda member: member is not types.NoneType)
    return st.one_of([_of_type(member, secrets) for member in ordered])


def _tuple(*members: Any, secrets: bool) -> SearchStrategy[Any]:
    if len(members) == 2 and members[1] is ...:
        return st.lists(_of_type(members[0], secrets), max_size=5).map(tuple)
    return st.tuples(*(_of_type(member, secrets) for member in members))


def _frozenset(member: Any, *, secrets: bool) -> SearchStrategy[Any]:
    return st.frozensets(_of_type(member, secrets), max_size=5)


def _mapping(key: Any, value: Any, *, secrets: bool) -> SearchStrategy[Any]:
    items = st.dictionaries(_of_type(key, secrets), _of_type(value, secrets), max_size=5)
    return items.map(FrozenDict)


def _annotated(kind: Any, *_marks: Any, secrets: bool) -> SearchStrategy[Any]:
    return _of_type(kind, secrets)


_GENERICS: Mapping[Any, _Make] = {
    typing.Union: _union,
    types.UnionType: _union,
    typing.Annotated: _annotated,
    tuple: _tuple,
    frozenset: _frozenset,
    Mapping: _mapping,
}
