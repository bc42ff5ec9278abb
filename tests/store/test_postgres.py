"""The store in a PostgreSQL database keeps the contract, and commits together."""

import asyncio
import random
import string
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashtam_events.errors import StoreBusy, StoreClosed, StoreUnavailable, VersionConflict
from dashtam_events.recorded import StreamId
from dashtam_events.store import AppendResult
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.testing import CONTRACT_EVENTS, StoreContract
from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.postgres_server import Open, asking, wait_for_lock
from tests.store.following import cancel_appends


@pytest.fixture
async def store(open_store: Open) -> AsyncIterator[PostgresEventStore]:
    async with open_store() as store:
        yield store


class TestPostgresEventStore(StoreContract):
    @pytest.fixture
    async def store(self, open_store: Open) -> AsyncIterator[PostgresEventStore]:
        async with open_store() as store:
            yield store


async def test_everything_is_there_after_reopening(open_store: Open) -> None:
    store = open_store()
    async with store:
        result = await store.append(a_stream(), lit(3), attachments={"note": b"kept"})
    for reopened in (store, open_store()):
        async with reopened:
            assert await log_of(reopened) == list(result.recorded)
            kept = await reopened.read_attachment(result.stream, "note")
            assert kept is not None
            assert kept.data == b"kept"


async def test_a_store_that_is_not_open_says_so(open_store: Open) -> None:
    store = open_store()
    for _ in range(2):
        with pytest.raises(StoreClosed, match="async with"):
            await store.append(a_stream(), lit())
        with pytest.raises(StoreClosed):
            await log_of(store)
        with pytest.raises(StoreClosed):
            await store.wait(after=None)
        async with store:
            with pytest.raises(StoreUnavailable, match="open already"):
                await store.__aenter__()


async def test_what_cannot_be_is_refused_before_it_connects() -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("mysql://there/db", {}),
        ("postgresql://there/db", {"schema": 'a"b'}),
        ("postgresql://there/db", {"schema": "Upper"}),
        ("postgresql://there/db", {"pool_size": 0}),
        ("postgresql://there/db", {"busy_timeout": 0}),
        ("postgresql://there/db", {"busy_timeout": 9, "command_timeout": 9}),
    ]
    for address, options in wrong:
        with pytest.raises(ValueError):  # noqa: PT011  # the sentences are for people
            PostgresEventStore(address, registry=CONTRACT_EVENTS, **options)


async def test_no_password_is_shown() -> None:
    address = "postgresql+asyncpg://me:canary@localhost:1/db?password=canary"
    store = PostgresEventStore(address, registry=CONTRACT_EVENTS, connect_timeout=2)
    assert "canary" not in repr(store)
    with pytest.raises(StoreUnavailable) as raised:
        await store.__aenter__()
    assert str(raised.value).startswith("postgresql://localhost:1/db (events): ")
    assert "canary" not in str(raised.value)


async def test_appends_that_wait_together_share_a_transaction(
    store: PostgresEventStore, dsn: str, schema: str
) -> None:
    await asyncio.gather(*(store.append(a_stream(), lit()) for _ in range(1000)))
    async with asking(dsn) as connection:
        transactions = await connection.fetchval(
            f"SELECT count(DISTINCT xmin::text) FROM {schema}.events"
        )
    assert len(await log_of(store)) == 1000
    assert transactions < 20


async def test_closing_writes_what_was_accepted(open_store: Open) -> None:
    async with open_store() as store:
        tasks = [asyncio.create_task(store.append(a_stream(), lit())) for _ in range(50)]
        waiting = asyncio.create_task(store.wait(after=None))
        await asyncio.sleep(0)
    assert all(isinstance(result, AppendResult) for result in await asyncio.gather(*tasks))
    outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
    assert outcome is True or isinstance(outcome, StoreClosed)


async def test_nothing_is_left_behind(open_store: Open, dsn: str) -> None:
    """No task and no connection outlives the store."""
    tasks = len(asyncio.all_tasks())
    async with open_store() as store:
        await asyncio.gather(*(store.append(a_stream(), lit(3)) for _ in range(20)))
        await asyncio.gather(*(log_of(store) for _ in range(10)))
        await anext(store.read_all())
        waiting = asyncio.create_task(store.wait(after=await store.last_position()))
        await asyncio.sleep(0.05)
        waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert len(asyncio.all_tasks()) == tasks
    async with asking(dsn) as connection, asyncio.timeout(60):
        sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dashtam-events'"
        while await connection.fetchval(sql):
            await connection.execute("SELECT pg_sleep(0.01)")


async def test_what_the_server_will_not_take_harms_none_that_share_its_transaction(
    store: PostgresEventStore,
) -> None:
    """A name that no index can hold fails alone."""
    long = "".join(random.Random(1).choices(string.ascii_lowercase + string.digits, k=9000))
    streams = [a_stream() for _ in range(6)]
    calls = [store.append(stream, lit(2)) for stream in streams]
    calls.insert(3, store.append(StreamId(f"lamp{long}", "1"), lit()))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = outcomes.pop(3)
    assert isinstance(refused, StoreUnavailable)
    assert "ProgramLimitExceeded" in refused.reason
    assert all(isinstance(outcome, AppendResult) for outcome in outcomes)
    assert len(await log_of(store)) == 12


async def test_the_time_of_recording_is_the_servers_and_never_runs_backwards(
    store: PostgresEventStore, dsn: str, schema: str
) -> None:
    begun, slack = datetime.now(UTC), timedelta(seconds=5)
    first = await store.append(a_stream(), lit())
    assert begun - slack < first.recorded[0].recorded_at < datetime.now(UTC) + slack
    async with asking(dsn) as connection:
        await connection.execute(f"UPDATE {schema}.events SET recorded_at = recorded_at + 10^9")
    second = await store.append(a_stream(), lit())
    assert second.recorded[0].recorded_at - first.recorded[0].recorded_at == timedelta(seconds=1000)


async def test_a_clock_of_ones_own_is_taken_instead(open_store: Open) -> None:
    instant = datetime(2001, 2, 3, 4, 5, 6, 789012, UTC)
    async with open_store(clock=lambda: instant) as store:
        result = await store.append(a_stream(), lit(2))
        assert {recorded.recorded_at for recorded in result.recorded} == {instant}
        assert list(result.recorded) == await log_of(store)


async def test_waiting_for_another_writer_is_bounded(
    open_store: Open, dsn: str, schema: str
) -> None:
    """By what each store was told: one gives up while another, which asked before it, waits on."""
    async with (
        open_store(busy_timeout=0.1) as store,
        open_store(busy_timeout=25) as patient,
        asking(dsn) as other,
    ):
        async with other.transaction():
            await store.within(other).append(a_stream(), lit())
            waiting = asyncio.create_task(patient.append(a_stream(), lit()))
            await wait_for_lock(dsn, schema)
            calls = [store.append(a_stream(), lit()) for _ in range(3)]
            async with asyncio.timeout(20):
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {StoreBusy}
            assert await log_of(store) == []
        await waiting
        await store.append(a_stream(), lit())
        assert len(await log_of(store)) == 3


async def test_an_append_cancelled_before_its_turn_is_never_written(
    open_store: Open, dsn: str
) -> None:
    async with open_store(busy_timeout=25) as store, asking(dsn) as other:
        async with other.transaction():
            await store.within(other).append(a_stream(), lit())
            kept = asyncio.create_task(store.append(a_stream(), lit()))
            await asyncio.sleep(0.05)
            dropped = asyncio.create_task(store.append(a_stream(), lit()))
            await asyncio.sleep(0.05)
            dropped.cancel()
            await asyncio.gather(dropped, return_exceptions=True)
        await kept
        assert len(await log_of(store)) == 2


async def test_an_append_cancelled_at_any_moment_is_whole_or_absent(
    store: PostgresEventStore,
) -> None:
    await cancel_appends(store)


async def test_reads_cancelled_at_many_moments_leave_the_pool_well(open_store: Open) -> None:
    async with open_store(pool_size=2) as store:
        await store.append(a_stream(), lit(300))
        for pauses in range(60):
            reading = asyncio.create_task(log_of(store))
            for _ in range(pauses):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        async with asyncio.timeout(30):
            assert len(await log_of(store)) == 300


async def test_a_long_transaction_elsewhere_holds_nothing_up(
    store: PostgresEventStore, dsn: str
) -> None:
    """Neither a writing transaction in another database, nor one in this that appends nothing."""
    async with asking(dsn) as here, asking(dsn.replace("/postgres?", "/template1?")) as elsewhere:
        for connection in (here, elsewhere):
            await connection.execute("BEGIN; CREATE TEMPORARY TABLE busy (n integer)")
            assert await connection.fetchval("SELECT pg_current_xact_id()::text")
        result = await store.append(a_stream(), lit(2))
        assert await log_of(store) == list(result.recorded)
        assert await store.wait(after=None, timeout=0)


async def test_an_expected_version_may_be_any_number(store: PostgresEventStore) -> None:
    with pytest.raises(VersionConflict):
        await store.append(a_stream(), lit(), expected=10**30)
    assert [seen async for seen in store.read_stream(a_stream(), after=10**30)] == []
    assert [seen async for seen in store.read_all(after=10**30)] == []  # type: ignore[arg-type]  # opaque
