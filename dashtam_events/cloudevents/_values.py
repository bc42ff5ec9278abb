"""What the attributes of a CloudEvent may hold (CloudEvents 1.0, "Type System")."""

import re

__all__ = ["INTEGERS", "instant", "is_source", "is_text", "trace_of", "traceparent"]

INTEGERS = range(-(2**31), 2**31)
"""The numbers that an attribute can hold."""

# Control characters, surrogates and noncharacters.
_BARRED = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(
        chr(plane + last) for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF)
    )
    + "]"
)
# RFC 3986, section 4.1, by its characters.
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
# RFC 3339, which lets the letters be small and the fraction be as long as it likes.
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:(\.[0-9]{1,6})[0-9]*)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
# W3C Trace Context, section 3.2: version ff and ids of zeros are invalid.
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_TRACEPARENT = re.compile(
    rf"(?!ff)[0-9a-f]{{2}}-({_TRACE_ID.pattern})-({_SPAN_ID.pattern})-[0-9a-f]{{2}}(?:-.*)?"
)


def is_text(value: str) -> bool:
    """Whether an attribute may hold a text."""
    return bool(value) and not _BARRED.search(value)


def is_source(value: str) -> bool:
    """Whether a text is a URI-reference that is not empty."""
    return _URI_REFERENCE.fullmatch(value) is not None


def instant(value: str) -> str | None:
    """A time of RFC 3339 as the codec reads it, to the microsecond; None where it is none."""
    found = _INSTANT.fullmatch(value)
    if found is None:
        return None
    day, time, fraction, offset = found.groups(default="")
    return f"{day}T{time}{fraction}{offset.upper()}"


def traceparent(trace_id: str | None, span_id: str | None) -> str | None:
    """The attribute of the extension for distributed tracing; None unless both ids are such."""
    if not (trace_id and span_id and _TRACE_ID.fullmatch(trace_id) and _SPAN_ID.fullmatch(span_id)):
        return None
    return f"00-{trace_id}-{span_id}-01"


def trace_of(value: str) -> tuple[str | None, str | None]:
    """The ids of trace and span; none of them where it is no `traceparent`."""
    found = _TRACEPARENT.fullmatch(value)
    return (None, None) if found is None else (found[1], found[2])
