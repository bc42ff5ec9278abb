"""Events in the log: one structured line each, without secrets and with personal values masked.

The standard library is enough. With the extra `logging`, hand in a logger of structlog:
`LoggingEventHandler(structlog.get_logger())`.
"""

import json
import logging
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from dashtam_events.adapters._names import snake_name
from dashtam_events.bus.protocol import EventContext
from dashtam_events.declaration import LogLevel
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.privacy import redact

__all__ = ["KeyValueFormatter", "LoggingEventHandler", "StructuredLogger"]

_LEVELS: Mapping[LogLevel, int] = {level: getattr(logging, level.name) for level in LogLevel}
_TRACED = ("correlation_id", "causation_id", "trace_id", "span_id")
# What log records of any supported Python carry, and what structlog's processors write.
_RECORD = frozenset((*vars(logging.makeLogRecord({})), "asctime", "message", "taskName"))
_STRUCTLOG = """
    event exception func_name level level_number logger logger_name positional_args process_name
    qual_module qual_name stack stacklevel thread_name timestamp
"""
_TAKEN = _RECORD | frozenset(_STRUCTLOG.split())
_OWN = frozenset((*_TRACED, "event_type", "position", "stream", "version"))
_SAFE = re.compile(r"[\w.:/+@%*-]+", re.ASCII)


class StructuredLogger(Protocol):
    """A logger that takes fields as keywords, as those of structlog do."""

    def log(self, level: int, event: str, /, **fields: Any) -> Any:
        """Write one line at a level of the standard library."""
        ...


class LoggingEventHandler:
    """Logs each event at the level that it declares.

    The message is the event's name in snake case, and nothing else: `session_created`. The rest
    are fields beside it, at the top level of a JSON line, so that `user_id` is searched for in
    the same way here as in the service's other lines: `event_type`, `event_id`, `occurred_at`,
    those of the event (personal ones masked, secrets not at all), and where they are known
    `correlation_id`, `causation_id`, `trace_id`, `span_id`, `position`, `stream` and `version`.
    Ids, times and decimals are text. A field whose name a log record or one of these has taken
    gets an underscore behind it: `name` is logged as `name_`. Names that a service's own log
    record factory takes count too, if it is set before the handler is made.

    Args:
        logger: of the standard library (by default `dashtam_events.events`) or of structlog.

    Raises:
        TypeError: the logger is a `logging.LoggerAdapter`, which throws fields away.
    """

    def __init__(self, logger: logging.Logger | StructuredLogger | None = None) -> None:
        if isinstance(logger, logging.LoggerAdapter):
            raise TypeError("a LoggerAdapter throws fields away: pass its .logger")
        self._logger = logger or logging.getLogger("dashtam_events.events")
        self._taken = _TAKEN
        if isinstance(self._logger, logging.Logger):
            self._taken |= vars(logging.getLogRecordFactory()("", 0, "", 0, "", (), None)).keys()

    async def __call__(self, event: DomainEvent, context: EventContext) -> None:
        """Log one event.

        Raises:
            InvalidEventClass: its class is not decorated with `event`.
        """
        spec, logger = spec_of(type(event)), self._logger
        level = _LEVELS[spec.log_level]
        if isinstance(logger, logging.Logger) and not logger.isEnabledFor(level):
            return
        fields = {"event_type": spec.name} | self._apart(redact(event)) | _circumstances(context)
        if isinstance(logger, logging.Logger):
            logger.log(level, snake_name(spec.name), extra=fields)
        else:
            logger.log(level, snake_name(spec.name), **fields)

    def _apart(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The event's own fields as plain values, each under a name that nothing else has."""
        plain: dict[str, Any] = {}
        for name, value in fields.items():
            key = name
            while key in self._taken or key in _OWN or (key != name and key in fields):
                key += "_"
            plain[key] = _plain(value)
        return plain


class KeyValueFormatter(logging.Formatter):
    """The line of a `logging.Formatter`, followed by every extra field as `key=value`.

    For people at a terminal. A value that is not one plain word is written as JSON, so no value
    can begin a line of its own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # as the base class has it
        """The line with its fields; a traceback follows below."""
        extra = {key: value for key, value in vars(record).items() if key not in _RECORD}
        pairs = (f"{key}={_word(value)}" for key, value in extra.items())
        return " ".join((super().formatMessage(record), *pairs))


def _circumstances(context: EventContext) -> dict[str, Any]:
    found = {name: getattr(context.metadata, name) for name in _TRACED}
    if (kept := context.recorded) is not None:
        found |= {"position": kept.position, "stream": str(kept.stream), "version": kept.version}
    return {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    """A value as every formatter of JSON takes it."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _word(value: Any) -> str:
    if isinstance(value, str) and _SAFE.fullmatch(value):
        return value
    return json.dumps(value, default=str)
