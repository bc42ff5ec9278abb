"""How the tests of the SQLite store start their child processes, with the package under test."""

import os
import subprocess
import sys
from pathlib import Path

import dashtam_events

__all__ = ["ENVIRONMENT", "command", "run"]

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(dashtam_events.__file__).parents[1])}


def command(*arguments: str) -> list[str]:
    """The command line of a child."""
    return [sys.executable, str(Path(__file__).with_name("children.py")), *arguments]


def run(*arguments: str) -> str:
    """What a child prints; it must succeed."""
    result = subprocess.run(
        command(*arguments), env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
