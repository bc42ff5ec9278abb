"""What children use of the processors is counted while they run and when they have ended."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.postgres import processes
from tests.benchmarks.postgres.processes import Children

# It works until it has used 0.1 seconds, says how much it is, and ends when it is told to.
_WORK = """
import time
while time.process_time() < 0.1:
    pass
print(time.process_time(), flush=True)
input()
print(time.process_time(), flush=True)
"""

# A slow start, or a coverage tool in the child, may cost any time, so no time is expected:
# what is counted is held against what the child and the system say. Others may use a little.
_LITTLE = 0.03

pytestmark = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="Linux tells")


def start_work() -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _WORK]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def used_by_the_ended() -> float:
    """Seconds of the children that have ended, as the system tells their parent."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_work_of_a_child_counts_once_while_it_runs_and_when_it_has_ended() -> None:
    children, ended_before = Children(os.getpid()), used_by_the_ended()
    before = children.seconds()
    with start_work() as child:
        assert child.stdout is not None
        least = float(child.stdout.readline())
        running = children.seconds() - before
        most, _ = child.communicate("\n")
    ended = children.seconds() - before
    assert least - _LITTLE <= running <= float(most) + _LITTLE
    assert ended == pytest.approx(used_by_the_ended() - ended_before, abs=_LITTLE)


def test_a_child_counts_that_came_and_went_between_two_looks() -> None:
    children, ended_before = Children(os.getpid()), used_by_the_ended()
    before = children.seconds()
    with start_work() as child:
        child.communicate("\n")
    used = used_by_the_ended() - ended_before
    assert children.seconds() - before == pytest.approx(used, abs=_LITTLE)


def test_the_children_of_others_do_not_count() -> None:
    with start_work() as other:
        assert other.stdout is not None
        other.stdout.readline()
        children = Children(other.pid)
        before = children.seconds()
        with start_work() as child:
            assert child.stdout is not None
            child.stdout.readline()
            running = children.seconds() - before
            child.communicate("\n")
        assert running < _LITTLE
        assert children.seconds() - before < _LITTLE
        other.communicate("\n")


def test_without_proc_nothing_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path / "none")
    assert Children(os.getpid()).seconds() == 0
