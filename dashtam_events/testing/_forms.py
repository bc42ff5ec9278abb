"""The stored form of events as text: what a golden file keeps of each version, and what changed."""

import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NewType, get_args, get_origin

import attrs

from dashtam_events.declaration import FieldSpec, Privacy
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.privacy import privacy_of

__all__ = ["Fields", "changes", "fields_of", "is_compatible"]

Fields = Mapping[str, Mapping[str, str]]
"""By name of a field: its `type`, its `privacy`, and its `default` where it has one."""


def fields_of(event_class: type[DomainEvent]) -> Fields:
    """The stored form of a class, less the identity that every event has."""
    return {field.name: _form(field) for field in spec_of(event_class).fields}


def changes(old: Fields, new: Fields) -> list[str]:
    """What a stored form has gained, lost or altered, one sentence for each."""
    gone = [f"the field {name!r} is gone" for name in old if name not in new]
    gained = [f"the field {name!r} is new" for name in new if name not in old]
    altered = [
        f"the {fact} of {name!r} was {old[name].get(fact, 'none')}, "
        f"and is {new[name].get(fact, 'none')}"
        for name in new
        if name in old
        for fact in ("type", "privacy", "default")
        if old[name].get(fact) != new[name].get(fact)
    ]
    return gone + gained + altered


def is_compatible(old: Fields, new: Fields) -> bool:
    """Whether what is stored in the old form still means the same: read as the new one.

    So it is where fields with defaults have come in, or a mark between public and personal
    has changed.
    """
    added = all("default" in new[name] for name in new if name not in old)
    return added and all(name in new and _same(old[name], new[name]) for name in old)


def _same(old: Mapping[str, str], new: Mapping[str, str]) -> bool:
    marks = {old["privacy"], new["privacy"]}
    kept = len(marks) == 1 or Privacy.SECRET.value not in marks
    return kept and {**old, "privacy": ""} == {**new, "privacy": ""}


def _form(field: FieldSpec) -> dict[str, str]:
    form = {"type": _text(field.type), "privacy": field.privacy.value}
    return form if field.required else form | {"default": repr(field.default)}


def _text(annotation: Any, within: tuple[type, ...] = ()) -> str:
    if isinstance(annotation, NewType):
        return _text(annotation.__supertype__, within)
    if annotation in (None, types.NoneType):
        return "None"
    origin = get_origin(annotation)
    if origin is not None:
        return _generic(origin, annotation, within)
    if not isinstance(annotation, type):
        return "..." if annotation is ... else str(annotation)
    if issubclass(annotation, Enum):
        return f"{annotation.__name__}({' | '.join(repr(one.value) for one in annotation)})"
    if attrs.has(annotation) and annotation not in within:
        return _nested(annotation, (*within, annotation))
    return annotation.__name__


def _generic(origin: Any, annotation: Any, within: tuple[type, ...]) -> str:
    if origin is typing.Annotated:
        return _text(get_args(annotation)[0], within)
    if origin is typing.Literal:
        return f"Literal[{', '.join(repr(value) for value in get_args(annotation))}]"
    parts = [_text(part, within) for part in get_args(annotation)]
    if origin in (typing.Union, types.UnionType):
        return " | ".join(parts)
    return f"{origin.__name__}[{', '.join(parts)}]"


def _nested(cls: type[Any], within: tuple[type, ...]) -> str:
    hints: Callable[[str], Any] = typing.get_type_hints(cls, include_extras=True).__getitem__
    parts = [
        f"{field.name}: {_text(hints(field.name), within)}"
        for field in attrs.fields(cls)
        if privacy_of(field) is not Privacy.SECRET
    ]
    return f"{cls.__name__}({', '.join(parts)})"
