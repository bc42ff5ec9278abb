"""The tests on the page about testing are pasted into a file, as a reader would, and they pass."""

import re
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_tests_of_the_page_pass_where_they_are_pasted(
    pytester: pytest.Pytester, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = repository / "docs" / "pages" / "how-to" / "testing.md"
    source = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    pytester.makepyfile(test_pasted=source)
    pytester.makeini("""
        [pytest]
        asyncio_mode = auto
        asyncio_default_fixture_loop_scope = function
        filterwarnings = error
    """)
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    installed = entry_points(group="pytest11", name="dashtam_events")
    plugin = [] if installed else ["-p", "dashtam_events.testing.plugin"]
    result = pytester.runpytest_subprocess(*plugin, "--update-event-forms")
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] > 20
