"""Appending to a PostgreSQL store inside the caller's own transaction."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from dashtam_events.errors import DuplicateEvent, StoreUnavailable, VersionConflict
from dashtam_events.store import Append
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.testing._store_appending import AppendingContract
from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.postgres_server import Open, asking
from tests.store.following import follow
from tests.store.within import Committing, WithinTests


@pytest.fixture
async def store(open_store: Open) -> AsyncIterator[PostgresEventStore]:
    """Without a poll that would make up for a notification, and patient with other writers."""
    async with open_store(poll_interval=600, busy_timeout=25) as store:
        yield store


@pytest.fixture
async def engine(postgres: URL) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(postgres)
    yield engine
    await engine.dispose()


class TestWithin(WithinTests):
    pass


class TestEachAppendInATransaction(AppendingContract):
    @pytest.fixture
    async def store(self, store: PostgresEventStore, engine: AsyncEngine) -> Committing:
        return Committing(store, engine)


async def test_a_refused_append_leaves_a_transaction_of_the_driver_as_it_was(
    store: PostgresEventStore, dsn: str
) -> None:
    stream, known = a_stream(), lit()
    await store.append(stream, known)
    async with asking(dsn) as connection, connection.transaction():
        inside = store.within(connection)
        with pytest.raises(VersionConflict):
            await inside.append_many(
                [
                    Append(stream=a_stream(), events=lit()),
                    Append(stream=stream, events=lit(), expected=0),
                ]
            )
        with pytest.raises(DuplicateEvent):
            await inside.append(a_stream(), known)
        again = await inside.append(stream, known)
        assert again.version == 1
        await inside.append(stream, lit(), expected=1)
    assert len(await log_of(store)) == 2


async def test_a_snapshot_that_is_older_than_the_lock_is_refused(
    store: PostgresEventStore, dsn: str
) -> None:
    async with asking(dsn) as connection:
        transaction = connection.transaction(isolation="repeatable_read")
        await transaction.start()
        with pytest.raises(StoreUnavailable, match=r"READ COMMITTED.* will not help"):
            await store.within(connection).append(a_stream(), lit())
        await transaction.rollback()
    assert await log_of(store) == []


async def test_a_connection_outside_of_a_transaction_is_refused(
    store: PostgresEventStore, dsn: str
) -> None:
    async with asking(dsn) as connection:
        inside = store.within(connection)
        with pytest.raises(StoreUnavailable, match="in no transaction"):
            await inside.append(a_stream(), lit())
        async with connection.transaction():
            await inside.append(a_stream(), lit())
        with pytest.raises(StoreUnavailable, match="in no transaction"):
            await inside.append(a_stream(), lit())
    assert len(await log_of(store)) == 1


@pytest.mark.parametrize("whole", [True, False], ids=["engine", "connection"])
async def test_autocommit_is_refused(
    store: PostgresEventStore, postgres: URL, engine: AsyncEngine, whole: bool
) -> None:
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    if whole:
        alone = create_async_engine(postgres, isolation_level="AUTOCOMMIT")
    for given in (alone.connect(), AsyncSession(alone)):
        async with given as transaction:
            with pytest.raises(StoreUnavailable, match=r"AUTOCOMMIT.* will not help"):
                await store.within(transaction).append(a_stream(), lit())
    await alone.dispose()
    assert await log_of(store) == []


async def test_a_session_of_another_database_is_refused_as_one(store: PostgresEventStore) -> None:
    elsewhere = create_async_engine("sqlite+aiosqlite://")
    async with AsyncSession(elsewhere) as session:
        with pytest.raises(StoreUnavailable, match="one of another database"):
            await store.within(session).append(a_stream(), lit())
    await elsewhere.dispose()


async def test_errors_of_the_callers_connection_are_errors_of_ours(
    store: PostgresEventStore, engine: AsyncEngine, dsn: str
) -> None:
    async with asking(dsn) as connection:
        await connection.close()
        with pytest.raises(StoreUnavailable, match="lost"):
            await store.within(connection).append(a_stream(), lit())
    async with AsyncSession(engine) as session:
        with pytest.raises(Exception, match="nothing"):
            await session.execute(text("SELECT * FROM nothing"))
        with pytest.raises(StoreUnavailable, match="roll it back"):
            await store.within(session).append(a_stream(), lit())


async def test_a_reader_misses_nothing_of_transactions_that_wrote_before_they_append(
    store: PostgresEventStore, dsn: str
) -> None:
    """Transactions that took their number early commit late, some never: the feed has no hole."""
    following = asyncio.create_task(follow(store, until=3 * 40 + 40))
    await asyncio.gather(
        *(_append_late(store, dsn, number) for number in range(8)),
        *(_append_directly(store) for _ in range(4)),
    )
    async with asyncio.timeout(60):
        seen = await following
    assert seen == await log_of(store)


async def _append_directly(store: PostgresEventStore) -> None:
    stream = a_stream()
    for version in range(10):
        await store.append(stream, lit(), expected=version)
        await asyncio.sleep(0.002)


async def _append_late(store: PostgresEventStore, dsn: str, number: int) -> None:
    stream, version = a_stream(), 0
    async with asking(dsn) as connection:
        for turn in range(10):
            transaction = connection.transaction()
            await transaction.start()
            await connection.fetchval("SELECT pg_current_xact_id()::text")
            await asyncio.sleep(0.001 * (number % 4))
            await store.within(connection).append(stream, lit(3), expected=version)
            if turn % 2:
                await transaction.rollback()
            else:
                await transaction.commit()
                version += 3


async def test_a_checker_of_types_objects_to_what_is_no_transaction(
    store: PostgresEventStore,
) -> None:
    with pytest.raises(TypeError, match="give a connection of asyncpg"):
        store.within(3)  # type: ignore[arg-type]  # what it must object to
    with pytest.raises(TypeError, match="give a connection of asyncpg"):
        store.within(None)  # type: ignore[arg-type]  # the same
