"""The audit trail of the page: it follows the store, so that it holds what anybody wrote there."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

from dashtam_events.adapters.audit import AuditEventHandler, AuditLog, create_audit_tables
from dashtam_events.bus import InMemoryEventBus
from dashtam_events.bus.session import real_savepoints
from dashtam_events.catalogue import CATALOGUE
from dashtam_events.recorded import Position
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions import BEGINNING, Relay

__all__ = ["following_trail"]


@asynccontextmanager
async def following_trail(store: EventStore, path: Path) -> AsyncGenerator[AuditLog, None]:
    """An audit trail in a file, kept up with a store for as long as the context lasts.

    A service publishes in the transaction of the request, and the record is part of that. Here
    other processes write to the store as well, so a relay tells of whatever is there. The record
    that was written last says how far that went: there is no other place to keep it.
    """
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    real_savepoints(engine)
    try:
        await create_audit_tables(engine)
        trail = AuditLog(engine)
        start = await _reached(store, trail) or BEGINNING
        async with Relay(store, _bus(engine), start=start, poll=1.0):
            yield trail
    finally:
        await engine.dispose()


def _bus(engine: AsyncEngine) -> InMemoryEventBus:
    bus = InMemoryEventBus()
    sessions = async_sessionmaker(engine)
    handler = AuditEventHandler(own_sessions=sessions, own=lambda _event: True)
    bus.subscribe(CATALOGUE.audited(), handler)
    return bus


async def _reached(store: EventStore, trail: AuditLog) -> Position | None:
    newest = (await trail.page(limit=1)).records
    return await store.position_of(UUID(newest[0].event_id)) if newest else None
