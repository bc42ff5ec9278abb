"""The guard: a ratio to the limit that is half as much again as it was is a regression.

It looks at the best rounds: whatever else the machine does makes the others slower, and the
medians of a few short rounds with them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.harness import Outcome, Row, measure

__all__ = ["BASELINE", "regressions"]

BASELINE = Path(__file__).with_name("baseline.json")
"""The result of the run that the docs show."""

_FAR = 1.5
_LOOKS = 3


def regressions(
    rows: Sequence[Row], outcomes: Sequence[Outcome], rounds: int, baseline: Path = BASELINE
) -> Iterator[str]:
    """A sentence for each row whose ratio is far over what it was, however often it is measured.

    A row without a limit has no ratio that holds on another machine, such as the milliseconds of
    an import: it is left out, and so is what the baseline does not know. A suspect is measured
    again, up to three times: one good look acquits it.
    """
    known = json.loads(baseline.read_text(encoding="utf-8"))["rows"]
    before = {each["name"]: _to_limit(each["least"]) for each in known}
    for row, outcome in zip(rows, outcomes, strict=True):
        was, ratio = before.get(row.name), _to_limit(outcome.least)
        if was is None or ratio is None:
            continue
        for _ in range(_LOOKS):
            if ratio <= _FAR * was:
                break
            ratio = min(ratio, _to_limit(measure(row, rounds).least) or ratio)
        if ratio > _FAR * was:
            yield f"{row.name}: {ratio:.2f} times the limit at the least, {was:.2f} before"


def _to_limit(least: Mapping[str, float]) -> float | None:
    return least["ours"] / least["limit"] if "limit" in least else None
