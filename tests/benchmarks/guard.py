"""The guard: a ratio to the limit that is half as much again as it was is a regression.

Of the import a seventh more is one: little of what it costs is ours.

It counts processor time, also that of the database's server where a row has one. The ratio is that
of the best rounds or that of the medians, whichever is less: on a busy machine the limit may have
one lucky round that ours never has, or the medians may be of different moments, but seldom both.
Waiting shows by the clock alone, within wide bounds. Curves have bounds of their own.

What is over its bound is a suspect, which is measured again, at most five times, until
either ratio acquits it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from tests.benchmarks.growth import Curve, Growth, least, measured
from tests.benchmarks.harness import Outcome, Row, measure

__all__ = ["BASELINE", "growing", "regressions", "stalls", "unmatched"]

BASELINE = Path(__file__).with_name("baseline.json")
"""What `--baseline` measured."""

_MUCH_BY_THE_CLOCK, _FAR_BY_THE_CLOCK = 4.0, 3.0
_LOOKS = 5


def unmatched(rows: Sequence[Row], baseline: Path = BASELINE) -> Iterator[str]:
    """A sentence for each row that the baseline does not know, and for each that is there no more.

    Only rows with a limit are in it: without one nothing is known that holds on another machine.
    """
    known, given = _baseline(baseline).keys(), {row.name for row in rows if row.limit}
    yield from (f"{name}: is not in the baseline" for name in sorted(given - known))
    yield from (f"{name}: is in the baseline, and no row" for name in sorted(known - given))


def regressions(
    rows: Sequence[Row], outcomes: Iterable[Outcome], rounds: int, baseline: Path = BASELINE
) -> Iterator[str]:
    """A sentence for each row whose ratio is far over what it was."""
    before = _baseline(baseline)
    for row, outcome in zip(rows, outcomes, strict=True):
        was = before[row.name]
        ratio = _looked_at(row, outcome, rounds, row.far * was)
        if ratio > row.far * was:
            yield f"{row.name}: {ratio:.2f} times the limit, {was:.2f} before"


def stalls(rows: Sequence[Row], rounds: int, baseline: Path = BASELINE) -> Iterator[str]:
    """A sentence for each row that takes many times as long as by hand, by the clock.

    Processor time does not show that something waits: for a disk, a lock or a timer. The clock
    does, and everything else the machine is at; so the bound is wide: three times what the ratio
    was in processor time, and no less than four.
    """
    before = _baseline(baseline)
    for row in rows:
        bound = max(_MUCH_BY_THE_CLOCK, _FAR_BY_THE_CLOCK * before[row.name])
        ratio = _looked_at(row, measure(row, rounds), rounds, bound)
        if ratio > bound:
            yield f"{row.name}: {ratio:.2f} times the limit by the clock"


def growing(curves: Sequence[Curve], growths: Iterable[Growth]) -> Iterator[str]:
    """A sentence for each curve that grows by more than its bound, at its quick sizes."""
    for curve, growth in zip(curves, growths, strict=True):
        best = growth
        for _ in range(_LOOKS):
            if best.met:
                break
            best = least(best, measured(curve, quick=True, average=min))
        if not best.met:
            yield f"{best.name}: {best.growth:.2f} times as much, at most {best.most:g} is allowed"


def _baseline(path: Path) -> Mapping[str, float]:
    """What the ratio was, by the name of the row."""
    known = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {each["name"]: min(_ratio(each), _ratio(each["least"])) for each in known}


def _ratio(costs: Mapping[str, float]) -> float:
    return costs["ours"] / costs["limit"]


def _looked_at(row: Row, first: Outcome, rounds: int, bound: float) -> float:
    """The ratio, after as many looks as it takes to get below the bound."""
    least, ratio = first.least, min(_ratio(attrs.asdict(first)), _ratio(first.least))
    for _ in range(_LOOKS):
        if ratio <= bound:
            break
        again = measure(row, rounds)
        least = {way: min(cost, again.least[way]) for way, cost in least.items()}
        ratio = min(ratio, _ratio(attrs.asdict(again)), _ratio(least))
    return ratio
