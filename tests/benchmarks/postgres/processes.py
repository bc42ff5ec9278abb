"""What the processes of the server have used of the processors, as Linux tells."""

import os
from pathlib import Path

__all__ = ["Children"]

_PROC = Path("/proc")


class Children:
    """The children of a process; where there is no `/proc` they have used nothing.

    Of those that run it is known exactly. Of those that have ended since the last look, what they
    used since then is known to some ten milliseconds: rather too much is counted for them than
    too little, or a slow round could pass for a good one.
    """

    def __init__(self, parent: int) -> None:
        self._parent, self._total = parent, 0.0
        self._running, self._ended = _running(parent), _ended(parent)

    def seconds(self) -> float:
        """What they have used since this object was made."""
        before, self._running = self._running, _running(self._parent)
        self._total += sum(used - before.get(pid, 0) for pid, used in self._running.items())
        ended_before, self._ended = self._ended, _ended(self._parent)
        known = sum(used for pid, used in before.items() if pid not in self._running)
        self._total += max(self._ended - ended_before - known, 0)
        return self._total


def _running(parent: int) -> dict[int, float]:
    """Seconds by process."""
    used = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            if int(_stat(folder)[1]) == parent:
                nanoseconds, *_ = (folder / "schedstat").read_text(encoding="ascii").split()
                used[int(folder.name)] = int(nanoseconds) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended in between
    return used


def _ended(parent: int) -> float:
    """Seconds of all that have ended, in the ticks of a clock."""
    folder = _PROC / str(parent)
    if not folder.is_dir():
        return 0
    user, system = _stat(folder)[13:15]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _stat(folder: Path) -> list[str]:
    """The fields behind the name, which may hold spaces: the state, the parent, and so on."""
    return (
        (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    )
