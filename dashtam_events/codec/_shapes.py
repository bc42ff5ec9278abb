"""The types made of others: optional values, choices, tuples, sets, mappings."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, Flag
from typing import Any

import msgspec

from dashtam_events._frozen import FrozenDict
from dashtam_events.codec._forms import Form, Mismatch, placed
from dashtam_events.codec._leaves import LEAVES, text

__all__ = ["choice", "enum", "frozen_set", "mapping", "optional", "tuple_of", "tuple_with"]

_SOME = "[*]"
"""Stands for a place in a set or mapping: a key is as private as a value."""


def optional(inner: Form) -> Form:
    """None, or what `inner` takes."""
    encode, decode = inner.encode, inner.decode
    return Form(
        encode=lambda value: None if value is None else encode(value),
        decode=lambda raw: None if raw is None else decode(raw),
        fast=inner.fast,
        passes=f"{{v}} is None or {inner.passes}",
        plain=f"{{v}} is None or {inner.plain}",
        again="True" if inner.again == "True" else f"{{v}} is None or {inner.again}",
        flat=inner.flat,
    )


def enum(cls: type[Enum]) -> Form | None:
    """The members of an enum, written as their values; None unless all can be read back."""
    members = {(type(member.value), member.value): member for member in cls}
    if issubclass(cls, Flag) or {kind for kind, _ in members} - {str, int}:
        return None
    if not all(_is_kept(value) for _, value in members):
        return None
    expected = f"a value of {cls.__name__}"

    def encode(value: Any) -> Any:
        if not isinstance(value, cls):
            raise Mismatch(expected)
        return value.value

    def decode(raw: Any) -> Enum:
        if type(raw) not in (str, int) or (type(raw), raw) not in members:
            raise Mismatch(expected)
        return members[type(raw), raw]

    return Form(encode=encode, decode=decode, flat=True)


def choice(values: tuple[Any, ...]) -> Form | None:
    """One of some literals; None unless each is text, an integer, a bool or None, and kept."""
    if {type(value) for value in values} - {str, int, bool, type(None)}:
        return None
    if not all(map(_is_kept, values)):
        return None
    allowed = {(type(value), value) for value in values}
    expected = f"one of {', '.join(map(repr, values))}"

    def checked(value: Any) -> Any:
        if type(value) not in (str, int, bool, type(None)) or (type(value), value) not in allowed:
            raise Mismatch(expected)
        return value

    return Form(encode=checked, decode=checked, flat=True)


def _is_kept(value: Any) -> bool:
    """Whether what is written of it can be read back."""
    try:
        LEAVES[type(value)].encode(value)
    except Mismatch:
        return False
    return True


def tuple_of(inner: Form) -> Form:
    """A tuple of any length, all of one type."""

    def encode(value: Any) -> list[Any]:
        return _each(inner.encode, _of_kind(value, tuple, "a tuple"))

    def decode(raw: Any) -> tuple[Any, ...]:
        return tuple(_each(inner.decode, _of_kind(raw, list, "an array")))

    return Form(encode=encode, decode=decode, fast=inner.fast)


def _each(work: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    done: list[Any] = []
    try:
        for value in values:
            done.append(work(value))  # noqa: PERF401  # its length tells where it stopped
    except Mismatch as mismatch:
        raise mismatch.within(f"[{len(done)}]")  # noqa: B904  # the same object, one step longer
    return done


def tuple_with(inner: tuple[Form, ...]) -> Form:
    """A tuple of a fixed length, each place with a type of its own."""
    encoders = [placed(form.encode, f"[{place}]") for place, form in enumerate(inner)]
    decoders = [placed(form.decode, f"[{place}]") for place, form in enumerate(inner)]

    def encode(value: Any) -> list[Any]:
        return _side_by_side(encoders, _of_kind(value, tuple, "a tuple"))

    def decode(raw: Any) -> tuple[Any, ...]:
        return tuple(_side_by_side(decoders, _of_kind(raw, list, "an array")))

    return Form(encode=encode, decode=decode, fast=all(form.fast for form in inner))


def _side_by_side(work: list[Callable[[Any], Any]], values: Any) -> list[Any]:
    if len(values) != len(work):
        raise Mismatch(f"exactly {len(work)} items")
    return [do(value) for do, value in zip(work, values, strict=True)]


def frozen_set(inner: Form) -> Form:
    """A frozenset, written in one order whatever the hashes are."""
    encode_item, decode_item = placed(inner.encode, _SOME), placed(inner.decode, _SOME)

    def encode(value: Any) -> list[Any]:
        items = [encode_item(item) for item in _of_kind(value, frozenset, "a frozenset")]
        return sorted(items, key=msgspec.json.encode)

    def decode(raw: Any) -> frozenset[Any]:
        items = [decode_item(item) for item in _of_kind(raw, list, "an array")]
        try:
            unique = frozenset(items)
        except TypeError:
            raise Mismatch("items that hash") from None
        if len(unique) != len(items):
            raise Mismatch("each item once")
        return unique

    return Form(encode=encode, decode=decode, fast=inner.fast)


def mapping(inner: Form) -> Form:
    """A mapping from text, in its own order; it is read as one that cannot change."""
    key, encode_value = placed(text, _SOME), placed(inner.encode, _SOME)
    decode_value = placed(inner.decode, _SOME)

    def encode(value: Any) -> dict[str, Any]:
        items = _of_kind(value, Mapping, "a mapping").items()
        return {key(name): encode_value(item) for name, item in items}

    def decode(raw: Any) -> FrozenDict[str, Any]:
        items = _of_kind(raw, dict, "an object").items()
        return FrozenDict({key(name): decode_value(item) for name, item in items})

    return Form(encode=encode, decode=decode, fast=False)


def _of_kind(value: Any, kind: Any, expected: str) -> Any:
    if not isinstance(value, kind):
        raise Mismatch(expected)
    return value
