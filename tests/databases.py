"""Databases that the tests run on: SQLite in a file, and PostgreSQL from a wheel."""

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from dashtam_events.bus.session import real_savepoints
from tests.postgres_wheel import server_in

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[URL]:
    """A server of PostgreSQL for as long as the tests run."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = server_in(folder)
        yield make_url(server.get_uri()).set(drivername="postgresql+asyncpg")
        server.cleanup()


def plain_address(url: URL) -> str:
    """The address of a database as libpq has it: for drivers, and for those who are given one."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@asynccontextmanager
async def new_database(postgres: URL) -> AsyncGenerator[URL, None]:
    """A database of its own on that server."""
    name = f"test_{next(_numbers)}"
    server = create_async_engine(postgres, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with server.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres.set(database=name)
    async with server.connect() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@asynccontextmanager
async def new_sqlite(folder: Path) -> AsyncGenerator[URL, None]:
    """A database in a file."""
    yield make_url(f"sqlite+aiosqlite:///{folder / 'test.db'}")


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """An engine on an empty database, of one kind after the other."""
    if request.param == "sqlite":
        made, options = new_sqlite(tmp_path), {"connect_args": {"timeout": 60}}
    else:
        made, options = new_database(request.getfixturevalue("postgres")), {}
    async with made as url:
        engine = create_async_engine(url, pool_size=20, max_overflow=40, **options)
        yield real_savepoints(engine)
        await engine.dispose()
