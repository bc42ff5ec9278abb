"""A process that writes is killed a hundred times: nothing acknowledged is lost or torn."""

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO
from uuid import UUID

import pytest

from tests.store.starting import ENVIRONMENT, command

KILLS, KILLS_PER_FILE = 100, 10


@pytest.fixture
def server() -> Iterator["subprocess.Popen[str]"]:
    """A process that has loaded the library and forks a writer for every path it is told."""
    with subprocess.Popen(
        command("serve-kills"),
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        _pipe(process.stdin).close()


def test_a_killed_writer_loses_nothing_and_tears_nothing(
    server: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    chance = random.Random(20)
    acknowledged = 0
    for number in range(KILLS):
        path = tmp_path / f"{number // KILLS_PER_FILE}.db"
        _kill_a_writer(server, path, after=chance.uniform(0.0, 0.12))
        acknowledged += _check(path)
    assert acknowledged > 1000


def _kill_a_writer(server: "subprocess.Popen[str]", path: Path, *, after: float) -> None:
    _pipe(server.stdin).write(f"{path}\n")
    _pipe(server.stdin).flush()
    pid = int(_pipe(server.stdout).readline())
    time.sleep(after)
    os.kill(pid, signal.SIGKILL)
    assert _pipe(server.stdout).readline() == "dead\n"


def _check(path: Path) -> int:
    """Compare the file with what was acknowledged; how much that was."""
    acknowledged: set[bytes] = set()
    with suppress(FileNotFoundError):
        lines = Path(f"{path}.acknowledged").read_text(encoding="ascii").splitlines()
        acknowledged = {UUID(line).bytes for line in lines}
    if not path.exists():
        assert not acknowledged
        return 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            assert not acknowledged
            return 0
        stored = connection.execute("SELECT event_id FROM events").fetchall()
        assert acknowledged <= {event_id for (event_id,) in stored}
        _check_whole(connection)
    return len(acknowledged)


def _check_whole(connection: sqlite3.Connection) -> None:
    """Each stream has whole appends of three, no version missing, its attachment in step."""
    versions: defaultdict[str, list[int]] = defaultdict(list)
    for stream, version in connection.execute("SELECT stream, version FROM events"):
        versions[stream].append(version)
    attached = dict(connection.execute("SELECT stream, version FROM attachments").fetchall())
    for stream, seen in versions.items():
        assert sorted(seen) == list(range(1, len(seen) + 1))
        assert len(seen) % 3 == 0
        assert attached.pop(stream) == len(seen)
    assert not attached


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
