"""No error of a store in a transaction tells a personal value, nor does its chain."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events.bus.session import real_savepoints
from dashtam_events.errors import StoreBusy, StoreError, StoreUnavailable
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal
from dashtam_events.registry import EventRegistry
from dashtam_events.store import SQLiteEventStore
from dashtam_events.store.postgres import migrate
from dashtam_events.testing._store_samples import a_stream
from tests.canary import MARK, assert_silent
from tests.postgres_server import Open, asking


@event(category="guests")
class GuestCame(DomainEvent):
    """A guest came."""

    email: str = personal()


REGISTRY = EventRegistry([GuestCame])
RAISES = """
CREATE FUNCTION {0}.refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'not %', convert_from(NEW.data, 'UTF8'); END $$;
CREATE TRIGGER refuse BEFORE INSERT ON {0}.events FOR EACH ROW EXECUTE FUNCTION {0}.refuse();
"""

TAKEN = """
CREATE SCHEMA {0};
CREATE TABLE {0}.guests AS SELECT '{1}' AS email;
CREATE VIEW {0}.migrations AS SELECT email::integer AS version FROM {0}.guests;
"""


async def _refused(store: Any, kind: type[StoreError] = StoreUnavailable) -> None:
    with pytest.raises(kind) as caught:
        await store.append(a_stream(), [GuestCame(email=MARK)])
    assert_silent(caught.value)


async def test_in_a_transaction_that_has_failed(open_store: Open, dsn: str) -> None:
    engine = create_async_engine(dsn.replace("postgresql", "postgresql+asyncpg", 1))
    async with (
        open_store(registry=REGISTRY) as store,
        engine.connect() as connection,
        asking(dsn) as other,
    ):
        with pytest.raises(Exception, match="division"):
            await connection.execute(text("select 1/0"))
        await _refused(store.within(connection))
        await other.execute("BEGIN")
        with pytest.raises(Exception, match="division"):
            await other.execute("select 1/0")
        await _refused(store.within(other))
    await engine.dispose()


async def test_on_a_connection_that_was_terminated(open_store: Open, dsn: str) -> None:
    """The first append finds it lost, the next finds it marked so."""
    engine = create_async_engine(dsn.replace("postgresql", "postgresql+asyncpg", 1))
    async with (
        open_store(registry=REGISTRY) as store,
        engine.connect() as connection,
        asking(dsn) as other,
    ):
        pid = await connection.scalar(text("select pg_backend_pid()"))
        await other.execute("select pg_terminate_backend($1)", pid)
        await asyncio.sleep(0.2)
        await _refused(store.within(connection))
        await _refused(store.within(connection))
    await engine.dispose()


@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout"])
async def test_while_it_waits_for_the_lock(open_store: Open, dsn: str, setting: str) -> None:
    engine = create_async_engine(dsn.replace("postgresql", "postgresql+asyncpg", 1))
    kind = StoreBusy if setting == "lock_timeout" else StoreUnavailable
    async with (
        open_store(registry=REGISTRY, busy_timeout=0.3) as store,
        engine.connect() as connection,
        asking(dsn) as other,
        other.transaction(),
    ):
        await store.within(other).append(a_stream(), [GuestCame(email=MARK)])
        await connection.execute(text(f"set local {setting} = 200"))
        await _refused(store.within(connection), kind)
    await engine.dispose()


async def test_where_a_trigger_raises(open_store: Open, dsn: str, schema: str) -> None:
    """The store by itself is as silent as it is in a transaction."""
    engine = create_async_engine(dsn.replace("postgresql", "postgresql+asyncpg", 1))
    async with open_store(registry=REGISTRY) as store, asking(dsn) as other:
        await other.execute(RAISES.format(schema))
        async with engine.connect() as connection:
            await _refused(store.within(connection))
        async with other.transaction():
            await _refused(store.within(other))
        await _refused(store)
    await engine.dispose()


async def test_where_a_migration_fails(dsn: str, schema: str) -> None:
    """Here over what stands in a table of somebody else, which the server quotes."""
    async with asking(dsn) as connection:
        await connection.execute(TAKEN.format(schema, MARK))
    with pytest.raises(StoreUnavailable) as caught:
        await migrate(dsn, schema=schema)
    assert_silent(caught.value)


async def test_in_sqlite(tmp_path: Path) -> None:
    """A trigger that raises, and a file that is locked."""
    path = tmp_path / "test.db"
    url = f"sqlite+aiosqlite:///{path}"
    engine = real_savepoints(create_async_engine(url, connect_args={"timeout": 0.1}))
    reading = create_async_engine(url, connect_args={"timeout": 0.1})
    real_savepoints(reading, begin="DEFERRED")
    async with SQLiteEventStore(path, registry=REGISTRY) as store:
        async with engine.connect() as connection, reading.connect() as waiting:
            await connection.execute(text("select 1"))
            await _refused(store.within(waiting), StoreBusy)
        raises = "CREATE TRIGGER t BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'no'); END"
        async with engine.begin() as connection:
            await connection.execute(text(raises))
        async with engine.connect() as connection:
            await _refused(store.within(connection))
    await engine.dispose()
    await reading.dispose()
