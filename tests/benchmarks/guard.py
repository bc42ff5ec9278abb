"""The guard: a ratio to the limit that is half as much again as it was is a regression."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
    known = _known(json.loads(baseline.read_text(encoding="utf-8")))
    for row, outcome in zip(rows, outcomes, strict=True):
        was, least = known.get(row.name), _to_limit(outcome)
        if was is None or least is None:
            continue
        for _ in range(_LOOKS):
            if least <= _FAR * was:
                break
            least = min(least, _to_limit(measure(row, rounds)) or least)
        if least > _FAR * was:
            yield f"{row.name}: {least:.2f} times the limit at the least, {was:.2f} before"


def _to_limit(outcome: Outcome) -> float | None:
    return outcome.ours / outcome.limit if outcome.limit else None


def _known(result: dict[str, Any]) -> dict[str, float]:
    """The ratios of an earlier run, by row."""
    return {row["name"]: row["ours"] / row["limit"] for row in result["rows"] if row["limit"]}
