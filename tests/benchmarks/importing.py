"""What an import costs: each in a new process, beside one that imports asyncio alone."""

import statistics
import subprocess
import sys

__all__ = ["import_time"]

_TIMER = "import time; t=time.perf_counter(); import {}; print((time.perf_counter()-t)*1e3)"


def import_time(modules: str, *, runs: int = 5) -> float:
    """Milliseconds that `import` of these adds to `import asyncio`: the median of a few pairs."""
    return statistics.median(
        _milliseconds(f"asyncio, {modules}") - _milliseconds("asyncio") for _ in range(runs)
    )


def _milliseconds(modules: str) -> float:
    command = [sys.executable, "-c", _TIMER.format(modules)]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)
