"""The code in README.md and in the pages of the docs runs, block after block, as a reader would."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"^(?P<indent> *)```python\b[^\n]*\n(?P<code>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """The README and every page of the docs that shows code."""
    written = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in written if BLOCK.search(page.read_text(encoding="utf-8"))]


def blocks(page: Path) -> Iterator[CodeType]:
    """Each block compiled, its line numbers those of the page."""
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        above = text.count("\n", 0, block.start("code"))
        source = "\n" * above + textwrap.dedent(block["code"])
        yield compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
async def test_the_code_of_a_page_runs_in_order_in_one_namespace(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for code in blocks(page):
        outcome = eval(code, vars(module))
        if inspect.iscoroutine(outcome):
            await outcome


def test_the_readme_opens_with_two_commands_of_one_line_each() -> None:
    """The first shows the library at work, the second runs its tests."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [block.strip() for block in SHELL.findall(readme)]
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert "dashtam-events demo" in commands[0]
    assert "nox -s tests" in commands[1]
    assert readme.index("```sh") < readme.index("```python")


def test_ci_runs_the_very_test_command_of_the_readme() -> None:
    """CI takes the command out of the page, so the two cannot differ."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script
    assert "nox -s tests" not in script
