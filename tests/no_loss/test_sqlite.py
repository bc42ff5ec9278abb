"""Nothing is lost in a file, nothing repeated, and nothing out of order."""

from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from dashtam_events.store import SQLiteEventStore
from dashtam_events.testing import CONTRACT_EVENTS
from tests import counts
from tests.no_loss.promises import Findings, NoLoss, judge
from tests.no_loss.runs import Load, run
from tests.no_loss.transactions import TransactionWriter


def open_store(path: Path) -> SQLiteEventStore:
    return SQLiteEventStore(path, registry=CONTRACT_EVENTS, busy_timeout=60)


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


@pytest.fixture(scope="module")
def in_transactions(tmp_path_factory: pytest.TempPathFactory, processes: Executor) -> Findings:
    """Three processes append, also in transactions of their own.

    Over thirty connections then wait for the lock of the file, which goes to whoever asks at the
    right moment: it may take a while.
    """

    def place() -> Load:
        path = tmp_path_factory.mktemp("store") / "events.db"
        url = make_url(f"sqlite+aiosqlite:///{path}")
        return Load(
            open=partial(open_store, path),
            processes=2,
            make_writer=partial(TransactionWriter, url=url),
            patience=60.0,
        )

    appends = counts.of(short=150, full=3_000, soak=30_000)
    return judge(place, appends, lambda load: run(load, processes))


@counts.counted
class TestNoLoss(NoLoss):
    @pytest.fixture(params=["in_one_process", "in_several_processes", "in_transactions"])
    def findings(self, request: pytest.FixtureRequest) -> Findings:
        found: Findings = request.getfixturevalue(request.param)
        return found
