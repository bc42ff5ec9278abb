"""Ours: the public interface, as a service uses it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

from sqlalchemy import Column, Integer, String
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from dashtam_events import Repository, StreamId
from dashtam_events.recorded import RecordedEvent
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions.sql import Projection, Projector
from tests.benchmarks.postgres.server import CONNECTIONS, address, new_schema
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


class Syncs(Projection):
    """How often each provider was synced."""

    def __init__(self, schema: str) -> None:
        self.name = schema  # type: ignore[misc]  # a view of its own for each sample
        super().__init__()

    def define(self) -> None:
        self.syncs = self.table(
            f"syncs_{self.name}",
            Column("provider", String, primary_key=True),
            Column("number", Integer, nullable=False),
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await self.apply_batch(connection, [recorded])

    async def apply_batch(
        self, connection: AsyncConnection, recorded: Sequence[RecordedEvent]
    ) -> None:
        synced = Counter(
            each.event.provider_slug
            for each in recorded
            if isinstance(each.event, ConnectionSynced)
        )
        for provider, number in synced.items():
            row = insert(self.syncs).values(provider=provider, number=number)
            raised = {"number": self.syncs.c.number + row.excluded.number}
            await connection.execute(
                row.on_conflict_do_update(index_elements=["provider"], set_=raised)
            )


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
