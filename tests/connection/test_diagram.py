"""The picture of a connection's life is the table, and the docs show this picture."""

import hashlib
import re
from pathlib import Path

from dashtam_events.connection import mermaid
from dashtam_events.connection._machine import START, TRANSITIONS


def test_every_transition_is_drawn_once() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+)$", mermaid(), flags=re.MULTILINE)
    assert drawn == [
        (str(status), str(to), event.__name__)
        for status, transitions in TRANSITIONS.items()
        for event, to in transitions.items()
    ]


def test_the_beginning_and_the_end_are_drawn() -> None:
    begin, first = START
    lines = mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", f"    [*] --> {first}: {begin.__name__}"]
    assert lines[-1] == "    disconnected --> [*]"


def test_the_diagram_in_the_docs_is_made_from_the_table(repository: Path) -> None:
    kept = repository / "docs" / "diagrams" / "connection-states.mmd"
    assert kept.read_text("utf-8") == mermaid(), "write `dashtam-events diagram` there"


def test_the_picture_in_the_docs_is_drawn_from_that_diagram(repository: Path) -> None:
    source = (repository / "docs" / "diagrams" / "connection-states.mmd").read_bytes()
    picture = repository / "docs" / "pages" / "explanation" / "connection-states.svg"
    drawn_from = re.findall(r"sha256 (\w+) ", picture.read_text("utf-8"))
    assert drawn_from == [hashlib.sha256(source).hexdigest()], "draw it again with mermaid"
