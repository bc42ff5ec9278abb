"""The other end of the process that forks, kills and waits for children."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import attrs

import dashtam_events
from tests.faults.places import Place

__all__ = ["Forker", "forker"]

_ROOT = Path(__file__).resolve().parents[2]
_PATH = os.pathsep.join([str(Path(dashtam_events.__file__).parents[1]), str(_ROOT)])


class Forker:
    """Starts children in a few milliseconds, out of a process that has loaded everything."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def fork(self, role: str, place: Place, **told: Any) -> int:
        """The id of a new process that does what its role is; see `children`."""
        told |= {"role": role, "place": attrs.asdict(place)}
        return self._ask(f"fork {json.dumps(told)}")

    def kill(self, pid: int) -> int:
        """Send SIGKILL; how the process ended."""
        return self._ask(f"kill {pid}")

    def wait(self, pid: int) -> int:
        """How a process ended by itself: minus the number of the signal that ended it."""
        return self._ask(f"wait {pid}")

    def _ask(self, line: str) -> int:
        told, heard = _pipe(self._process.stdin), _pipe(self._process.stdout)
        told.write(line + "\n")
        told.flush()
        return int(heard.readline())


@contextmanager
def forker() -> Iterator[Forker]:
    """Such a process, for as long as it is needed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.children"],
        env=os.environ | {"PYTHONPATH": _PATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Forker(process)
        _pipe(process.stdin).close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
