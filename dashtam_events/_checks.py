"""What is refused when an event class is defined, each with a sentence that says how to mend it."""

import re
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args, get_origin

import attrs

from dashtam_events._frozen import FrozenDict
from dashtam_events.declaration import Phase, Privacy
from dashtam_events.errors import InvalidEventClass
from dashtam_events.privacy import privacy_of

__all__ = ["check_name", "checked_fields", "default_of"]

_IRREGULAR = frozenset(
    """Begun Bought Bound Broken Brought Built Cast Caught Chosen Cut Done Drawn Driven Fallen Fed
    Forgotten Found Frozen Given Grown Heard Held Hidden Hit Kept Known Laid Led Left Lent Lost
    Made Met Overdrawn Paid Put Quit Read Rebuilt Reset Resold Rewritten Risen Run Seen Sent Set
    Shown Shut Sold Sought Spent Split Spoken Stolen Struck Stuck Sunk Sworn Taken Taught Thrown
    Told Torn Understood Undone Upheld Won Withdrawn Withheld Worn Written""".split()
)
_MUTABLE = {
    list: "tuple[X, ...]",
    dict: "Mapping[K, V]",
    set: "frozenset[X]",
    bytearray: "bytes",
}


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
    if not last.endswith("ed") and last not in _IRREGULAR:
        raise InvalidEventClass(
            name,
            "an event of a workflow says what happened: end its name with a past participle "
            "(AccountClosed, TransferFailed), or declare phase=Phase.OPERATIONAL",
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
        validators = [_aware] + ([field.validator] if field.validator else [])
        field = field.evolve(validator=attrs.validators.and_(*validators))
    if Mapping in kinds and field.converter is None:
        field = field.evolve(converter=_frozen)
    return field


def _parts(annotation: Any) -> set[Any]:
    """The annotation itself and, for a union, each of its members; generics as their origin."""
    if get_origin(annotation) is typing.Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (typing.Union, type(int | str)):
        return set().union(*(_parts(arg) for arg in get_args(annotation)))
    return {get_origin(annotation) or annotation}


def _refuse_mutable_type(cls: type, field: "attrs.Attribute[Any]") -> None:
    for kind in _parts(field.type):
        if kind in _MUTABLE:
            _refuse(cls, field, f"has a type that can change: use {_MUTABLE[kind]}")


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
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise ValueError(f"{attribute.name} is a naive datetime: give it a timezone")


def _frozen(value: Any) -> Any:
    return FrozenDict(value) if isinstance(value, Mapping) else value
