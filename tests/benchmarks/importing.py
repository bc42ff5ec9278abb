"""What an import costs: in new processes, each of which has imported asyncio before."""

import os
import statistics
import subprocess
import sys

from tests.benchmarks.workload import counts_processor_time

__all__ = ["import_time"]

_TIMER = """
import {behind}
from time import {clock} as now
begun = now()
import {modules}
print((now() - begun) * 1e3)
"""


def import_time(modules: str, *, behind: str = "", runs: int = 3) -> float:
    """Milliseconds that `import` of these takes behind that of asyncio, and of others: the median.

    Where processor time is counted it is that of the new process, and the least: nothing in it
    waits for the others, and so what they disturb is only ever more.
    """
    before = f"asyncio, {behind}" if behind else "asyncio"
    if counts_processor_time():
        return min(_milliseconds(modules, before, "process_time") for _ in range(runs))
    return statistics.median(_milliseconds(modules, before, "perf_counter") for _ in range(runs))


def _milliseconds(modules: str, behind: str, clock: str) -> float:
    code = _TIMER.format(clock=clock, modules=modules, behind=behind)
    # Compiling is not part of it, whatever the environment says.
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, env=kept
    )
    return float(done.stdout)
