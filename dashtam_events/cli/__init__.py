"""The `dashtam-events` command: the rooms wired together for somebody at a terminal."""

import logging
import sys
from importlib.util import find_spec
from io import TextIOWrapper

from dashtam_events.errors import MissingExtra

__all__ = ["main"]

_EXTRA = ("click", "rich", "ofxparse")


def main() -> None:
    """Run the command with the arguments of the process, and exit.

    The exit code is 0 where all went as asked, 1 where the demo did not, a copy is none, or nobody
    reads on (`dashtam-events log FILE | head`), 2 where the arguments or the store cannot be used
    (with one line on stderr that says why), 130 after Ctrl-C.
    """
    if any(find_spec(name) is None for name in _EXTRA):
        sys.stderr.write(f"dashtam-events: {MissingExtra('cli')}\n")
        raise SystemExit(2)
    for stream in (sys.stdout, sys.stderr):
        # A file's name, or a field, may hold what a terminal's encoding has no sign for.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # A connection that is lost comes back, or is told in the one line that ends the command.
    logging.getLogger("dashtam_events.store").addHandler(logging.NullHandler())
    try:
        from dashtam_events.cli.app import command

        command()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
