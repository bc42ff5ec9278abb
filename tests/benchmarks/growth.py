"""How cost grows: what one item costs as there is more of everything around it."""

import statistics
from collections.abc import Callable, Sequence
from itertools import accumulate
from operator import truediv

import attrs

__all__ = ["Average", "Curve", "Growth", "Point", "least", "measured"]

Average = Callable[[Sequence[float]], float]


@attrs.frozen
class Point:
    """What one item costs, where there are `size` of what the curve is about.

    `plain` is what it costs there without what the curve is about, where that can be said.
    """

    size: int
    cost: float
    plain: float | None = None


@attrs.frozen(kw_only=True)
class Curve:
    """One question: `sample` does the work at a size and returns the cost of an item.

    `most` is how many times as much an item may cost at any size as at the best of the smaller
    ones. Where a mistake would cost the same at every size that shows nothing; `plain` then does
    as many items without what the curve is about, and `most` is how many times as much an item
    may cost as there. `quick` are the sizes of a quick run; `guarded` says that the guard measures
    it at those, which is to take no more than a few seconds.
    """

    name: str
    along: str
    unit: str = "µs"
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    sample: Callable[[int], float]
    plain: Callable[[int], float] | None = None
    most: float = 2.0
    rounds: int = 3
    guarded: bool = True


@attrs.frozen(kw_only=True)
class Growth:
    """The answer: what an item costs by size."""

    name: str
    along: str
    unit: str
    points: tuple[Point, ...]
    most: float

    @property
    def growth(self) -> float:
        """How many times as much an item costs, at the worst size, as what it is compared with.

        Without `plain` that is the least at any smaller size: what rises and falls again has
        grown too, and what is dear where it is small, sharing a cost among few, hides nothing.
        """
        beside = [point.cost / point.plain for point in self.points if point.plain]
        costs = [point.cost for point in self.points]
        return max(beside or map(truediv, costs[1:], accumulate(costs, min)))

    @property
    def met(self) -> bool:
        """True where it stays within its bound."""
        return self.growth <= self.most


def measured(curve: Curve, *, quick: bool, average: Average = statistics.median) -> Growth:
    """A few rounds, in each of which all sizes have their turn, in one figure for each size."""
    sizes = curve.quick if quick else curve.sizes
    rounds = [[_point(curve, size) for size in sizes] for _ in range(curve.rounds)]
    return Growth(
        name=curve.name,
        along=curve.along,
        unit=curve.unit,
        points=tuple(_averaged(same, average) for same in zip(*rounds, strict=True)),
        most=curve.most,
    )


def least(one: Growth, other: Growth) -> Growth:
    """The less that each size cost in two answers to the same question."""
    pairs = zip(one.points, other.points, strict=True)
    return attrs.evolve(one, points=tuple(_averaged(same, min) for same in pairs))


def _point(curve: Curve, size: int) -> Point:
    return Point(size, curve.sample(size), curve.plain and curve.plain(size))


def _averaged(points: Sequence[Point], average: Average) -> Point:
    """One of the same size."""
    plain = [point.plain for point in points if point.plain is not None]
    cost = average([point.cost for point in points])
    return Point(points[0].size, cost, average(plain) if plain else None)
