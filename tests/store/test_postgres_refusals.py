"""What a PostgreSQL server refuses, and what only passes: both are `StoreUnavailable`."""

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from dashtam_events.errors import StoreError, StoreUnavailable
from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.store.postgres._batch import Job, Pen
from dashtam_events.store.postgres._failures import meaning
from dashtam_events.subscriptions import InMemoryCheckpointStore, Subscription
from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.postgres_server import Open, asking
from tests.store.postgres_roles import APPEND_ONLY


@pytest.fixture
async def lonely(open_store: Open, dsn: str, schema: str) -> AsyncIterator[str]:
    """The address for a role that may have one connection at a time."""
    role = f"lonely_{schema}"
    async with open_store(), asking(dsn) as connection:
        await connection.execute(APPEND_ONLY.format(role=role, schema=schema))
        await connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1")
        yield dsn.replace("postgres:@", f"{role}@")
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many appends went to the server, with each statement."""
    statements: list[int] = []
    write = Pen.write

    async def writing(pen: Pen, jobs: Sequence[Job]) -> Any:
        statements.append(len(jobs))
        return await write(pen, jobs)

    monkeypatch.setattr(Pen, "write", writing)
    return statements


@asynccontextmanager
async def only_connection(lonely: str, dsn: str) -> AsyncIterator[None]:
    """Hold the role's only connection; the server takes a moment to notice that one has ended.

    Whoever waited for it may have it the moment after, so what is given back is this one.
    """
    role = lonely.partition("://")[2].partition("@")[0]

    async def gone(which: str, value: str | int) -> None:
        asked = f"SELECT FROM pg_stat_activity WHERE {which} = $1"
        async with asking(dsn) as connection, asyncio.timeout(20):
            while await connection.fetch(asked, value):
                await connection.execute("SELECT pg_sleep(0.01)")

    await gone("usename", role)
    async with asking(lonely) as held:
        pid = held.get_server_pid()
        yield
    await gone("pid", pid)


async def test_a_server_without_a_connection_left_is_not_asked_for_each_append(
    open_store: Open, dsn: str, lonely: str, statements: list[int]
) -> None:
    async with open_store(lonely) as store:
        async with only_connection(lonely, dsn):
            appends = (store.append(a_stream(), lit()) for _ in range(10))
            outcomes: list[Any] = await asyncio.gather(*appends, return_exceptions=True)
        assert {(type(one), one.code) for one in outcomes} == {(StoreUnavailable, "53300")}
        assert statements == [10]
        await store.append(a_stream(), lit())


async def test_a_subscription_waits_until_there_is_a_connection(
    open_store: Open, dsn: str, lonely: str
) -> None:
    seen = asyncio.Event()

    async def note(_recorded: RecordedEvent) -> None:
        seen.set()

    async with open_store(lonely, pool_size=1) as store:
        subscription = Subscription("lamps", store, note, checkpoints=InMemoryCheckpointStore())
        async with open_store() as other:
            await other.append(a_stream(), lit())
        async with only_connection(lonely, dsn):
            running = asyncio.create_task(subscription.run())
            await asyncio.sleep(0.3)
            assert not running.done()
            assert not seen.is_set()
        async with asyncio.timeout(20):
            await seen.wait()
        await subscription.stop()
        await running


async def test_an_error_of_the_server_is_of_the_public_class_with_its_code(
    open_store: Open,
) -> None:
    async with open_store() as store:
        with pytest.raises(StoreUnavailable) as raised:
            await store.append(StreamId("lamp" + "x1y2z3" * 40_000, "1"), lit())
        assert (type(raised.value), raised.value.code) == (StoreUnavailable, "54000")
        assert await log_of(store) == []
    for again in (pickle.loads(pickle.dumps(raised.value)), copy.copy(raised.value)):
        assert (again.store, again.reason, again.code) == raised.value.args
        assert str(again) == str(raised.value)


async def test_a_schema_that_went_away_is_named(open_store: Open, dsn: str, schema: str) -> None:
    async with open_store() as store, asking(dsn) as connection:
        await connection.execute(f"DROP SCHEMA {schema} CASCADE")
        for ask in (store.last_position(), store.append(a_stream(), lit())):
            with pytest.raises(StoreUnavailable, match="run `dashtam-events migrate`"):
                await ask


@pytest.mark.parametrize(
    ("foreign", "code"),
    [
        (asyncpg.CannotConnectNowError("canary"), "57P03"),
        (asyncpg.DiskFullError("canary"), "53100"),
        (asyncpg.AdminShutdownError("canary"), None),
        (asyncpg.InterfaceError("canary"), None),
        (TimeoutError("canary"), None),
    ],
)
def test_the_code_is_that_of_an_answer(foreign: Exception, code: str | None) -> None:
    error: StoreError = meaning(foreign, "there", 1.0)
    assert isinstance(error, StoreUnavailable)
    assert error.code == code
    assert "canary" not in str(error)
