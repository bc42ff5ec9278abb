"""Writing and reading a trail in one line."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from dashtam_events.adapters.audit import AuditEventHandler, AuditLog, AuditRecord
from dashtam_events.bus import InMemoryEventBus
from dashtam_events.catalogue import CATALOGUE
from dashtam_events.event import DomainEvent

REQUEST = {
    "ip_address": "192.0.2.7",
    "user_agent": "tests",
    "correlation_id": "request-7",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
}


def audited_bus(handler: AuditEventHandler | None = None) -> InMemoryEventBus:
    bus = InMemoryEventBus()
    bus.subscribe(CATALOGUE, handler or AuditEventHandler())
    return bus


async def record(
    engine: AsyncEngine,
    *events: DomainEvent,
    metadata: Any = REQUEST,
    handler: AuditEventHandler | None = None,
) -> None:
    """Publish events in a transaction and commit it."""
    bus = audited_bus(handler)
    async with AsyncSession(engine) as session:
        for event in events:
            await bus.publish(event, session=session, metadata=metadata)
        await session.commit()


async def all_of(trail: AuditLog, **filters: Any) -> list[AuditRecord]:
    return [each async for each in trail.records(newest_first=False, **filters)]


async def only(trail: AuditLog) -> Any:
    """The one record that there is."""
    (found,) = await all_of(trail)
    return found


async def everything_in(engine: AsyncEngine) -> str:
    """All that both tables hold, as text."""
    async with engine.connect() as connection:
        rows = [*await connection.execute(text("SELECT * FROM audit_log"))]
        rows += [*await connection.execute(text("SELECT * FROM audit_personal"))]
    return str(rows)
