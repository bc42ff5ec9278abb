"""What the JSON of a server-sent event may hold, and where in it stands what it may not."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from dashtam_events._frozen import FrozenDict

__all__ = ["fault_of"]

_MAX_DEPTH = 64
_MAX_INT = 2**53 - 1
_SOUND = frozenset({bool, type(None), UUID, date})

_Fault = tuple[str, str] | None
"""The path below a value and what was expected there; None where all is well."""


def fault_of(value: Any, depth: int = 0) -> _Fault:
    """The first thing in a value that the wire cannot carry, or None.

    Types are looked up exactly: an instance of a subclass of `str` or `datetime` may encode
    itself as anything. JavaScript reads numbers as doubles, so an integer has to fit into one.
    """
    kind = type(value)
    if kind in _SOUND:
        return None
    check = _CHECKS.get(kind)
    if check is None:
        check = _check_for(value)
    return check(value, depth)


def _check_for(value: Any) -> Callable[[Any, int], _Fault]:
    if isinstance(value, Enum):
        return _enum_fault
    if isinstance(value, Mapping):
        return _mapping_fault
    return _unknown_fault


def _text_fault(value: str, _depth: int) -> _Fault:
    return None if value.isascii() or _is_unicode(value) else ("", "text without lone surrogates")


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _int_fault(value: int, _depth: int) -> _Fault:
    return None if -_MAX_INT <= value <= _MAX_INT else ("", "an integer below 2**53, or text")


def _float_fault(value: float, _depth: int) -> _Fault:
    return None if math.isfinite(value) else ("", "a finite number")


def _decimal_fault(value: Decimal, _depth: int) -> _Fault:
    return None if value.is_finite() else ("", "a finite number")


def _datetime_fault(value: datetime, _depth: int) -> _Fault:
    aware = value.tzinfo is UTC or value.utcoffset() is not None
    return None if aware else ("", "a datetime with a timezone")


def _enum_fault(value: Enum, depth: int) -> _Fault:
    return fault_of(value.value, depth + 1)


def _unknown_fault(_value: Any, _depth: int) -> _Fault:
    return "", "text, a number, a UUID, a date, an enum, a list or a mapping"


def _mapping_fault(value: Mapping[Any, Any], depth: int) -> _Fault:
    if depth >= _MAX_DEPTH:
        return "", f"at most {_MAX_DEPTH} levels"
    for key, item in value.items():
        if type(key) is not str or not (key.isascii() or _is_unicode(key)):
            return "", "text without lone surrogates as every key"
        # The common values are seen to here: this loop is what encoding an event costs.
        kind = type(item)
        if kind is str:
            if item.isascii():
                continue
        elif kind in _SOUND or (kind is int and -_MAX_INT <= item <= _MAX_INT):
            continue
        check = _CHECKS.get(kind) or _check_for(item)
        fault = check(item, depth + 1)
        if fault is not None:
            return f".{key}{fault[0]}", fault[1]
    return None


def _sequence_fault(value: "list[Any] | tuple[Any, ...]", depth: int) -> _Fault:
    if depth >= _MAX_DEPTH:
        return "", f"at most {_MAX_DEPTH} levels"
    for index, item in enumerate(value):
        fault = fault_of(item, depth + 1)
        if fault is not None:
            return f"[{index}]{fault[0]}", fault[1]
    return None


_CHECKS: Mapping[type, Callable[[Any, int], _Fault]] = {
    str: _text_fault,
    int: _int_fault,
    float: _float_fault,
    Decimal: _decimal_fault,
    datetime: _datetime_fault,
    dict: _mapping_fault,
    FrozenDict: _mapping_fault,
    list: _sequence_fault,
    tuple: _sequence_fault,
}
