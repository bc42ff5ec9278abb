"""The command as a process of its own, and as a call."""

import os
import pty
import select
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


def on_a_terminal(*arguments: "str | Path") -> tuple[int, str]:
    """Run the command on a terminal of its own; its exit code and all that it showed."""
    mine, its = pty.openpty()
    environment = ENVIRONMENT | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    with subprocess.Popen([*COMMAND, *arguments], stdout=its, stderr=its, env=environment) as ran:
        os.close(its)
        shown = b"".join(iter(lambda: _read(mine), b""))
    os.close(mine)
    return ran.returncode, shown.decode()


def _read(terminal: int) -> bytes:
    assert select.select([terminal], [], [], 60)[0], "the command hangs"
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
