"""How large, deep and long an event may be: measured before anything parses it."""

import attrs

from dashtam_events.errors import LimitExceeded

__all__ = ["Limits"]

_GLANCES = (32 * 1024, 256 * 1024)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_SPACES = b" \t\r\n"


@attrs.frozen(kw_only=True)
class Limits:
    """What the codec takes, on the way in and on the way out.

    `max_bytes` of JSON, arrays and objects nested `max_depth` deep, `max_items` members and
    items in all of them together. What is over a limit is refused before it is parsed.
    """

    max_bytes: int = 1024 * 1024
    max_depth: int = 64
    max_items: int = 10_000

    def check(self, event_type: str, data: bytes) -> None:
        """Refuse JSON that is over a limit; text that is no JSON is for the parser to refuse.

        Raises:
            LimitExceeded: `limit` says which.
        """
        if len(data) > self.max_bytes:
            raise LimitExceeded(event_type, "size in bytes", self.max_bytes)
        if len(data) <= self.max_items and data.count(b"{") + data.count(b"[") <= self.max_depth:
            return  # each item but the first of its array takes two bytes: a comma and itself
        if self._may_exceed(data):
            # Most of what is refused is refused for its beginning.
            for size in _GLANCES:
                if len(data) > size:
                    self._check_exactly(event_type, data[:size])
            self._check_exactly(event_type, data)

    def _may_exceed(self, data: bytes) -> bool:
        glance = data[: _GLANCES[0]]
        brackets = glance.count(b"{") + glance.count(b"[")
        if len(glance) < len(data) and brackets <= self.max_depth:
            brackets = data.count(b"{") + data.count(b"[")
        if brackets > self.max_depth:
            return True
        return data.count(b",") + brackets > self.max_items

    def _check_exactly(self, event_type: str, data: bytes) -> None:
        # An item has two strings at most, its key and itself.
        if data.count(b'"') - data.count(b'\\"') > 4 * self.max_items + 4:
            raise LimitExceeded(event_type, "number of items", self.max_items)
        bare = _without_strings(data).translate(_BRACKETS, _SPACES)
        items = bare.count(b",") + bare.count(b"[") - bare.count(b"[]")
        if items > self.max_items:
            raise LimitExceeded(event_type, "number of items", self.max_items)
        depth = 0
        for bracket in bare.translate(None, _NOT_BRACKETS):
            depth += 1 if bracket == ord("[") else -1
            if depth > self.max_depth:
                raise LimitExceeded(event_type, "depth", self.max_depth)


def _without_strings(data: bytes) -> bytes:
    """The JSON with each string as one quotation mark (and the last as it is, if cut off)."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b'"'.join(data.split(b'"')[::2])
