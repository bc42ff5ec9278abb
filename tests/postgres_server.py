"""Stores of PostgreSQL for the tests: each in a schema of its own, and a server to be stopped."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import URL

from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.testing import CONTRACT_EVENTS
from tests.databases import plain_address, postgres
from tests.postgres_wheel import server_in

__all__ = [
    "Listening",
    "Open",
    "asking",
    "dsn",
    "end",
    "listening",
    "mortal_server",
    "open_store",
    "postgres",
    "schema",
    "wait_for_lock",
]

Open = Callable[..., PostgresEventStore]
Listening = Callable[[], Awaitable[int]]

_numbers = count(1)


@pytest.fixture
def dsn(postgres: URL) -> str:
    """The address of a database in which everybody has a schema of their own."""
    return plain_address(postgres)


@pytest.fixture
def schema() -> str:
    """A schema that is not there yet."""
    return f"test_{next(_numbers)}"


@pytest.fixture
def open_store(dsn: str, schema: str) -> Open:
    """Makes stores that share the schema, each to be opened."""

    def make(address: str = dsn, **options: Any) -> PostgresEventStore:
        chosen: dict[str, Any] = {"schema": schema, "registry": CONTRACT_EVENTS}
        return PostgresEventStore(address, **chosen | options)

    return make


@asynccontextmanager
async def asking(dsn: str) -> AsyncIterator[Any]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def end(connection: Any, pid: int) -> None:
    """End a connection of the server, and wait until it is gone."""
    assert await connection.fetchval("SELECT pg_terminate_backend($1, 60000)", pid)


async def wait_for_lock(dsn: str, schema: str) -> int:
    """The connection on which an append to a schema waits for its turn, once one does."""
    sql = """
    SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0
    """
    async with asking(dsn) as connection, asyncio.timeout(60):
        while (pid := await connection.fetchval(sql, f"{schema}.append")) is None:
            await connection.execute("SELECT pg_sleep(0.01)")
    found: int = pid
    return found


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Listening:
    """Waits for the next connection that listens to a store's notifications; its process."""
    pids: asyncio.Queue[int] = asyncio.Queue()
    add = asyncpg.Connection.add_listener

    async def adding(connection: Any, *told: Any) -> None:
        await add(connection, *told)
        pids.put_nowait(connection.get_server_pid())

    async def next_one() -> int:
        async with asyncio.timeout(60):
            return await pids.get()

    monkeypatch.setattr(asyncpg.Connection, "add_listener", adding)
    return next_one


@pytest.fixture(scope="session")
def mortal_server() -> Iterator[Any]:
    """A server of its own for the tests that stop it; it has `get_uri`, `pgdata` and `bin_path`."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = server_in(Path(folder, "data"))
        yield server
        server.cleanup()
