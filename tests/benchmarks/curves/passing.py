"""`python -m tests.benchmarks.curves.passing WAY FILE EVENTS`: through all events, and the peak.

WAY is one of `WAYS`. It prints how many MiB were resident at the most, by what Linux says.
"""

import asyncio
import io
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events import SQLiteEventStore
from dashtam_events.bus.session import real_savepoints
from dashtam_events.cli.app import command
from dashtam_events.subscriptions.sql import Projector
from tests.benchmarks.views import Syncs
from tests.benchmarks.workload import BENCH, scratch

__all__ = ["WAYS"]


def _read(path: Path) -> int:
    async def run() -> int:
        seen = 0
        async with SQLiteEventStore(path, registry=BENCH) as store:
            async for _recorded in store.read_all():
                seen += 1
        return seen

    return asyncio.run(run())


def _project(path: Path) -> int:
    async def run(folder: Path) -> int:
        address = f"sqlite+aiosqlite:///{folder / 'view.db'}"
        engine = real_savepoints(create_async_engine(address))
        async with SQLiteEventStore(path, registry=BENCH) as store:
            reached = await Projector(store, Syncs("peak"), engine).run_once()
        await engine.dispose()
        return reached or 0

    with scratch() as folder:
        return asyncio.run(run(folder))


class _Lines(io.StringIO):
    """Counts lines, and keeps none."""

    count = 0

    def write(self, text: str) -> int:
        self.count += text.count("\n")
        return len(text)


def _command(*arguments: str) -> int:
    """Run `dashtam-events` with these arguments; how many lines it printed."""
    with redirect_stdout(_Lines()) as lines:
        try:
            command(arguments)
        except SystemExit as ended:
            if ended.code:
                raise
    return lines.count


def _export(path: Path) -> int:
    return _command("log", str(path), "--json", "--registry", "tests.benchmarks.workload:BENCH")


def _copy(path: Path) -> int:
    with scratch() as folder:
        target = folder / "copy.db"
        _command("copy", str(path), str(target))
        return _read(target)


WAYS: dict[str, Callable[[Path], int]] = {
    "read": _read,
    "project": _project,
    "export": _export,
    "copy": _copy,
}


def _peak() -> float:
    """What `resource` tells is never less than the parent had, so it is asked elsewhere."""
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return int(peak) / 1024


if __name__ == "__main__":
    way, file, events = sys.argv[1:]
    passed = WAYS[way](Path(file))
    # What is measured on the same file appends some more.
    assert passed >= int(events), f"{passed} of {events} events"
    print(_peak())
