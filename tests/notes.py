"""What processes note in a file, until they are killed: a note is whole, or it does not count.

A kill in the middle of a write can leave a part of a note, wherever a page of the file ends.
"""

import os
from pathlib import Path

__all__ = ["add_notes", "notes_in", "open_notes"]

_END = " ."


def open_notes(path: Path) -> int:
    """A file that several processes may write to at once."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def add_notes(file: int, *notes: str) -> None:
    """Write each on a line of its own, also behind a part of somebody else's."""
    os.write(file, "".join(f"\n{note}{_END}" for note in notes).encode())


def notes_in(path: Path) -> list[str]:
    """The notes that are whole, in order."""
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [line.removesuffix(_END) for line in lines if line.endswith(_END)]
