"""The `dashtam-events` command: the rooms wired together for somebody at a terminal."""

import signal
import sys
from importlib.util import find_spec

from dashtam_events.errors import MissingExtra

__all__ = ["main"]

_EXTRA = ("click", "rich", "ofxparse")


def main() -> None:
    """Run the command with the arguments of the process, and exit.

    The exit code is 0 where all went as asked, 1 where the demo did not, 2 where the arguments or
    the file cannot be used (with one line on stderr that says why), 130 after Ctrl-C.
    """
    if any(find_spec(name) is None for name in _EXTRA):
        sys.stderr.write(f"dashtam-events: {MissingExtra('cli')}\n")
        raise SystemExit(2)
    from dashtam_events.cli.app import command

    if hasattr(signal, "SIGPIPE"):
        # `dashtam-events log FILE | head` ends as quietly as any other program.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    command()
