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


class Hiding:
    """A finder of modules that finds none of the packages it was told to hide."""

    def __init__(self, finder: Any, packages: Sequence[str]) -> None:
        self.finder, self.packages = finder, frozenset(packages)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in self.packages:
            return None
        found: ModuleSpec | None = self.finder.find_spec(name, path, target)
        return found


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

    sys.meta_path[:] = [Hiding(finder, absent) for finder in sys.meta_path]
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
