"""The guard: a ratio to the limit that is half as much again as it was is a regression."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.harness import Outcome, Row, measure

__all__ = ["BASELINE", "regressions"]

BASELINE = Path(__file__).with_name("baseline.json")
"""The result of the run that the docs show."""

_FAR = 1.5
_LOOKS = 3


def regressions(
    rows: Sequence[Row], outcomes: Sequence[Outcome], rounds: int, baseline: Path = BASELINE
) -> list[str]:
    """The rows whose ratio is far over what it was, each time that they are looked at.

    What is measured in milliseconds, not as a ratio, says more about the machine, and is left
    out; and so is what the baseline does not know.
    """
    was = _ratios(json.loads(baseline.read_text(encoding="utf-8"))["rows"])
    suspects = [
        (row, _FAR * was[row.name])
        for row, outcome in zip(rows, outcomes, strict=True)
        if row.name in was and _over(outcome, _FAR * was[row.name])
    ]
    return [row.name for row, bound in suspects if _stays_over(row, bound, rounds)]


def _ratios(rows: Sequence[Mapping[str, float | str | None]]) -> dict[str, float]:
    return {
        str(row["name"]): float(row["ours"]) / float(row["limit"])
        for row in rows
        if row["limit"] and row["ours"]
    }


def _over(outcome: Outcome, bound: float) -> bool:
    return outcome.limit is not None and outcome.ours / outcome.limit > bound


def _stays_over(row: Row, bound: float, rounds: int) -> bool:
    return all(_over(measure([row], rounds)[0], bound) for _ in range(_LOOKS))
