"""Appending to a SQLite store inside the caller's own transaction."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from dashtam_events.bus.session import BEGIN, real_savepoints
from dashtam_events.errors import SavepointsNotReal, StoreBusy, StoreClosed, StoreUnavailable
from dashtam_events.store import Append, EventStore, SQLiteEventStore
from dashtam_events.testing import CONTRACT_EVENTS, StoreContract
from dashtam_events.testing._store_samples import a_stream, lit, log_of, stream_of
from tests.store.starting import ENVIRONMENT
from tests.store.within import WithinTests


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteEventStore]:
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS, busy_timeout=60) as store:
        yield store


@pytest.fixture
async def engine(store: SQLiteEventStore, path: Path) -> AsyncIterator[AsyncEngine]:
    patient = {"timeout": 60}
    url = f"sqlite+aiosqlite:///{path}"
    engine = real_savepoints(create_async_engine(url, connect_args=patient))
    yield engine
    await engine.dispose()


class TestWithin(WithinTests):
    pass


class TestAllInOneTransaction(StoreContract):
    """The whole contract, but for waiting: who waits is told of what is committed."""

    @pytest.fixture
    async def store(
        self, store: SQLiteEventStore, engine: AsyncEngine
    ) -> AsyncIterator[EventStore]:
        async with engine.connect() as connection:
            yield store.within(connection)

    test_waiting_ends_at_once_where_the_log_goes_on = None  # type: ignore[assignment]  # not here
    test_an_append_wakes_all_who_wait = None  # type: ignore[assignment]  # not here
    test_waiting_may_be_cancelled = None  # type: ignore[assignment]  # not here
    test_readers_who_follow_miss_and_repeat_nothing = None  # type: ignore[assignment]  # not here


async def test_a_session_on_another_file_is_refused_before_anything_is_written(
    store: SQLiteEventStore, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    async with SQLiteEventStore(other, registry=CONTRACT_EVENTS) as theirs:
        for url in (other, ":memory:"):
            engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{url}"))
            async with AsyncSession(engine) as session:
                inside = store.within(session)
                with pytest.raises(StoreUnavailable, match="another database"):
                    await inside.append(a_stream(), lit())
                with pytest.raises(StoreUnavailable, match="another database"):
                    await log_of(inside)
                await session.commit()
            await engine.dispose()
        assert await log_of(theirs) == []
    assert await log_of(store) == []


async def test_the_same_file_by_another_name_is_the_same(
    store: SQLiteEventStore, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    url = f"sqlite+aiosqlite:///{tmp_path / 'link' / path.name}"
    engine = real_savepoints(create_async_engine(url))
    async with engine.begin() as connection:
        await store.within(connection).append(a_stream(), lit())
    await engine.dispose()
    assert len(await log_of(store)) == 1


@pytest.mark.parametrize("isolation", [None, "AUTOCOMMIT"])
async def test_an_engine_whose_savepoints_would_commit_is_refused(
    store: SQLiteEventStore, path: Path, isolation: str | None
) -> None:
    options = {} if isolation is None else {"isolation_level": isolation}
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", **options)
    async with AsyncSession(engine) as session:
        with pytest.raises(SavepointsNotReal):
            await store.within(session).append(a_stream(), lit())
    await engine.dispose()
    assert await log_of(store) == []


async def test_a_snapshot_from_before_another_commit_is_busy_and_says_what_to_do(
    store: SQLiteEventStore, engine: AsyncEngine
) -> None:
    deferred = engine.execution_options(**{BEGIN: "DEFERRED"})
    async with AsyncSession(deferred) as session:
        await session.execute(text("SELECT count(*) FROM events"))
        await store.append(a_stream(), lit())
        with pytest.raises(StoreBusy, match="BEGIN IMMEDIATE"):
            await store.within(session).append(a_stream(), lit())
        await session.rollback()
        await store.within(session).append(a_stream(), lit())
        await session.commit()
    assert len(await log_of(store)) == 2


async def test_a_deferred_transaction_waits_for_the_writer_before_it(
    store: SQLiteEventStore, path: Path, engine: AsyncEngine
) -> None:
    """Nothing is read before the lock is there: what others commit meanwhile does no harm."""
    deferred = engine.execution_options(**{BEGIN: "DEFERRED"})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with AsyncSession(deferred) as session:
            appending = asyncio.create_task(store.within(session).append(a_stream(), lit()))
            await asyncio.sleep(0.1)
            other.execute("CREATE TABLE theirs (n)")
            other.execute("COMMIT")
            await appending
            await session.commit()
    assert len(await log_of(store)) == 1


async def test_waiting_for_another_writer_is_bounded(store: SQLiteEventStore, path: Path) -> None:
    url = f"sqlite+aiosqlite:///{path}"
    engine = real_savepoints(create_async_engine(url, connect_args={"timeout": 0.1}))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with AsyncSession(engine) as session:
            with pytest.raises(StoreBusy, match="try again"):
                await store.within(session).append(a_stream(), lit())
        other.execute("ROLLBACK")
    async with AsyncSession(engine) as session, session.begin():
        await store.within(session).append(a_stream(), lit())
    await engine.dispose()
    assert len(await log_of(store)) == 1


async def test_a_transaction_that_is_over_or_broken_is_told_as_ours(
    store: SQLiteEventStore, engine: AsyncEngine
) -> None:
    connection = await engine.connect()
    await connection.close()
    with pytest.raises(StoreUnavailable, match="roll it back"):
        await store.within(connection).append(a_stream(), lit())
    async with AsyncSession(engine) as session:
        await store.within(session).append(a_stream(), lit())
        await (await session.connection()).invalidate()
        with pytest.raises(StoreUnavailable, match="roll it back"):
            await store.within(session).append(a_stream(), lit())
    assert await log_of(store) == []


async def test_an_engine_that_fails_in_the_middle_leaves_nothing_of_the_append(
    store: SQLiteEventStore, engine: AsyncEngine
) -> None:
    """The first stream is written when the second fails; the transaction goes on without both."""
    async with engine.begin() as connection:
        forbid = "CREATE TRIGGER no BEFORE INSERT ON attachments BEGIN SELECT no_such(); END"
        await connection.execute(text(forbid))
        inside = store.within(connection)
        await inside.append(a_stream(), lit())
        together = [
            Append(stream=a_stream(), events=lit(2)),
            Append(stream=a_stream(), events=lit(), attachments={"note": b"x"}),
        ]
        with pytest.raises(StoreUnavailable, match="SQLite says"):
            await inside.append_many(together)
        await inside.append(a_stream(), lit(3))
    assert len(await log_of(store)) == 4


async def test_a_cancelled_append_is_whole_or_absent_in_the_transaction_that_goes_on(
    store: SQLiteEventStore, engine: AsyncEngine
) -> None:
    async with AsyncSession(engine) as session, session.begin():
        inside = store.within(session)
        streams = [(a_stream(), a_stream()) for _ in range(40)]
        for number, both in enumerate(streams):
            appends = [Append(stream=each, events=lit(2)) for each in both]
            appending = asyncio.create_task(inside.append_many(appends))
            await asyncio.sleep(0.0001 * number)
            appending.cancel()
            await asyncio.gather(appending, return_exceptions=True)
        await inside.append(a_stream(), lit())
    for both in streams:
        lengths = {len(await stream_of(store, each)) for each in both}
        assert lengths in ({0}, {2})
    positions = [recorded.position for recorded in await log_of(store)]
    assert positions == list(range(1, len(positions) + 1))


async def test_a_store_that_is_closed_or_only_reads_joins_nothing(
    path: Path, store: SQLiteEventStore, engine: AsyncEngine
) -> None:
    async with AsyncSession(engine) as session:
        with pytest.raises(StoreClosed):
            SQLiteEventStore(path, registry=CONTRACT_EVENTS).within(session)
        async with SQLiteEventStore(path, registry=CONTRACT_EVENTS, read_only=True) as reading:
            with pytest.raises(StoreUnavailable, match="reading only"):
                reading.within(session)


async def test_another_process_that_waits_hears_of_the_commit(
    store: SQLiteEventStore, engine: AsyncEngine, path: Path
) -> None:
    waiting = """
import asyncio, sys
from dashtam_events.store import SQLiteEventStore
from dashtam_events.testing import CONTRACT_EVENTS

async def main():
    async with SQLiteEventStore(sys.argv[1], registry=CONTRACT_EVENTS) as store:
        print("ready", flush=True)
        print(await store.wait(after=None, timeout=60), flush=True)

asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", waiting, str(path), stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    async with engine.begin() as connection:
        await store.within(connection).append(a_stream(), lit())
    async with asyncio.timeout(30):
        assert await child.stdout.readline() == b"True\n"
        assert await child.wait() == 0
