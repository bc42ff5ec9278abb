"""The stores that are followed, and where it is kept how far."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dashtam_events.bus.session import real_savepoints
from dashtam_events.recorded import StreamId
from dashtam_events.store import EventStore, InMemoryEventStore, SQLiteEventStore
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions import CheckpointStore, InMemoryCheckpointStore
from dashtam_events.subscriptions.sql import (
    SUBSCRIPTION_METADATA,
    SQLCheckpointStore,
    create_subscription_tables,
)
from tests.databases import engine, postgres
from tests.subscriptions.houses import NEWER, REGISTRY, WiderWindow, open_doors

__all__ = ["checkpoints", "engine", "from_elsewhere", "postgres", "store"]

_numbers = count(1)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield InMemoryEventStore(registry=REGISTRY)
        return
    if request.param == "sqlite":
        async with SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY) as store:
            yield store
        return
    url: URL = request.getfixturevalue("postgres")
    address, schema = url.render_as_string(hide_password=False), f"followed_{next(_numbers)}"
    async with PostgresEventStore(address, registry=REGISTRY, schema=schema) as followed:
        yield followed


@pytest.fixture(params=["in memory", "in sqlite", "in postgresql"])
async def checkpoints(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[CheckpointStore]:
    if request.param == "in memory":
        yield InMemoryCheckpointStore()
        return
    if request.param == "in sqlite":
        made = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'progress.db'}")
        async with _kept_in(real_savepoints(made)) as kept:
            yield kept
        return
    url: URL = request.getfixturevalue("postgres")
    async with _kept_in(create_async_engine(url)) as kept:
        yield kept


@asynccontextmanager
async def _kept_in(engine: AsyncEngine) -> AsyncIterator[CheckpointStore]:
    await create_subscription_tables(engine)
    yield SQLCheckpointStore(engine)
    async with engine.begin() as connection:
        await connection.run_sync(SUBSCRIPTION_METADATA.drop_all)
    await engine.dispose()


@pytest.fixture
async def from_elsewhere(tmp_path: Path) -> Path:
    """A store that holds an event nobody knows, and one of a newer release, among doors."""
    async with SQLiteEventStore(tmp_path / "shared.db", registry=NEWER) as store:
        await open_doors(store, 1)
        await store.append(StreamId("house", "new"), [WiderWindow(number=2, size=3)])
        await open_doors(store, 3)
    return tmp_path / "shared.db"
