"""The command as a process of its own, and as a call."""

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

import dashtam_events
from dashtam_events.cli.app import command

PACKAGE = Path(dashtam_events.__file__).parent
STATEMENTS = PACKAGE / "cli" / "statements"
COMMAND = (sys.executable, "-W", "error", "-m", "dashtam_events.cli")
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(PACKAGE.parent),
    "PYTHONIOENCODING": "utf-8",
    "PYTHONUNBUFFERED": "1",
}


def start(*arguments: "str | Path") -> "subprocess.Popen[str]":
    """Start the command, its output in pipes."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def run(*arguments: "str | Path") -> "subprocess.CompletedProcess[str]":
    """Run the command to its end in a process."""
    with start(*arguments) as process:
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def call(*arguments: "str | Path") -> Result:
    """Run the command within this process."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def run_code(code: str) -> "subprocess.CompletedProcess[str]":
    """Run a piece of Python in a process."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
        timeout=60,
    )
