"""What is refused when an event class is defined, each with a sentence that says how to mend it."""

import re
import typing
from collections.abc import (
    Hashable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
)
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any, get_args, get_origin

import attrs

from dashtam_events._frozen import kept
from dashtam_events.declaration import Phase, Privacy
from dashtam_events.errors import InvalidEventClass
from dashtam_events.privacy import privacy_of

__all__ = ["IDENTITY", "check_identity", "check_name", "checked_fields", "default_of"]

IDENTITY = ("event_id", "occurred_at")
"""The fields that every event has of `DomainEvent`, and that mean the same in each."""

_IRREGULAR = frozenset(
    """Begun Bought Bound Broken Brought Built Cast Caught Chosen Cut Done Drawn Driven Fallen Fed
    Forgotten Found Frozen Given Grown Heard Held Hidden Hit Kept Known Laid Led Left Lent Lost
    Made Met Overdrawn Paid Put Quit Read Rebuilt Reset Resold Rewritten Risen Run Seen Sent Set
    Shown Shut Sold Sought Spent Split Spoken Stolen Struck Stuck Sunk Sworn Taken Taught Thrown
    Told Torn Understood Undone Upheld Won Withdrawn Withheld Worn Written""".split()
)
_PARTICIPLES_IN_EED = frozenset(
    "Agreed Disagreed Decreed Freed Guaranteed Pedigreed Refereed".split()
)
_PRESENT_IN_ED = frozenset("Bed Embed Imbed Shred".split())
_TUPLE, _MAPPING, _SET = "tuple[X, ...]", "Mapping[K, V]", "frozenset[X]"
_MUTABLE = (
    dict.fromkeys((list, Sequence, MutableSequence), _TUPLE)
    | dict.fromkeys((dict, MutableMapping), _MAPPING)
    | dict.fromkeys((set, AbstractSet, MutableSet), _SET)
    | {bytearray: "bytes"}
)


def check_name(name: str, workflow: str | None, phase: Phase | None) -> None:
    """Refuse the name of a workflow event that is not in the past tense.

    Its last word (less a suffix `Event`) must be a past participle; a fact that is no step of
    the workflow itself declares `phase=Phase.OPERATIONAL` and is free.

    Raises:
        InvalidEventClass: the name reads as an order or as something still going on.
    """
    if workflow is None or phase is Phase.OPERATIONAL:
        return
    words = re.findall(r"[A-Z][a-z0-9]*", name.removesuffix("Event"))
    last = words[-1] if words else name
    if not _is_past(last):
        raise InvalidEventClass(
            name,
            "an event of a workflow says what happened: end its name with a past participle "
            "(AccountClosed, TransferFailed), or declare phase=Phase.OPERATIONAL",
        )


def _is_past(word: str) -> bool:
    if word.endswith("eed"):
        return word in _PARTICIPLES_IN_EED
    return word in _IRREGULAR or (word.endswith("ed") and word not in _PRESENT_IN_ED)


def check_identity(cls: type, root: type) -> None:
    """Refuse a class that defines anew what its events have of `root`, the root of all events.

    Raises:
        InvalidEventClass: it, or a class it is made of, has a field or attribute of that name.
    """
    for base in cls.__mro__[: cls.__mro__.index(root)]:
        for name in IDENTITY:
            if name in base.__dict__ or name in base.__dict__.get("__annotations__", {}):
                raise InvalidEventClass(
                    cls.__qualname__, f"{name!r} is every event's own: choose another name"
                )


def checked_fields(cls: type, fields: "list[attrs.Attribute[Any]]") -> "list[attrs.Attribute[Any]]":
    """The field transformer of every event class: resolve types, refuse what cannot hold."""
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise InvalidEventClass(
            cls.__qualname__,
            f"the annotation of a field cannot be resolved ({error.name} is not known here): "
            "import it at run time and define the class at the top level of its module",
        ) from None
    own = cls.__dict__.get("__annotations__", {})
    return [
        _checked(cls, field.evolve(type=hints[field.name])) if field.name in own else field
        for field in fields
    ]


def _checked(cls: type, field: "attrs.Attribute[Any]") -> "attrs.Attribute[Any]":
    _refuse_mutable_type(cls, field)
    _refuse_default(cls, field)
    if field.name.startswith("_"):
        _refuse(cls, field, "is private: give it a name without an underscore")
    kinds = _parts(field.type)
    if datetime in kinds:
        own = field.validator
        field = field.evolve(validator=attrs.validators.and_(_aware, own) if own else _aware)
    if datetime in kinds or Mapping in kinds:
        given = [field.converter] if field.converter else []
        field = field.evolve(converter=attrs.converters.pipe(*given, kept) if given else kept)
    return field


def _parts(annotation: Any) -> set[Any]:
    """Every type that the annotation is made of, at any depth; generics as their origin."""
    origin = get_origin(annotation)
    if origin is typing.Literal:
        return set()
    if origin is typing.Annotated:
        return _parts(get_args(annotation)[0])
    inner = [_parts(arg) for arg in get_args(annotation) if isinstance(arg, Hashable)]
    return {origin or annotation}.union(*inner)


def _refuse_mutable_type(cls: type, field: "attrs.Attribute[Any]") -> None:
    for kind in _parts(field.type):
        if kind in _MUTABLE:
            _refuse(cls, field, f"has a type that can change: use {_MUTABLE[kind]}")
        if isinstance(kind, type) and attrs.has(kind) and not _is_frozen(kind):
            _refuse(cls, field, f"has a type that can change: make {kind.__name__} frozen")


def _is_frozen(kind: type) -> bool:
    """Whether instances of an attrs class refuse to be changed; asked of one without fields."""
    try:
        setattr(object.__new__(kind), "anything", None)  # noqa: B010  # whatever its fields are
    except attrs.exceptions.FrozenError:
        return True
    except Exception:  # noqa: BLE001  # it may refuse for any reason of its own
        return False
    return False


def default_of(field: "attrs.Attribute[Any]") -> Any:
    """The default of a field, made by its factory where it has one; `attrs.NOTHING` if none."""
    factory = getattr(field.default, "factory", None)
    return field.default if factory is None else factory()


def _refuse_default(cls: type, field: "attrs.Attribute[Any]") -> None:
    if getattr(field.default, "takes_self", False):
        _refuse(cls, field, "has a default that depends on the others: pass the value instead")
    default = default_of(field)
    if privacy_of(field) is Privacy.SECRET and default is not None:
        _refuse(cls, field, "is secret, and comes back without its value: write default=None")
    try:
        hash(default)
    except TypeError:
        _refuse(
            cls, field, "has a default that can change: use a tuple, a frozenset or a FrozenDict"
        )
    if isinstance(default, datetime) and default.tzinfo is None:
        _refuse(cls, field, "has a naive datetime as its default: give it a timezone")


def _refuse(cls: type, field: "attrs.Attribute[Any]", why: str) -> None:
    raise InvalidEventClass(cls.__qualname__, f"the field {field.name!r} {why}")


def _aware(_instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if _has_naive(value):
        raise ValueError(f"{attribute.name} has a naive datetime: give it a timezone")


def _has_naive(value: Any) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not UTC and value.utcoffset() is None
    if isinstance(value, Mapping):
        return any(map(_has_naive, value.values()))
    return isinstance(value, (tuple, frozenset)) and any(map(_has_naive, value))
