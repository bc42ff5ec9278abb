"""Nothing is lost in PostgreSQL, nothing repeated, and nothing out of order."""

from concurrent.futures import Executor
from functools import partial
from itertools import count

import pytest
from sqlalchemy.engine import URL

from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.testing import CONTRACT_EVENTS
from tests import counts
from tests.databases import new_database, plain_address
from tests.no_loss.history import History
from tests.no_loss.promises import Findings, NoLoss, judge
from tests.no_loss.readers import NEVER
from tests.no_loss.runs import Load, run
from tests.no_loss.transactions import TransactionWriter, writing

_schemas = (f"no_loss_{number}" for number in count(1))


def open_store(dsn: str, schema: str) -> PostgresEventStore:
    """Without a poll to make up for a notification that does not come."""
    return PostgresEventStore(
        dsn, registry=CONTRACT_EVENTS, schema=schema, busy_timeout=20, poll_interval=NEVER
    )


def address(database: URL) -> str:
    return plain_address(database)


@pytest.fixture(scope="module")
def in_one_process(postgres: URL) -> Findings:
    """Writers and readers use three stores of one process."""

    def place() -> Load:
        return Load(open=partial(open_store, address(postgres), next(_schemas)), stores=3)

    return judge(place, counts.of(short=150, full=10_000, soak=100_000))


@pytest.fixture(scope="module")
def in_several_processes(postgres: URL, processes: Executor) -> Findings:
    """Three processes write, and one of them reads."""

    def place() -> Load:
        open_one = partial(open_store, address(postgres), next(_schemas))
        return Load(open=open_one, stores=2, processes=2)

    appends = counts.of(short=150, full=10_000, soak=100_000)
    return judge(place, appends, lambda load: run(load, processes))


@pytest.fixture(scope="module")
def in_transactions(postgres: URL, processes: Executor) -> Findings:
    """Three processes append, also in transactions of their own, beside some that last.

    One of those writes in another database of the server, one in the same.
    """

    def place() -> Load:
        return Load(
            open=partial(open_store, address(postgres), next(_schemas)),
            stores=2,
            processes=2,
            make_writer=partial(TransactionWriter, url=postgres),
        )

    async def play(load: Load) -> History:
        async with new_database(postgres) as other, writing(other), writing(postgres):
            return await run(load, processes)

    return judge(place, counts.of(short=150, full=10_000, soak=100_000), play)


@counts.counted
class TestNoLoss(NoLoss):
    @pytest.fixture(params=["in_one_process", "in_several_processes", "in_transactions"])
    def findings(self, request: pytest.FixtureRequest) -> Findings:
        found: Findings = request.getfixturevalue(request.param)
        return found
