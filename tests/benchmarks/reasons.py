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


REASONS: dict[str, str] = {}
"""By the name of the row or curve; shown only where its target is not met."""

_UNEXPLAINED = "it was over it in this run, and nobody has looked into why."


def reasons(measured: Sequence[Outcome | Growth]) -> Iterator[Reason]:
    """One for each that is over its target."""
    for each in measured:
        if not each.met:
            yield Reason(each.name, REASONS.get(each.name, _UNEXPLAINED))
