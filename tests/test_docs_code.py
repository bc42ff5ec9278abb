"""The code in README.md and in the pages of the docs runs, block after block, as a reader would."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from tests.pages import ROOT, blocks, pages, write_modules

SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def compiled(page: Path) -> Iterator[CodeType]:
    """Each block, its line numbers those of the page."""
    for above, code in blocks(page):
        source = "\n" * above + code
        yield compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
async def test_the_code_of_a_page_runs_in_order_in_one_namespace(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for code in compiled(page):
        outcome = eval(code, vars(module))
        if inspect.iscoroutine(outcome):
            await outcome


def test_as_modules_the_pages_keep_their_lines(tmp_path: Path) -> None:
    """So that what a type checker finds in one is found on the page."""
    write_modules(tmp_path)
    assert len(list(tmp_path.iterdir())) == len(pages())
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    module = (tmp_path / "README.py").read_text(encoding="utf-8").splitlines()
    assert module[0] == "async def page() -> None:"
    for number, line in enumerate(module[1:], start=1):
        assert not line or line.strip() == readme[number].strip()
    assert "    await bus.publish(recorded.event)" in "\n".join(module)


def commands_of_the_readme() -> list[str]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return [block.strip() for block in SHELL.findall(readme)]


def test_the_readme_opens_with_two_commands_of_one_line_each() -> None:
    """The first shows the library at work, the second runs its tests."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = commands_of_the_readme()
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert "dashtam-events demo" in commands[0]
    assert "nox -s tests" in commands[1]
    assert readme.index("```sh") < readme.index("```python")


@pytest.mark.parametrize("changed", [False, True])
def test_ci_runs_the_very_test_command_of_the_readme(tmp_path: Path, changed: bool) -> None:
    """CI takes the command out of the page: changed there, it is changed here."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tested = commands_of_the_readme()[1]
    wanted = tested.replace("nox -s tests", "nox -s tests -- -x") if changed else tested
    (tmp_path / "README.md").write_text(readme.replace(tested, wanted), encoding="utf-8")
    assert run_ci(tmp_path)[:3] == [
        f"$ {wanted}",
        "python3 -m venv .venv",
        f"nox{wanted.rpartition('nox')[2]}",
    ]


def run_ci(folder: Path) -> list[str]:
    """Run a copy of `.ci/run` whose Python and nox only say how they were called."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci" / "run")
    for name, does in {
        "python3.11": 'case "$1" in -m) echo "python3 $*";; esac',
        "pip": ":",
        "nox": 'echo "nox $*"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", folder / ".ci" / "run"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=60,
    )
    return ran.stdout.splitlines()
