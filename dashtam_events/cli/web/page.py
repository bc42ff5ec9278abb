"""The page itself: a file of HTML, with the diagram and the tables that its script goes by."""

import json
from functools import cache
from pathlib import Path

from dashtam_events.cli.web.appended import CATEGORIES
from dashtam_events.cli.web.commands import COMMANDS, refusals
from dashtam_events.cli.web.imports import STATEMENTS
from dashtam_events.cli.web.picture import TALL, WIDE, svg
from dashtam_events.connection._machine import START, TRANSITIONS

__all__ = ["STATIC", "page"]

STATIC = Path(__file__).parent / "static"
"""The script, the style and the icon of the page."""


@cache
def page() -> str:
    """The page as it is sent."""
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    # In HTML a script, of data too, ends at the first `</script`.
    tables = json.dumps(_tables()).replace("<", "\\u003c")
    diagrams = svg(WIDE) + svg(TALL)
    return text.replace("<!-- diagram -->", diagrams).replace("<!-- tables -->", tables)


def _tables() -> dict[str, object]:
    begin, first = START
    return {
        "start": {begin.__name__: first},
        "transitions": {
            status: {event.__name__: to for event, to in transitions.items()}
            for status, transitions in TRANSITIONS.items()
        },
        "refusals": refusals(),
        "commands": [command.described(name) for name, command in COMMANDS.items()],
        "categories": CATEGORIES,
        "statements": STATEMENTS,
    }
