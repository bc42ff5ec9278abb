"""Who hears of the demo's events on the bus: a log with redaction, and a browser's event stream."""

import logging
import re

from dashtam_events.adapters.logging import KeyValueFormatter, LoggingEventHandler
from dashtam_events.bus import EventBus
from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.live import SSEEvent
from dashtam_events.event import DomainEvent

__all__ = ["Audience", "short"]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SEEN = ("event_type", "event_id", "occurred_at", "position", "stream", "version")
"""Fields of a log line that the demo shows beside it anyway."""


class Audience:
    """Two handlers, and what came of them since anybody last asked."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._frames: list[str] = []
        self._logger = logging.getLogger("dashtam_events.demo")
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.handlers[:] = [_Lines(self._lines)]

    def listen(self, bus: EventBus) -> None:
        """Subscribe to all the events that there are."""
        bus.subscribe(CATALOGUE, LoggingEventHandler(self._logger))
        bus.subscribe(CATALOGUE.streamed(), self.stream)

    async def stream(self, event: DomainEvent) -> None:
        """Write an event as its subject's browser receives it."""
        told = SSEEvent.from_event(event)
        if told is not None:
            self._frames.append(told.to_sse_format().strip())

    def heard(self) -> tuple[list[str], list[str]]:
        """The log lines and the frames since the last call."""
        heard = self._lines.copy(), self._frames.copy()
        self._lines.clear()
        self._frames.clear()
        return heard


class _Lines(logging.Handler):
    """Keeps formatted lines in a list, less what is shown beside them."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.setFormatter(KeyValueFormatter("%(levelname)s %(message)s"))
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        for name in _SEEN:
            vars(record).pop(name, None)
        self._lines.append(short(self.format(record)))


def short(text: object) -> str:
    """A text in which only the end of each UUID is left, which tells it from others."""
    return _UUID.sub(lambda found: f"..{found[0][-8:]}", str(text))
