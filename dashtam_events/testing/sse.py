"""A reader of `text/event-stream` that does what WHATWG HTML, 9.2.6, says, and no more."""

import codecs
import re

import attrs

__all__ = ["ReceivedEvent", "SSEParser", "parse_sse"]

_LINE_END = re.compile(r"\r\n|\n|\r")
_DIGITS = re.compile(r"[0-9]{1,18}")


@attrs.frozen(kw_only=True)
class ReceivedEvent:
    """An event as a browser hands it to its listeners.

    `id` is the last event id so far, whichever block it came in; `retry` (milliseconds) is the
    waiting time that this very block named.
    """

    id: str
    type: str
    data: str
    retry: int | None = None


class SSEParser:
    """Takes the bytes of a stream, cut anywhere, and gives the events that are complete.

    `last_event_id` is what a client would come back with, `retry` the waiting time that the
    stream named last (milliseconds; None: it has not). What follows the last blank line is never
    an event: at the end of a stream it is dropped.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._text = ""
        self._at_start = True
        self._after_cr = False
        self._id_seen = ""
        self.last_event_id: str = ""
        self.retry: int | None = None
        self._begin_block()

    def feed(self, chunk: bytes) -> list[ReceivedEvent]:
        """The events that this piece of the stream completes, in order."""
        return [event for line in self._lines(chunk) if (event := self._take(line)) is not None]

    def _begin_block(self) -> None:
        self._type = ""
        self._data: list[str] = []
        self._block_retry: int | None = None

    def _lines(self, chunk: bytes) -> list[str]:
        text = self._decoder.decode(chunk)
        if text and self._at_start:
            self._at_start = False
            text = text.removeprefix("\N{BYTE ORDER MARK}")
        if text and self._after_cr:
            # The line ended with the CR already; this is the other half of its CRLF.
            text = text.removeprefix("\n")
            self._after_cr = False
        self._after_cr = self._after_cr or text.endswith("\r")
        *lines, self._text = _LINE_END.split(self._text + text)
        return lines

    def _take(self, line: str) -> ReceivedEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        self._field(name, value.removeprefix(" "))
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id_seen = value
        elif name == "retry" and _DIGITS.fullmatch(value):
            self.retry = self._block_retry = int(value)

    def _dispatch(self) -> ReceivedEvent | None:
        self.last_event_id = self._id_seen
        event = None
        if self._data:
            event = ReceivedEvent(
                id=self.last_event_id,
                type=self._type or "message",
                data="\n".join(self._data),
                retry=self._block_retry,
            )
        self._begin_block()
        return event


def parse_sse(stream: bytes) -> list[ReceivedEvent]:
    """All the complete events of a stream."""
    return SSEParser().feed(stream)
