"""Nothing is lost in a file, nothing repeated, and nothing out of order."""

from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pytest

from dashtam_events.store import SQLiteEventStore
from dashtam_events.testing import CONTRACT_EVENTS
from tests import counts
from tests.no_loss.promises import Findings, NoLoss, judge
from tests.no_loss.runs import Load, run


def open_store(path: Path) -> SQLiteEventStore:
    return SQLiteEventStore(path, registry=CONTRACT_EVENTS, busy_timeout=30)


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Two stores of one process share the file."""

    def place() -> Load:
        path = tmp_path_factory.mktemp("store") / "events.db"
        return Load(open=partial(open_store, path), stores=2)

    return judge(place, counts.of(short=150, full=10_000, soak=100_000))


@pytest.fixture(scope="module")
def in_several_processes(tmp_path_factory: pytest.TempPathFactory, processes: Executor) -> Findings:
    """Three processes write to the file, and one of them reads."""

    def place() -> Load:
        path = tmp_path_factory.mktemp("store") / "events.db"
        return Load(open=partial(open_store, path), processes=2)

    appends = counts.of(short=150, full=10_000, soak=100_000)
    return judge(place, appends, lambda load: run(load, processes))


@counts.counted
class TestOneProcess(NoLoss):
    @pytest.fixture
    def findings(self, in_one_process: Findings) -> Findings:
        return in_one_process


@counts.counted
class TestSeveralProcesses(NoLoss):
    @pytest.fixture
    def findings(self, in_several_processes: Findings) -> Findings:
        return in_several_processes
