"""A transaction of another database than the store's takes no event of the store."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event, inspect
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from dashtam_events.errors import StoreClosed, StoreUnavailable
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions.sql import InlineProjections
from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.databases import new_database, plain_address
from tests.postgres_server import Open, asking, mortal_server
from tests.subscriptions.inlines import Lamps

__all__ = ["mortal_server"]

REFUSED = r"one of another database: trying again will not help"


@pytest.fixture
async def store(open_store: Open) -> AsyncIterator[PostgresEventStore]:
    async with open_store() as store:
        yield store
        assert await log_of(store) == []


@pytest.fixture(params=["with the schema", "empty"])
async def elsewhere(
    request: pytest.FixtureRequest, postgres: URL, open_store: Open
) -> AsyncIterator[URL]:
    """Another database of the same server; in one of the two a store could work."""
    async with new_database(postgres) as url:
        if request.param == "empty":
            yield url
            return
        async with open_store(_address(url)):
            pass
        yield url
        async with open_store(_address(url)) as other:
            assert await log_of(other) == []


def _address(url: URL) -> str:
    return plain_address(url)


async def test_a_connection_of_the_driver_is_refused(
    store: PostgresEventStore, elsewhere: URL
) -> None:
    async with asking(_address(elsewhere)) as connection, connection.transaction():
        inside = store.within(connection)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=REFUSED):
                await inside.append(a_stream(), lit())
        with pytest.raises(StoreUnavailable, match=REFUSED):
            await inside.last_position()


async def test_a_connection_that_a_pool_lends_is_refused(
    store: PostgresEventStore, elsewhere: URL
) -> None:
    async with (
        asyncpg.create_pool(_address(elsewhere), min_size=1) as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        with pytest.raises(StoreUnavailable, match=REFUSED):
            await store.within(connection).append(a_stream(), lit())


async def test_a_session_is_refused(store: PostgresEventStore, elsewhere: URL) -> None:
    engine = create_async_engine(elsewhere)
    for given in (AsyncSession(engine), engine.connect()):
        async with given as transaction:
            with pytest.raises(StoreUnavailable, match=REFUSED):
                await store.within(transaction).append(a_stream(), lit())
            await transaction.commit()
    await engine.dispose()


async def test_a_server_of_another_start_is_refused(
    store: PostgresEventStore, open_store: Open, mortal_server: Any
) -> None:
    """Its database may have the same number, as in a copy."""
    address = mortal_server.get_uri()
    async with open_store(address) as copy, asking(address) as connection:
        async with connection.transaction():
            with pytest.raises(StoreUnavailable, match=REFUSED):
                await store.within(connection).append(a_stream(), lit())
        async with connection.transaction():
            await copy.within(connection).append(a_stream(), lit())


async def test_inline_projections_are_refused(store: PostgresEventStore, elsewhere: URL) -> None:
    def tables(connection: Any) -> list[str]:
        names: list[str] = inspect(connection).get_table_names()
        return names

    engine = create_async_engine(elsewhere)
    async with AsyncSession(engine) as session:
        for source in (engine, session):
            inline = InlineProjections(store, source, [Lamps()])
            with pytest.raises(StoreUnavailable, match=REFUSED):
                await inline.catch_up()
            with pytest.raises(StoreUnavailable, match=REFUSED):
                await inline.append(a_stream(), lit())
        await session.commit()
    async with engine.connect() as connection:
        assert await connection.run_sync(tables) == []
    await engine.dispose()


async def test_a_connection_of_an_engine_is_asked_once(
    store: PostgresEventStore, postgres: URL
) -> None:
    asked: list[str] = []
    engine = create_async_engine(postgres, pool_size=1)

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    for _ in range(3):
        async with engine.begin() as connection:
            await store.within(connection).last_position()
    await engine.dispose()
    assert ["pg_postmaster_start_time" in one for one in asked] == [True, *[False] * 3]


async def test_a_store_that_is_closed_cannot_tell(open_store: Open, dsn: str) -> None:
    once_open = open_store()
    async with once_open:
        pass
    async with asking(dsn) as connection, connection.transaction():
        for store in (open_store(), once_open):
            with pytest.raises(StoreClosed):
                await store.within(connection).last_position()
