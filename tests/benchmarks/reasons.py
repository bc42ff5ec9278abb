"""Why a target is not met, where it is not: what profiles showed, and parts measured anew."""

from collections.abc import Iterator, Sequence

import attrs

from tests.benchmarks.growth import Growth
from tests.benchmarks.harness import Outcome
from tests.benchmarks.parts import PARTS, Part

__all__ = ["REASONS", "Reason", "reasons"]


@attrs.frozen
class Reason:
    """Why one row, or one curve, is over its target; where known, the parts of what it costs."""

    name: str
    why: str
    parts: tuple[Part, ...] = ()


_THREAD = (
    "the store writes in a thread of its own, so that the event loop never waits for the disk. A "
    "save crosses over and back: two threads have to wake up, which takes some tens of "
    "microseconds on an idle machine and many more on one whose processors are all busy. By hand "
    "the loop stands still instead."
)
_READING = (
    "ours fetches more of an event than its data and version. What is decoded is written again, "
    "and compared with what was read, which proves that nothing was coerced. Around the event a "
    "recorded event is made: its stream, version, position and time, and the check that its id is "
    "that of its row. Rows are selected in a thread, page by page, and handed over; what a page "
    "holds is looked through by the garbage collector meanwhile. By hand none of this is done."
)
_IN_THE_DATABASE = (
    "part of the difference is spent in the database. It keeps two more indexes there, by type and "
    "by subject, and the time of recording and the metadata with each event, and its function "
    "numbers several appends at once, whichever of them it must refuse: so it has nineteen "
    "arguments, which the driver writes. The rest is spent in the process: the aggregate applies "
    "what it records, a task of the store's own takes what waits and is not cut by a cancellation, "
    "which is two more turns of the event loop, and the recorded events are handed back. The round "
    "trip, the commit and the function by hand are in the figure of the limit too."
)
REASONS: dict[str, str] = {
    "SQLite append, 10 events a save": _THREAD,
    "SQLite append, 1 event a save": _THREAD,
    "SQLite append, 50 tasks at once": (
        "the commit is shared, as by hand, and what remains is done for each save alone: its "
        "arguments are checked and its values looked at, the head of its stream is compared with "
        "what it expects, so that it can be refused without the others, two more indexes are "
        "kept, and its task hears what was recorded. Nearly all of it is Python, of which the loop "
        "and the thread that writes run one at a time. By hand a save is a tuple and a future."
    ),
    "rebuild an aggregate of 1,000 events": _READING,
    "read the whole log, decoded": _READING,
    "PostgreSQL append, 10 events a save": _IN_THE_DATABASE,
    "PostgreSQL append, 1 event a save": _IN_THE_DATABASE,
    "encode one event": (
        "by hand the values are written as they are. Ours looks at each of them first, because "
        "what could not be read back must not be stored: the exact type, that a time has a zone "
        "and a number is finite, and that no text holds what JSON cannot."
    ),
    "decode one event": (
        "the event is decoded as by hand, and then written again and compared with what was read: "
        "that is how nothing is coerced, at half the price of looking at each value. The limit of "
        "size and the version of the schema are looked at too."
    ),
    "PostgreSQL append, 32 tasks at once": _IN_THE_DATABASE,
    "SSE, encode one event": (
        "by hand the data are written as they are. Ours looks at each key and value first, because "
        "a browser cuts or changes without a word what it does not like, and at the id and type."
    ),
    "construct an event": (
        "the class is made by attrs as it is by hand, with the same validators. In ours a time "
        "goes through a converter too, which keeps the offset of a named zone instead of its name."
    ),
    "import, above asyncio": (
        "three fifths of it are the modules of the stores, of the codec and of the bus, a fifth is "
        "attrs. Extras, SQLAlchemy and cattrs are loaded where they are asked for."
    ),
}
"""By the name of the row or curve; shown only where its target is not met."""

_UNEXPLAINED = "it was over it in this run; on a busy machine, look again before you look into it."


def reasons(measured: Sequence[Outcome | Growth]) -> Iterator[Reason]:
    """One for each that is over its target; its parts are measured now."""
    for each in measured:
        if not each.met:
            parts = PARTS[each.name]() if each.name in PARTS else ()
            yield Reason(each.name, REASONS.get(each.name, _UNEXPLAINED), tuple(parts))
