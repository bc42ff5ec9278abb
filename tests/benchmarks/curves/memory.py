"""How much memory it takes to go through everything that is stored, in a process of its own."""

import subprocess
import sys
from collections.abc import Callable

from tests.benchmarks.curves.filled import filled
from tests.benchmarks.growth import Curve

__all__ = ["OF_MEMORY"]

_SIZES, _QUICK = (10_000, 100_000, 1_000_000), (10_000, 50_000)


def _peak(way: str) -> Callable[[int], float]:
    """Samples of the peak of a new process that goes one of the `WAYS` through a file."""

    def sample(events: int) -> float:
        command = [sys.executable, "-m", "tests.benchmarks.curves.passing", way]
        passing = subprocess.run(
            [*command, str(filled(events)), str(events)],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        return float(passing.stdout.splitlines()[-1])

    return sample


def _curve(name: str, way: str) -> Curve:
    return Curve(
        name=f"peak memory of {name}",
        along="events in the file",
        unit="MiB",
        sizes=_SIZES,
        quick=_QUICK,
        sample=_peak(way),
        most=1.2,
        rounds=1,
    )


OF_MEMORY = (
    _curve("reading the log", "read"),
    _curve("writing a projection", "project"),
    _curve("exporting the log as JSON", "export"),
    _curve("copying the store", "copy"),
)
