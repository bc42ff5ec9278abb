"""Who may see a field: the marks on it, and the one function that honours them."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, overload

import attrs

from dashtam_events.declaration import Privacy

__all__ = ["MASK", "marked", "personal", "privacy_of", "redact", "secret"]

MASK = "***"
"""What stands in place of a personal value."""

_KEY = "dashtam_events.privacy"
_T = TypeVar("_T")


def marked(privacy: Privacy) -> dict[str, Privacy]:
    """The metadata by which a field of attrs carries a mark."""
    return {_KEY: privacy}


@overload
def personal() -> Any: ...
@overload
def personal(*, default: _T) -> _T: ...
def personal(*, default: Any = attrs.NOTHING) -> Any:
    """A field that belongs to the event's subject: stored, but masked in repr and logs."""
    return attrs.field(default=default, metadata=marked(Privacy.PERSONAL))


def secret(*, default: None = attrs.NOTHING) -> Any:  # type: ignore[assignment]  # refused when the class is defined
    """A field that never leaves the process: not stored, logged, audited, streamed or shown.

    It is optional, because an event that was stored comes back without it: spell out
    `default=None`. It does not count when events are compared.
    """
    return attrs.field(default=default, eq=False, metadata=marked(Privacy.SECRET))


def privacy_of(field: "attrs.Attribute[Any]") -> Privacy:
    """The mark on an attrs field; public where there is none."""
    privacy: Privacy = field.metadata.get(_KEY, Privacy.PUBLIC)
    return privacy


def redact(value: Any) -> dict[str, Any]:
    """The fields of an event (or of any attrs value) as anybody may see them.

    Public fields as they are, personal ones as `MASK` (or None where they are None), secrets
    not at all. Values nested in public fields are redacted too.
    """
    kind: Any = type(value)
    return {name: show(getattr(value, name)) for name, show in _shown(kind)}


@cache
def _shown(cls: Any) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    marked = [(field.name, privacy_of(field)) for field in attrs.fields(cls)]
    return tuple(
        (name, _masked if privacy is Privacy.PERSONAL else _nested)
        for name, privacy in marked
        if privacy is not Privacy.SECRET
    )


def _masked(value: Any) -> Any:
    return None if value is None else MASK


def _nested(value: Any) -> Any:
    if attrs.has(type(value)):
        return redact(value)
    if isinstance(value, (tuple, frozenset)):
        return tuple(_nested(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _nested(item) for key, item in value.items()}
    return value
