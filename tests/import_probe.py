"""Run as a process of its own: execute a statement, print what it loaded, opened and raised.

    python import_probe.py STATEMENT [ABSENT ...]

Packages named as ABSENT cannot be found, as if they had never been installed.
"""

import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import PurePath
from types import ModuleType
from typing import Any

OPENING = ("open", "socket.", "sqlite3.connect", "subprocess.", "os.posix_spawn")
# The import system opens these; whatever else is opened was opened by the code that it loads.
CODE = {".py", ".pyc", ".so", ".pyd"}


class Absent:
    """Finds no module of the packages that it was told to hide."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def _is_opening(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        path, mode, _flags = arguments
        return PurePath(str(path)).suffix not in CODE or mode not in (None, "r", "rb")
    return event.startswith(OPENING)


def observe(statement: str, absent: Sequence[str]) -> dict[str, list[str]]:
    opened: list[str] = []
    raised: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and _is_opening(event, arguments):
            opened.append(f"{event} {arguments!r}")

    sys.meta_path.insert(0, Absent(absent))
    before = {name.partition(".")[0] for name in sys.modules}
    threads = len(sys._current_frames())
    sys.addaudithook(hook)
    try:
        exec(statement, {})
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it is, it is reported
        raised = [type(error).__name__, str(error)]
    watching = False
    # Starting a thread raises no audit event on every supported Python; those that run are seen.
    opened += ["thread"] * (len(sys._current_frames()) - threads)
    after = {name.partition(".")[0] for name in sys.modules}
    return {
        "loaded": sorted(after - before - sys.stdlib_module_names),
        "opened": opened,
        "raised": raised,
    }


if __name__ == "__main__":
    print(json.dumps(observe(sys.argv[1], sys.argv[2:])))
