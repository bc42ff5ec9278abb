"""Ours: the public interface, as a service uses it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events import Repository, StreamId
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions.sql import Projector
from tests.benchmarks.postgres.server import CONNECTIONS, address, new_schema
from tests.benchmarks.views import Syncs
from tests.benchmarks.workload import BENCH, FIELDS, Connection, ConnectionSynced, timed

__all__ = ["append", "concurrent", "project"]


@asynccontextmanager
async def _opened() -> AsyncIterator[PostgresEventStore]:
    schema = new_schema("ours")
    async with PostgresEventStore(address(), registry=BENCH, schema=schema) as store:
        yield store


async def append(saves: int, per_save: int) -> float:
    """`Repository.save`, one a batch of events."""
    async with _opened() as store:
        repository = Repository(store, Connection)
        connection = Connection.start()
        connection.sync()
        await repository.save(connection)
        with timed(saves * per_save) as cost:
            for _ in range(saves):
                for _ in range(per_save):
                    connection.sync()
                await repository.save(connection)
    return cost[0]


async def concurrent(saves: int) -> float:
    """Many tasks, each saving one event at a time to its own stream."""

    async def one(store: PostgresEventStore) -> None:
        stream = StreamId("bench", uuid4())
        for version in range(saves):
            await store.append(stream, [ConnectionSynced(**FIELDS)], expected=version)  # type: ignore[arg-type]  # a dict of mixed values

    async with _opened() as store:
        await store.append(StreamId("bench", uuid4()), [ConnectionSynced(**FIELDS)])  # type: ignore[arg-type]  # a dict of mixed values
        with timed(CONNECTIONS * saves) as cost:
            await asyncio.gather(*(one(store) for _ in range(CONNECTIONS)))
    return cost[0]


async def project(events: int) -> float:
    """`Projector.run_once` over a log."""
    engine = create_async_engine(address().replace("postgresql:", "postgresql+asyncpg:"))
    async with _opened() as store:
        made = [ConnectionSynced(**FIELDS) for _ in range(events)]  # type: ignore[arg-type]  # a dict of mixed values
        await store.append(StreamId("bench", uuid4()), made)
        projector = Projector(store, Syncs(new_schema("view")), engine)
        with timed(events) as cost:
            await projector.run_once()
    await engine.dispose()
    return cost[0]
