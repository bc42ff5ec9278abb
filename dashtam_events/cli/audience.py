"""Who hears of the demo's events on the bus: a log with redaction, and a browser's event stream."""

import logging
from datetime import datetime
from uuid import UUID

from dashtam_events.bus import EventBus
from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.live import SSEEvent
from dashtam_events.cli.render import fields_of, name_of
from dashtam_events.event import DomainEvent, spec_of

__all__ = ["Audience", "short"]


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
        bus.subscribe(CATALOGUE, self.log)
        bus.subscribe(CATALOGUE.streamed(), self.stream)

    async def log(self, event: DomainEvent) -> None:
        """Write an event to the log: at the level it declares, with personal fields masked."""
        fields = {name: short(value) for name, value in fields_of(event).items()}
        facts = " ".join(f"{name}={value}" for name, value in fields.items() if value != "None")
        level = logging.getLevelNamesMapping()[spec_of(type(event)).log_level.upper()]
        self._logger.log(level, "%s %s", name_of(event), facts)

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
    """Keeps formatted lines in a list."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


def short(value: object) -> str:
    """A value as the demo shows it: of a UUID, the end that tells it from others."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%MZ}"
    return f"..{str(value)[-8:]}" if isinstance(value, UUID) else str(value)
