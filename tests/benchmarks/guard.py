"""The guard: a ratio to the limit that is half as much again as it was is a regression.

It counts processor time, and compares the best rounds: on a machine that others keep busy both
are nearly what they are on a quiet one. Waiting shows by the clock alone, within wide bounds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.harness import Outcome, Row, measure

__all__ = ["BASELINE", "regressions", "stalls"]

BASELINE = Path(__file__).with_name("baseline.json")
"""What `--baseline` measured."""

_FAR = 1.5
_MUCH_BY_THE_CLOCK = 4.0
_LOOKS = 10


def regressions(
    rows: Sequence[Row], outcomes: Sequence[Outcome], rounds: int, baseline: Path = BASELINE
) -> Iterator[str]:
    """A sentence for each row whose ratio is far over what it was, however often it is measured.

    A row without a limit has no ratio that holds on another machine, such as the milliseconds of
    an import: it is left out, and so is what the baseline does not know. A suspect is measured
    again, up to ten times, until the best of all rounds acquit it.
    """
    known = json.loads(baseline.read_text(encoding="utf-8"))["rows"]
    before = {each["name"]: each["least"] for each in known}
    for row, outcome in zip(rows, outcomes, strict=True):
        was = before.get(row.name, {})
        if "limit" not in was or "limit" not in outcome.least:
            continue
        bound = _FAR * _ratio(was)
        ratio = _ratio(_least(row, outcome.least, rounds, bound))
        if ratio > bound:
            yield f"{row.name}: {ratio:.2f} times the limit, {_ratio(was):.2f} before"


def stalls(rows: Sequence[Row], rounds: int) -> Iterator[str]:
    """A sentence for each row that takes many times as long as by hand, by the clock.

    Processor time does not show that something waits: for a disk, a lock or a timer. The clock
    does, and everything else the machine is at; so the bound is wide, and the best rounds count.
    """
    for row in rows:
        ratio = _ratio(_least(row, measure(row, rounds).least, rounds, _MUCH_BY_THE_CLOCK))
        if ratio > _MUCH_BY_THE_CLOCK:
            yield f"{row.name}: {ratio:.2f} times the limit by the clock"


def _ratio(least: Mapping[str, float]) -> float:
    return least["ours"] / least["limit"]


def _least(row: Row, least: Mapping[str, float], rounds: int, bound: float) -> Mapping[str, float]:
    """What the best rounds cost, of as many as it takes to get below the bound."""
    for _ in range(_LOOKS):
        if _ratio(least) <= bound:
            break
        again = measure(row, rounds).least
        least = {way: min(cost, again[way]) for way, cost in least.items()}
    return least
