"""The types without parts: text, numbers, instants, identifiers."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs

from dashtam_events.codec._forms import Form, Mismatch

__all__ = ["LEAVES", "NAMES", "text"]

MAX_INTEGER = 2**53 - 1
"""The largest integer that every reader of JSON keeps exactly (RFC 8259, 6)."""

_TEXT = "text without NUL or lone surrogates"
_INTEGER = "an integer between -(2**53 - 1) and 2**53 - 1"
_NUMBER = "a finite number"
_DECIMAL = "a finite decimal number, written as text"
_INSTANT = "an instant with its offset from UTC (RFC 3339)"
_DATE = "a date (YYYY-MM-DD)"
_DECIMAL_TEXT = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT_TEXT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)


def text(value: Any) -> str:
    """The value, where it is text that every store and every reader of JSON can hold."""
    if not isinstance(value, str):
        raise Mismatch(_TEXT)
    plain = str.__str__(value)
    if "\0" in plain or not (plain.isascii() or _is_unicode(plain)):
        raise Mismatch(_TEXT)
    return plain


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Mismatch(_INTEGER)
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise Mismatch(_INTEGER)
    return int(value)


def _number(value: Any) -> float:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and -MAX_INTEGER <= value <= MAX_INTEGER:
        return float(value)
    if not isinstance(value, float) or not isfinite(value):
        raise Mismatch(_NUMBER)
    return float(value)


def _truth(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise Mismatch("true or false")


def _nothing(value: Any) -> None:
    if value is not None:
        raise Mismatch("null")


def _uuid(value: Any) -> UUID:
    if type(value) is UUID:
        return value
    if isinstance(value, UUID):
        return UUID(int=value.int)
    raise Mismatch("a UUID")


def _uuid_of(raw: Any) -> UUID:
    if type(raw) is str and _UUID_TEXT.fullmatch(raw):
        return UUID(raw)
    raise Mismatch("a UUID")


def _decimal(value: Any) -> Decimal:
    if not (isinstance(value, Decimal) and value.is_finite()):
        raise Mismatch(_DECIMAL)
    return value if type(value) is Decimal else Decimal(value)


def _decimal_of(raw: Any) -> Decimal:
    if type(raw) is str and _DECIMAL_TEXT.fullmatch(raw):
        try:
            return _decimal(Decimal(raw))
        except ArithmeticError:
            raise Mismatch(_DECIMAL) from None
    raise Mismatch(_DECIMAL)


def _instant(value: Any) -> datetime:
    if type(value) is datetime and value.tzinfo is UTC:
        return value
    if not isinstance(value, datetime):
        raise Mismatch(_INSTANT)
    offset = value.utcoffset()
    if offset is None:
        raise Mismatch(_INSTANT)
    if type(value) is not datetime:
        parts = (value.year, value.month, value.day, value.hour, value.minute, value.second)
        value = datetime(*parts, value.microsecond, tzinfo=value.tzinfo, fold=value.fold)
    # RFC 3339 has no offsets with seconds, such as those before standard time.
    return _in_utc(value) if offset.microseconds or offset.seconds % 60 else value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Mismatch(_INSTANT) from None


def _instant_of(raw: Any) -> datetime:
    if type(raw) is str and _INSTANT_TEXT.fullmatch(raw):
        try:
            return datetime.fromisoformat(raw)
        except ValueError:
            raise Mismatch(_INSTANT) from None
    raise Mismatch(_INSTANT)


def _date(value: Any) -> date:
    if type(value) is date:
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        return date(value.year, value.month, value.day)
    raise Mismatch(_DATE)


def _date_of(raw: Any) -> date:
    if type(raw) is str and _DATE_TEXT.fullmatch(raw):
        try:
            return date.fromisoformat(raw)
        except ValueError:
            raise Mismatch(_DATE) from None
    raise Mismatch(_DATE)


NAMES: Mapping[str, Any] = MappingProxyType(
    {kind.__name__: kind for kind in (UUID, Decimal, datetime, date)}
    | {"UTC": UTC, "MAX_INTEGER": MAX_INTEGER, "isfinite": isfinite}
)
"""What the expressions in `Form.passes` may name beyond the builtins."""


def _leaf(
    encode: Callable[[Any], Any], decode: Callable[[Any], Any], passes: str, again: str = "True"
) -> Form:
    return Form(encode=encode, decode=decode, passes=passes, again=again, flat=True)


_TEXT_FORM = _leaf(text, text, "type({v}) is str and {v}.isascii() and '\\0' not in {v}")
_SMALL = "-MAX_INTEGER <= {v} <= MAX_INTEGER"
_FINITE, _IN_UTC = "{v}.is_finite()", "{v}.tzinfo is UTC"
LEAVES: Mapping[Any, Form] = MappingProxyType(
    {
        str: attrs.evolve(_TEXT_FORM, plain="type({v}) is str"),
        int: _leaf(_integer, _integer, f"type({{v}}) is int and {_SMALL}", _SMALL),
        float: _leaf(_number, _number, "type({v}) is float and isfinite({v})"),
        bool: _leaf(_truth, _truth, "{v} is True or {v} is False"),
        type(None): _leaf(_nothing, _nothing, "{v} is None"),
        UUID: _leaf(_uuid, _uuid_of, "type({v}) is UUID"),
        Decimal: _leaf(_decimal, _decimal_of, f"type({{v}}) is Decimal and {_FINITE}", _FINITE),
        datetime: _leaf(_instant, _instant_of, f"type({{v}}) is datetime and {_IN_UTC}", _IN_UTC),
        date: _leaf(_date, _date_of, "type({v}) is date"),
    }
)
"""The form of each type without parts."""
