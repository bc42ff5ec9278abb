"""How cost grows: what one item costs as there is more of everything around it."""

import statistics
from collections.abc import Callable

import attrs

__all__ = ["Curve", "Growth", "Point", "measured"]


@attrs.frozen
class Point:
    """What one item costs, where there are `size` of what the curve is about."""

    size: int
    cost: float


@attrs.frozen(kw_only=True)
class Curve:
    """One question: `sample` does the work at a size and returns the cost of an item.

    `most` is how many times as much an item may cost at the largest size as at the smallest.
    """

    name: str
    along: str
    unit: str = "µs"
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    sample: Callable[[int], float]
    most: float = 2.0
    rounds: int = 3


@attrs.frozen(kw_only=True)
class Growth:
    """The answer: medians by size."""

    name: str
    along: str
    unit: str
    points: tuple[Point, ...]
    most: float

    @property
    def growth(self) -> float:
        """How many times as much an item costs at the largest size as at the smallest."""
        return self.points[-1].cost / self.points[0].cost

    @property
    def met(self) -> bool:
        """True where it stays within its bound."""
        return self.growth <= self.most


def measured(curve: Curve, *, quick: bool) -> Growth:
    """The medians of a few rounds, in each of which all sizes have their turn."""
    sizes = curve.quick if quick else curve.sizes
    rounds = [[curve.sample(size) for size in sizes] for _ in range(curve.rounds)]
    medians = map(statistics.median, zip(*rounds, strict=True))
    return Growth(
        name=curve.name,
        along=curve.along,
        unit=curve.unit,
        points=tuple(map(Point, sizes, medians)),
        most=curve.most,
    )
