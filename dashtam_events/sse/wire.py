"""The bytes of `text/event-stream` (WHATWG HTML, 9.2), and what may not become any.

A client strips or cuts what it does not like and says nothing, so everything doubtful is
refused here. A frame is always whole: an id, a type and one line of JSON.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec

from dashtam_events._frozen import FrozenDict
from dashtam_events.errors import SSEEncodingError
from dashtam_events.sse._checks import fault_of

__all__ = ["check_type", "comment", "encode_data", "frame"]

_RESERVED = frozenset({"error", "message", "open"})
_VISIBLE = re.compile(r"[\x21-\x7e]{1,128}")
_COMMENT = re.compile(r"[\x20-\x7e]*")
_MAX_RETRY = 2**31 - 1


def _plain(value: Any) -> Any:
    return dict(value.items())


_encoder = msgspec.json.Encoder(enc_hook=_plain, decimal_format="string")


def encode_data(data: Mapping[str, Any]) -> bytes:
    """The data of an event as one line of JSON.

    UUIDs, aware datetimes, dates and Decimals become text, enums their value, tuples arrays.

    Raises:
        SSEEncodingError: a value that JSON or a browser cannot carry; it names the path.
    """
    # That of an event is copied first: it is then looked at and encoded as a dict, which is quick.
    fields = dict(data.items()) if type(data) is FrozenDict else data
    fault = fault_of(fields)
    if fault is not None:
        raise SSEEncodingError(f"data{fault[0]}", fault[1])
    return _encoder.encode(fields if type(fields) is dict else dict(fields.items()))


def check_type(event_type: str) -> None:
    """Refuse a type that a client would change, cut or take for its own.

    `EventSource` sends `error`, `message` and `open` to its listeners itself.

    Raises:
        SSEEncodingError: it is reserved, or not 1 to 128 visible ASCII characters.
    """
    _check_visible(event_type, "event_type")
    if event_type in _RESERVED:
        raise SSEEncodingError("event_type", "a type that no browser reserves for itself")


def frame(
    *,
    event_id: UUID | str,
    event_type: str,
    data: Mapping[str, Any],
    retry: int | None = None,
) -> bytes:
    """One event on the wire.

    Args:
        event_id: what the client names when it comes back: a UUID, or 1 to 128 visible ASCII
            characters.
        event_type: what the client listens for; 1 to 128 visible ASCII characters, and none
            that browsers reserve.
        data: what `encode_data` can encode.
        retry: milliseconds that the client waits before it comes back.

    Raises:
        SSEEncodingError: the id, the type, the data or the waiting time cannot be sent as it is.
    """
    waiting = b"" if retry is None else _retry(retry)
    line = encode_data(data)
    return b"".join((waiting, b"id: ", _id(event_id), _between(event_type), line, b"\n\n"))


def comment(text: str = "") -> bytes:
    """A line that keeps a connection alive and that no client shows anybody.

    Raises:
        SSEEncodingError: the text is not printable ASCII on one line.
    """
    if not _COMMENT.fullmatch(text):
        raise SSEEncodingError("comment", "printable ASCII on one line")
    return f": {text}\n\n".encode("ascii")


def _id(event_id: UUID | str) -> bytes:
    if type(event_id) is UUID:
        # A quarter of what str(event_id) costs.
        return _encoder.encode(event_id)[1:-1]
    text = str(event_id)
    _check_visible(text, "event_id")
    return text.encode("ascii")


@lru_cache(maxsize=1024)
def _between(event_type: str) -> bytes:
    check_type(event_type)
    return f"\nevent: {event_type}\ndata: ".encode("ascii")


def _check_visible(text: str, path: str) -> None:
    if not _VISIBLE.fullmatch(text):
        raise SSEEncodingError(path, "1 to 128 visible ASCII characters")


def _retry(milliseconds: int) -> bytes:
    if type(milliseconds) is not int or not 0 <= milliseconds <= _MAX_RETRY:
        raise SSEEncodingError("retry", "milliseconds from 0, below 2**31")
    return b"retry: %d\n" % milliseconds
