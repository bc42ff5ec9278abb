"""The attrs classes: events, and the values nested in them."""

import typing
from collections.abc import Callable
from typing import Any, cast

import attrs

from dashtam_events._checks import IDENTITY
from dashtam_events._frozen import kept
from dashtam_events.codec._forms import Form, Mismatch, placed
from dashtam_events.codec._leaves import NAMES
from dashtam_events.declaration import Privacy
from dashtam_events.errors import InvalidEventClass
from dashtam_events.event import DomainEvent
from dashtam_events.privacy import privacy_of

__all__ = ["Fields", "checking", "class_form", "compiled", "locals_of", "stored_fields"]

Fields = dict[str, "tuple[attrs.Attribute[Any], Form]"]
"""The stored fields of a class by name, each with the form of its type."""

_UTC = attrs.fields_dict(cast(Any, DomainEvent))["occurred_at"].converter
_IDLE = (None, _UTC, kept)
"""The converters that have nothing to do for what `msgspec` reads."""
_INVALID = "a value that its validator takes"


def stored_fields(cls: Any, form_of: Callable[[Any], Form]) -> Fields:
    """The fields of a class that are written: those that are given to it and are no secrets.

    Raises:
        InvalidEventClass: a field has a type that nothing is known of.
    """
    hints = _hints(cls)
    found: Fields = {}
    for field in attrs.fields(cls):
        if privacy_of(field) is Privacy.SECRET:
            _needs_default(cls, field)
        elif field.init:
            found[field.name] = (field, _form(cls, field.name, hints[field.name], form_of))
    return found


def _hints(cls: Any) -> dict[str, Any]:
    hints = {field.name: field.type for field in attrs.fields(cls)}
    if any(kind is None or isinstance(kind, str) for kind in hints.values()):
        try:
            hints |= typing.get_type_hints(cls, include_extras=True)
        except NameError as error:
            reason = f"the annotation of a field cannot be resolved: {error.name} is not known"
            raise InvalidEventClass(cls.__qualname__, reason) from None
    return hints


def _needs_default(cls: Any, field: "attrs.Attribute[Any]") -> None:
    if field.init and field.default is attrs.NOTHING:
        reason = f"the field {field.name!r} is secret, and not stored: write default=None"
        raise InvalidEventClass(cls.__qualname__, reason)


def _form(cls: Any, name: str, kind: Any, form_of: Callable[[Any], Form]) -> Form:
    try:
        return form_of(kind)
    except LookupError as error:
        shown = getattr(kind, "__name__", None) if isinstance(kind, type) else str(kind)
        reason = f"the field {name!r} has the type {shown}: {error.args[0]}"
    raise InvalidEventClass(cls.__qualname__, reason)


def class_form(cls: Any, fields: Fields, unknown: Callable[[str], None]) -> Form:
    """The form of an attrs class; `unknown` hears of each key that is no field."""
    return Form(
        encode=_encoder(cls, fields),
        decode=_decoder(cls, fields, unknown),
        fast=_is_plain(cls) and all(form.fast for _, form in fields.values()),
    )


def _is_plain(cls: Any) -> bool:
    """True where `msgspec` makes an instance just as a call of the class does."""
    code = getattr(cls.__init__, "__code__", None)
    made_by_attrs = code is not None and code.co_filename.startswith("<attrs generated")
    return made_by_attrs and all(
        field.init and field.alias == field.name and field.converter in _IDLE
        for field in attrs.fields(cls)
    )


def _encoder(cls: Any, fields: Fields) -> Callable[[Any], Any]:
    """One function for the class, with the common case of each field written out in it.

    Calling a function for each field would take longer than writing the JSON does.
    """
    pairs = ", ".join(f"{name!r}: {local}" for name, local in locals_of(fields).items())
    lines = [
        "def encode_instance(value):",
        "    if type(value) is not cls:",
        f"        raise Mismatch({'a ' + cls.__name__!r})",
        *checking(fields, [form.passes for _, form in fields.values()]),
        f"    return {{{pairs}}}",
    ]
    return compiled(cls, fields, lines, {})["encode_instance"]


def locals_of(fields: Fields) -> dict[str, str]:
    """The variable of a generated function that holds each field."""
    return {name: f"v{place}" for place, name in enumerate(fields)}


def checking(fields: Fields, passes: list[str]) -> list[str]:
    """Lines that take the fields out of `value`, each as its form gives it."""
    lines: list[str] = []
    for (name, local), expression in zip(locals_of(fields).items(), passes, strict=True):
        lines += [f"    {local} = value.{name}"]
        if expression != "True":
            lines += [
                f"    if not ({expression.format(v=local)}):",
                f"        {local} = encode_{local}({local})",
            ]
    return lines


def compiled(
    cls: Any, fields: Fields, lines: list[str], names: dict[str, Any]
) -> dict[str, Callable[[Any], Any]]:
    """The functions that the lines define, by name; they are about an instance of the class."""
    known: dict[str, Any] = {**NAMES, "cls": cls, "Mismatch": Mismatch, **names}
    for (field, local), (_, form) in zip(locals_of(fields).items(), fields.values(), strict=True):
        known[f"encode_{local}"] = placed(form.encode, f".{field}")
    code = compile("\n".join(lines), f"<codec of {cls.__qualname__}>", "exec")
    exec(code, known)  # noqa: S102  # made of names of fields and expressions of this room alone
    return known


def _decoder(cls: Any, fields: Fields, unknown: Callable[[str], None]) -> Callable[[Any], Any]:
    required = {name for name, (field, _) in fields.items() if field.default is attrs.NOTHING}
    if issubclass(cls, DomainEvent):
        required.update(IDENTITY)  # whose defaults are for what happens now

    def decode_instance(raw: Any) -> Any:
        if type(raw) is not dict:
            raise Mismatch("an object")
        for key in raw.keys() - fields.keys():
            unknown(key)
        values = _values(fields, required, raw)
        try:
            return cls(**values)
        except Exception:  # noqa: BLE001  # a validator or converter may raise anything
            refusal = _refusal(cls, fields, values)
        raise refusal

    return decode_instance


def _values(fields: Fields, required: set[str], raw: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, (field, form) in fields.items():
        if name in raw:
            try:
                values[field.alias or name] = form.decode(raw[name])
            except Mismatch as mismatch:
                raise mismatch.within(f".{name}")  # noqa: B904  # the same object, one step longer
        elif name in required:
            raise Mismatch("a value, which is missing").within(f".{name}")
    return values


def _refusal(cls: Any, fields: Fields, values: dict[str, Any]) -> Mismatch:
    """Which field was refused by its converter or validator: they are asked again, in order."""
    given = {name: field for name, (field, _) in fields.items() if (field.alias or name) in values}
    instance = object.__new__(cls)
    for name, field in given.items():
        if not _takes(_convert, instance, field, values[field.alias or name]):
            return Mismatch(_INVALID).within(f".{name}")
    for name, field in given.items():
        if field.validator and not _takes(
            field.validator, instance, field, getattr(instance, name)
        ):
            return Mismatch(_INVALID).within(f".{name}")
    return Mismatch("values that go together")


def _takes(
    check: Callable[..., Any], instance: Any, field: "attrs.Attribute[Any]", value: Any
) -> bool:
    try:
        check(instance, field, value)
    except Exception:  # noqa: BLE001  # a validator or converter may raise anything
        return False
    return True


def _convert(instance: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    convert: Any = field.converter
    object.__setattr__(instance, field.name, convert(value) if callable(convert) else value)
