"""What children use of the processors is counted while they run and when they have ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.postgres import processes
from tests.benchmarks.postgres.processes import Children

# It works for 0.1 seconds and says so; then it ends when it is told to.
_WORK = """
import time
while time.process_time() < 0.1:
    pass
print(flush=True)
input()
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="Linux tells")


def start_work() -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _WORK]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_work_of_a_child_counts_once_while_it_runs_and_when_it_has_ended() -> None:
    children = Children(os.getpid())
    before = children.seconds()
    with start_work() as child:
        assert child.stdout is not None
        child.stdout.readline()
        running = children.seconds()
        child.communicate("\n")
    ended = children.seconds()
    assert 0.1 <= running - before < 0.2
    assert 0 <= ended - running < 0.06


def test_a_child_counts_that_came_and_went_between_two_looks() -> None:
    children = Children(os.getpid())
    before = children.seconds()
    with start_work() as child:
        child.communicate("\n")
    assert 0.08 <= children.seconds() - before < 0.2


def test_the_children_of_others_do_not_count() -> None:
    children = Children(1)
    before = children.seconds()
    with start_work() as child:
        child.communicate("\n")
    assert children.seconds() - before < 0.08


def test_without_proc_nothing_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path / "none")
    assert Children(os.getpid()).seconds() == 0
