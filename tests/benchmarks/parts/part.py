"""A part of what a row costs, and how one that is done in this thread alone is measured."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import Any

import attrs

__all__ = ["ROUNDS", "Part", "Stopwatch", "Work", "completed", "least"]

ROUNDS = 21
Work = tuple[Callable[[Any], object], Sequence[Any]]
"""What is done, and to which items in turn."""


@attrs.frozen
class Part:
    """What is done, and how many microseconds of an event's time it takes."""

    name: str
    cost: float


class Stopwatch:
    """Keeps how long it takes, each time, what is done under it."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        begun = perf_counter()
        yield
        self._seconds.append(perf_counter() - begun)

    @property
    def middle(self) -> float:
        """The median, in microseconds."""
        return median(self._seconds) * 1e6


def completed(parts: Sequence[Part], rest: str, whole: float) -> list[Part]:
    """The parts, and what is left of the whole as one more."""
    return [*parts, Part(rest, whole - sum(part.cost for part in parts))]


def least(*works: Work) -> list[float]:
    """Microseconds an item, for each kind of work; the best of some rounds, which take turns."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for (work, items), seconds in zip(works, taken, strict=True):
            begun = perf_counter()
            kept = [work(item) for item in items]
            seconds.append((perf_counter() - begun) / len(kept))
    return [min(seconds) * 1e6 for seconds in taken]
