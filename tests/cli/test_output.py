"""Where what a command prints goes: to a reader that goes away, a full disk, another encoding."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import COMMAND, ENVIRONMENT, run_code

PRINTING = [
    ("log", "FILE"),
    ("log", "FILE", "--json"),
    ("log", "FILE", "--follow"),
    ("copy", "FILE", "FILE.copy"),
    ("demo", "--plain"),
    ("diagram",),
    ("--help",),
]


@pytest.fixture
def file(played: Path, tmp_path: Path) -> Path:
    """Events in a file, in a folder to which more may be written."""
    file = tmp_path / "events.db"
    file.write_bytes(played.read_bytes())
    return file


def printed_to(
    out: int, file: Path, arguments: tuple[str, ...], **environment: str
) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            [*COMMAND, *(each.replace("FILE", str(file)) for each in arguments)],
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
            text=True,
            env=ENVIRONMENT | environment,
            timeout=60,
        )
    finally:
        os.close(out)


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_reader_that_goes_away_ends_it_without_a_word(
    file: Path, arguments: tuple[str, ...]
) -> None:
    ours, its = os.pipe()
    os.close(ours)
    ended = printed_to(its, file, arguments)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a thing of Linux")
@pytest.mark.parametrize("arguments", PRINTING)
def test_where_it_cannot_be_written_one_line_says_so(
    file: Path, arguments: tuple[str, ...]
) -> None:
    ended = printed_to(os.open("/dev/full", os.O_WRONLY), file, arguments)
    assert (ended.returncode, ended.stderr) == (2, "dashtam-events: No space left on device\n")


def test_a_connection_that_breaks_is_not_taken_for_a_reader_that_goes_away() -> None:
    """Otherwise a database that goes away would end the command without a word."""
    code = (
        "import socket, sys\n"
        "from dashtam_events.cli import main\n"
        "sys.argv = ['dashtam-events', '--version']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "ours, its = socket.socketpair()\n"
        "its.close()\n"
        "try:\n    ours.send(b'x')\nexcept BrokenPipeError:\n    print('heard of it')"
    )
    assert run_code(code).stdout.splitlines()[-1] == "heard of it"


def test_what_the_encoding_has_no_sign_for_is_written_in_another_way(
    file: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "café.db"
    ours, its = os.pipe()
    ended = printed_to(its, file, ("copy", "FILE", str(odd)), PYTHONIOENCODING="ascii")
    with os.fdopen(ours, encoding="ascii") as printed:
        assert "caf\\xe9.db" in printed.read()
    assert (ended.returncode, ended.stderr) == (0, "")


def test_ctrl_c_while_it_begins_is_heard_without_a_word() -> None:
    code = (
        "import sys\n"
        "from dashtam_events.cli import main\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'dashtam_events.cli.app':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "main()"
    )
    ended = run_code(code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
