"""Notes of processes that are killed are read as far as they are whole."""

import os
from pathlib import Path

from tests.notes import add_notes, notes_in, open_notes


def test_a_note_that_is_torn_does_not_count_and_spoils_no_other(tmp_path: Path) -> None:
    file = open_notes(tmp_path / "notes")
    add_notes(file, "1 house-1 1", "2 house-1 2")
    whole = (tmp_path / "notes").read_bytes()
    for torn in range(len(b"\n3 house-1 14")):
        (tmp_path / "notes").write_bytes(whole)
        os.write(file, b"\n3 house-1 14"[:torn])
        add_notes(file, "3 house-1 14")
        assert notes_in(tmp_path / "notes") == ["1 house-1 1", "2 house-1 2", "3 house-1 14"]
    os.close(file)


def test_where_nobody_noted_anything_there_is_nothing(tmp_path: Path) -> None:
    assert notes_in(tmp_path / "notes") == []
