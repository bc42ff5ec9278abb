"""How a row is measured: limit, rival and ours take turns, round by round, in one process."""

import gc
import statistics
from collections.abc import Callable

import attrs

__all__ = ["Outcome", "Row", "Sample", "measure"]

Sample = Callable[[], float]
"""Does the work once and returns what one item of it cost, in the unit of the row."""


@attrs.frozen(kw_only=True)
class Row:
    """One kind of work, done three ways. `target` is the greatest ratio of ours to the limit.

    `against` says where it is not the limit that counts: `rival`, or `absolute` for the figure
    itself. `note` says what one of the three does that the others do not. `far` is how many times
    as large as before the ratio to the limit may become, until the guard takes it for a regression.
    """

    name: str
    unit: str = "µs"
    limit: Sample | None = None
    rival: Sample | None = None
    ours: Sample
    target: float
    against: str = "limit"
    note: str = ""
    far: float = 1.5


@attrs.frozen(kw_only=True)
class Outcome:
    """What a row cost: medians over the rounds, and the spread (interquartile range) of ours.

    `least` holds what each way cost in its best round, which says the same on a busy machine.
    """

    name: str
    unit: str
    limit: float | None
    rival: float | None
    ours: float
    spread: float
    target: float
    against: str
    note: str
    least: dict[str, float]

    @property
    def ratio(self) -> float | None:
        """Ours to the limit (or to the rival, where that is the measure); less is better."""
        reference = self.limit if self.against == "limit" else self.rival
        if self.against == "absolute":
            return self.ours
        return None if not reference else self.ours / reference

    @property
    def met(self) -> bool:
        """True where the target is reached."""
        return self.ratio is not None and self.ratio <= self.target


def measure(row: Row, rounds: int) -> Outcome:
    """Run a row `rounds` times, its ways in turn; the first time warms up and does not count."""
    ways = {"limit": row.limit, "rival": row.rival, "ours": row.ours}
    given = {name: way for name, way in ways.items() if way is not None}
    samples: dict[str, list[float]] = {name: [] for name in given}
    for turn in range(rounds + 1):
        for name, way in given.items():
            gc.collect()  # or one way pays for what another left behind
            sample = way()
            if turn:
                samples[name].append(sample)
    middle = {name: statistics.median(values) for name, values in samples.items()}
    quarters = statistics.quantiles(samples["ours"], n=4)
    return Outcome(
        name=row.name,
        unit=row.unit,
        limit=middle.get("limit"),
        rival=middle.get("rival"),
        ours=middle["ours"],
        spread=quarters[2] - quarters[0],
        target=row.target,
        against=row.against,
        note=row.note,
        least={name: min(values) for name, values in samples.items()},
    )
