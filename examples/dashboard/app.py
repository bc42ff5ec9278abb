"""Serve the dashboard from a program of your own: `python examples/dashboard/app.py [FILE]`.

It needs `pip install "dashtam-events[cli,web]"`. Without a program, `dashtam-events demo --web`
does the same.
"""

import sys
import tempfile
from pathlib import Path

from dashtam_events.cli.web import serve


def main() -> None:
    """Serve the page for the store in a file, by default a new one, at any free port."""
    if len(sys.argv) > 1:
        file = Path(sys.argv[1])
    else:
        file = Path(tempfile.mkdtemp(prefix="dashboard-")) / "events.db"
    serve(file.absolute(), port=0)


if __name__ == "__main__":
    main()
