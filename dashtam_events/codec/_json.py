"""JSON in one reading only: what two parsers could take differently is refused."""

import json
from math import isfinite
from typing import Any, NoReturn

import msgspec

from dashtam_events.codec._forms import Mismatch
from dashtam_events.codec._leaves import LEAVES, text

__all__ = ["dumps", "dumps_sorted", "parse"]

dumps = msgspec.json.Encoder().encode
"""Write what the forms give as JSON, in the order of the fields."""

dumps_sorted = msgspec.json.Encoder(order="sorted").encode
"""Write what the forms give as JSON, in the order of the keys: the same value, the same bytes."""


def parse(data: bytes) -> dict[str, Any]:
    """Parse a JSON object (RFC 8259, and strict where it leaves a choice).

    Raises:
        Mismatch: it is no JSON object in UTF-8; a key comes twice; a number is not finite or an
            integer is beyond 2**53 - 1; a string holds NUL or a lone surrogate.
    """
    try:
        raw = _PARSER.decode(data.decode("utf-8"))
        if b"\\u" in data:
            _refuse_texts(raw)
    except Mismatch:
        raise
    except (ValueError, RecursionError):
        raise Mismatch("a JSON object in UTF-8") from None
    if not isinstance(raw, dict):
        raise Mismatch("a JSON object in UTF-8")
    return raw


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Mismatch("each key once")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise Mismatch("finite numbers")
    return number


def _exact(digits: str) -> Any:
    if len(digits) > 17:
        raise Mismatch("integers between -(2**53 - 1) and 2**53 - 1")
    return LEAVES[int].decode(int(digits))


def _constant(_name: str) -> NoReturn:
    raise Mismatch("finite numbers")


def _refuse_texts(raw: Any) -> None:
    if isinstance(raw, str):
        text(raw)
    elif isinstance(raw, dict):
        for key, value in raw.items():
            text(key)
            _refuse_texts(value)
    elif isinstance(raw, list):
        for item in raw:
            _refuse_texts(item)


_PARSER = json.JSONDecoder(
    object_pairs_hook=_once, parse_float=_finite, parse_int=_exact, parse_constant=_constant
)
