"""From a type to its form: the user's hooks first, then what is known here."""

import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NewType, get_args, get_origin

import attrs

from dashtam_events.codec import _shapes
from dashtam_events.codec._classes import class_form, stored_fields
from dashtam_events.codec._forms import Form, Mismatch
from dashtam_events.codec._leaves import LEAVES, text

if TYPE_CHECKING:
    import cattrs

__all__ = ["Forms", "is_native", "native"]

_NATIVE = "__dashtam_events_native__"
_HINT = (
    "the codec does not know it: register a structure and an unstructure hook for it "
    "on a converter (make_converter()) and pass that to the codec"
)


def native(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a hook of the library's own converter, so that the user's can be told from it."""
    setattr(hook, _NATIVE, True)
    return hook


def is_native(hook: Any) -> bool:
    """True for a hook of the library's own."""
    return getattr(hook, _NATIVE, False) is True


def _ignored(_owner: str, _key: str) -> None:
    """What a converter used by itself makes of keys that are no field."""


class Forms:
    """The forms of types, each made once; `unknown(owner, key)` hears of keys that are no field.

    `converter` holds the user's hooks, where there are any.
    """

    def __init__(
        self,
        converter: "cattrs.Converter | None" = None,
        unknown: Callable[[str, str], None] = _ignored,
    ) -> None:
        self._converter, self._unknown = converter, unknown
        self._made: dict[Any, Form] = {}
        self._begun: set[Any] = set()

    def of(self, kind: Any) -> Form:
        """The form of a type.

        Raises:
            LookupError: nothing is known of the type; its argument says how to mend it.
            InvalidEventClass: nothing is known of the type of a field in it.
        """
        if kind is None:
            kind = type(None)
        if kind not in self._made:
            form = self._hooked(kind, self._converter) or self._native(kind)
            if form is None:
                raise LookupError(_HINT)
            self._made[kind] = form
        return self._made[kind]

    def of_class(self, cls: Any, owner: str) -> Form:
        """The form of an attrs class, which may be part of itself; `owner` is what it is called."""
        if cls in self._begun:
            return self._later(cls)
        self._begun.add(cls)
        try:
            fields, unknown = stored_fields(cls, self.of), self._unknown
            form = class_form(cls, fields, lambda key: unknown(owner, key))
        except Exception:
            self._made.clear()  # what was made meanwhile may lead to this one
            raise
        finally:
            self._begun.discard(cls)
        self._made[cls] = form
        return form

    def _later(self, cls: Any) -> Form:
        def encode(value: Any) -> Any:
            return self._made[cls].encode(value)

        def decode(raw: Any) -> Any:
            return self._made[cls].decode(raw)

        # Whether msgspec reads the class just so is not known yet.
        return Form(encode=encode, decode=decode, fast=False)

    def _hooked(self, kind: Any, converter: "cattrs.Converter | None") -> Form | None:
        """The form made of the user's own hooks; None where there are none for this type."""
        if converter is None:
            return None
        encode = converter.get_unstructure_hook(kind)
        decode: Callable[[Any, Any], Any] = converter.get_structure_hook(kind)
        if is_native(encode) and is_native(decode):
            return None
        if is_native(encode) or is_native(decode):
            one = "structure" if is_native(decode) else "unstructure"
            raise LookupError(f"it has no {one} hook: register both on the converter")
        name = getattr(kind, "__name__", str(kind))
        return Form(
            encode=_checked(lambda value: _jsonable(encode(value)), f"a {name}"),
            decode=_checked(lambda raw: decode(raw, kind), f"a {name}, as its hook reads it"),
            fast=False,
        )

    def _native(self, kind: Any) -> Form | None:
        if kind in LEAVES:
            return LEAVES[kind]
        if isinstance(kind, NewType):
            return self.of(kind.__supertype__)
        if isinstance(kind, type) and get_origin(kind) is None:
            if issubclass(kind, Enum):
                return _shapes.enum(kind)
            return self.of_class(kind, kind.__name__) if attrs.has(kind) else None
        return self._generic(get_origin(kind), get_args(kind))

    def _generic(self, origin: Any, args: tuple[Any, ...]) -> Form | None:
        if origin is typing.Annotated:
            return self.of(args[0])
        if origin is Literal:
            return _shapes.choice(args)
        if origin in (typing.Union, types.UnionType):
            inner = [arg for arg in args if arg is not type(None)]
            return (
                _shapes.optional(self.of(inner[0])) if len(args) == 2 and len(inner) == 1 else None
            )
        if origin is tuple:
            if len(args) == 2 and args[1] is Ellipsis:
                return _shapes.tuple_of(self.of(args[0]))
            return _shapes.tuple_with(tuple(self.of(arg) for arg in args))
        if origin is frozenset:
            return _shapes.frozen_set(self.of(args[0]))
        if origin is Mapping and self.of(args[0]) is LEAVES[str]:
            return _shapes.mapping(self.of(args[1]))
        return None


def _checked(hook: Callable[[Any], Any], expected: str) -> Callable[[Any], Any]:
    """A user's hook, none of whose exceptions gets out."""

    def checked(value: Any) -> Any:
        try:
            return hook(value)
        except (Mismatch, RecursionError):
            raise
        except Exception:  # noqa: BLE001  # a user's hook may raise anything
            raise Mismatch(expected) from None

    return checked


def _jsonable(value: Any) -> Any:
    """What a user's hook gave, where it is JSON that can be read back."""
    kind = type(value)
    if kind in LEAVES:
        return LEAVES[kind].encode(value)
    if kind is dict:
        return {text(key): _jsonable(item) for key, item in value.items()}
    if kind in (list, tuple):
        return [_jsonable(item) for item in value]
    raise Mismatch("JSON, from the hook registered for it")
