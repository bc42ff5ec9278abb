"""The stores that projections are written from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from dashtam_events.store import EventStore, InMemoryEventStore
from dashtam_events.store.postgres import PostgresEventStore
from tests.subscriptions.houses import REGISTRY

__all__ = ["store_beside"]


@asynccontextmanager
async def store_beside(engine: AsyncEngine) -> AsyncIterator[EventStore]:
    """A store in the database of an engine, where that is one of PostgreSQL; else in memory."""
    if engine.dialect.name != "postgresql":
        yield InMemoryEventStore(registry=REGISTRY)
        return
    address = engine.url.render_as_string(hide_password=False)
    async with PostgresEventStore(address, registry=REGISTRY) as store:
        yield store
