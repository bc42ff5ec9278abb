"""The contract serves users of either mode of pytest-asyncio."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.starting import ENVIRONMENT

USERS_TEST = """
import pytest_asyncio
from dashtam_events.store import InMemoryEventStore
from dashtam_events.testing import CONTRACT_EVENTS, StoreContract

class TestOurStore(StoreContract):
    @pytest_asyncio.fixture
    async def store(self):
        yield InMemoryEventStore(registry=CONTRACT_EVENTS)
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_a_user_runs_the_contract(mode: str, tmp_path: Path) -> None:
    (tmp_path / "test_ours.py").write_text(USERS_TEST, encoding="utf-8")
    settings = [f"asyncio_mode={mode}", "asyncio_default_fixture_loop_scope=function"]
    options = ["-q", "-W", "error", "--rootdir", str(tmp_path)]
    options += [part for setting in settings for part in ("-o", setting)]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_ours.py"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout
    assert "skipped" not in result.stdout
