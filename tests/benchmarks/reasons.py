"""Why a target is not met, where it is not: what a profile showed, row by row."""

from collections.abc import Iterator, Sequence

import attrs

from tests.benchmarks.growth import Growth
from tests.benchmarks.harness import Outcome

__all__ = ["REASONS", "Reason", "reasons"]


@attrs.frozen
class Reason:
    """Why one row, or one curve, is over its target."""

    name: str
    why: str


_THREAD = (
    "the store writes in a thread of its own, so that the event loop never waits for the disk. A "
    "save crosses over and back: two threads have to wake up, which takes some tens of "
    "microseconds on an idle machine and many more on one whose processors are all busy. By hand "
    "the loop stands still instead."
)
_READING = (
    "of each event, about 1.3 µs go into fetching its ten columns (by hand 0.4, for two), 3.8 into "
    "decoding it, which proves that its bytes are what would be written again (by hand 2.1), and "
    "3.4 into the recorded event around it: its stream, version, position and time, and the check "
    "that its id is that of its row. By hand none of that is made. Pages are read in a thread, "
    "and handed over."
)
_IN_THE_DATABASE = (
    "all but a few microseconds of the difference are spent in the database. It keeps two more "
    "indexes there, by type and by subject, and the time of recording and the metadata with each "
    "event, and its function numbers several appends at once, whichever of them it must refuse."
)
REASONS: dict[str, str] = {
    "SQLite append, 10 events a save": _THREAD,
    "SQLite append, 1 event a save": _THREAD,
    "SQLite append, 50 tasks at once": (
        "by hand it is known which ten saves belong together. Ours commits what waits by the time "
        "that the commit before has ended, and each save answers to a task of its own, which has "
        "to be woken up."
    ),
    "rebuild an aggregate of 1,000 events": f"{_READING} The fold adds 0.2.",
    "read the whole log, decoded": _READING,
    "PostgreSQL append, 10 events a save": _IN_THE_DATABASE,
    "PostgreSQL append, 1 event a save": _IN_THE_DATABASE,
    "encode one event": (
        "by hand the values are written as they are. Ours looks at each of them first, because "
        "what could not be read back must not be stored: the exact type, the length of the text, "
        "and that a time has a zone."
    ),
    "decode one event": (
        "the event is decoded as by hand, and then written again and compared with what was read: "
        "that is how nothing is coerced, at half the price of looking at each value."
    ),
    "import, above asyncio": (
        "a third of it is attrs, msgspec and logging, which everything stands on; the rest are "
        "the modules of the stores, of the codec and of the bus. Extras, SQLAlchemy and cattrs "
        "are loaded where they are asked for."
    ),
}
"""By the name of the row or curve; shown only where its target is not met."""

_UNEXPLAINED = "it was over it in this run, and nobody has looked into why."


def reasons(measured: Sequence[Outcome | Growth]) -> Iterator[Reason]:
    """One for each that is over its target."""
    for each in measured:
        if not each.met:
            yield Reason(each.name, REASONS.get(each.name, _UNEXPLAINED))
