"""The dashboard's program serves the page, and its page of instructions names what there is."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

import dashtam_events
from tests.examples.test_examples import ENVIRONMENT

SERVICE = Path(dashtam_events.__file__).parent / "cli" / "web"


def test_the_program_serves_the_page(repository: Path, tmp_path: Path) -> None:
    program = repository / "examples" / "dashboard" / "app.py"
    words = [sys.executable, "-W", "error", str(program), str(tmp_path / "events.db")]
    unbuffered = ENVIRONMENT | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=unbuffered) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        assert "The way of a fact" in httpx.get(found[0], timeout=60, trust_env=False).text
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_the_instructions_name_files_that_there_are(repository: Path) -> None:
    text = (repository / "examples" / "dashboard" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:static/)?[a-z]+\.(?:py|js))`", text)
    assert len(named) > 5
    assert [name for name in named if not (SERVICE / name).is_file()] == []
