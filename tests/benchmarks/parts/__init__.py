"""Where the time of a row goes: its parts, measured one by one, and what is left of the whole."""

from collections.abc import Callable, Sequence

from tests.benchmarks.parts.codec import decoding, encoding
from tests.benchmarks.parts.events import constructing, framing
from tests.benchmarks.parts.part import Part
from tests.benchmarks.parts.postgres import appending
from tests.benchmarks.parts.sqlite import appending_at_once, reading_the_log, rebuilding

__all__ = ["PARTS", "Part"]

PARTS: dict[str, Callable[[], Sequence[Part]]] = {
    "SQLite append, 50 tasks at once": appending_at_once,
    "rebuild an aggregate of 1,000 events": rebuilding,
    "read the whole log, decoded": reading_the_log,
    "PostgreSQL append, 10 events a save": lambda: appending(10),
    "PostgreSQL append, 1 event a save": lambda: appending(1),
    "encode one event": encoding,
    "decode one event": decoding,
    "SSE, encode one event": framing,
    "construct an event": constructing,
}
"""By the row of the table that they explain; together they are what it costs."""
