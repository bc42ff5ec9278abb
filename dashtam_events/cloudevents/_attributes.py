"""The members of a CloudEvent that came in, checked before anything is made of them."""

import re
from datetime import datetime
from typing import Any, Self, TypeVar
from uuid import UUID

from dashtam_events.cloudevents._values import INTEGERS, instant, is_source, is_text
from dashtam_events.codec._forms import Mismatch
from dashtam_events.codec._json import parse
from dashtam_events.codec._leaves import LEAVES
from dashtam_events.errors import DecodingError

__all__ = ["Attributes", "refusal"]

_T = TypeVar("_T")
_NAME = re.compile(r"[a-z0-9]+")
_JSON = re.compile(r"(application|text)/([a-z0-9.!#$&^_-]+\+)?json\s*(;.*)?", re.IGNORECASE)
_DATA = ("data", "data_base64")


def refusal(path: str, expected: str) -> DecodingError:
    """The error for a member of a CloudEvent; it shows nothing of what is there."""
    return DecodingError("CloudEvent", path, expected)


class Attributes:
    """What a CloudEvent says, each member asked for by its name and type."""

    def __init__(self, raw: dict[str, Any]) -> None:
        # JSON Event Format, section 2.2: null is the same as not being there.
        self._raw = {name: value for name, value in raw.items() if value is not None}

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The members of a CloudEvent 1.0 in JSON. Raises DecodingError."""
        attributes = cls(_parsed(data))
        attributes._check()
        return attributes

    def _check(self) -> None:
        if self._raw.get("specversion") != "1.0":
            raise refusal(".specversion", "'1.0'")
        for name, value in self._raw.items():
            if name not in _DATA:
                _check_attribute(name, value)
        if not is_source(self.required("source")):
            raise refusal(".source", "a URI-reference")
        if not _JSON.fullmatch(self.text("datacontenttype") or "application/json"):
            raise refusal(".datacontenttype", "a media type of JSON")
        if "data_base64" in self._raw:
            raise refusal(".data_base64", "nothing there, but JSON in data")

    def required(self, name: str) -> str:
        """A text that must be there."""
        value = self.text(name)
        if value is None:
            raise refusal(f".{name}", "a value, which is missing")
        return value

    def text(self, name: str) -> str | None:
        """A text, where there is one."""
        return self._of_type(name, str, "text")

    def number(self, name: str) -> int | None:
        """An integer, where there is one."""
        return self._of_type(name, int, "an integer")

    def _of_type(self, name: str, kind: type[_T], expected: str) -> _T | None:
        value = self._raw.get(name)
        if value is not None and type(value) is not kind:
            raise refusal(f".{name}", expected)
        return value

    def fields(self) -> dict[str, Any]:
        """The fields of the event in raw form, its identity among them."""
        identity = {
            "event_id": _checked("id", UUID, self.required("id")),
            "occurred_at": _checked("time", datetime, instant(self.required("time"))),
        }
        data = self._raw.get("data")
        if not isinstance(data, dict):
            raise refusal(".data", "an object")
        return identity | {name: value for name, value in data.items() if name not in identity}


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        return parse(data)
    except Mismatch as found:
        mismatch = found
    # Raised outside of the handler, so that no value hangs on to it.
    raise refusal(mismatch.path, mismatch.expected)


def _check_attribute(name: str, value: object) -> None:
    if not _NAME.fullmatch(name):
        raise refusal("", "names of attributes in small letters and digits")
    good = (
        is_text(value) if isinstance(value, str) else isinstance(value, int) and value in INTEGERS
    )
    if not good:
        shown = name if len(name) <= 20 else "?"
        expected = "text without control characters, a truth value, or an integer of 32 bits"
        raise refusal(f".{shown}", expected)


def _checked(name: str, kind: type, raw: str | None) -> str | None:
    """The text, where it is one of a type."""
    try:
        LEAVES[kind].decode(raw)
    except Mismatch as found:
        mismatch = found
    else:
        return raw
    raise refusal(f".{name}", mismatch.expected)
