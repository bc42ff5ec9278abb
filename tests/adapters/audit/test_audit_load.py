"""Many publishers at once, and thousands of rollbacks: each record is right, or is not there."""

import asyncio
import json
import random
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from dashtam_events.adapters.audit import AuditEventHandler, AuditLog
from dashtam_events.bus import InMemoryEventBus
from dashtam_events.bus.session import real_savepoints
from dashtam_events.catalogue import (
    ProviderConnectionSucceeded,
    UserLoginFailed,
    UserPasswordChangeSucceeded,
)
from dashtam_events.event import DomainEvent
from tests import counts
from tests.adapters.audit.trails import all_of, audited_bus
from tests.adapters.marked import marked

pytestmark = counts.counted

PUBLISHERS, TOGETHER = 50, 20
EVENTS = counts.of(short=2_000, full=10_000)
ROLLBACKS = counts.of(short=400, full=2_000)


def connected(publisher: int, number: int) -> ProviderConnectionSucceeded:
    return ProviderConnectionSucceeded(
        user_id=UUID(int=publisher),
        connection_id=UUID(int=number),
        provider_id=UUID(int=publisher),
        provider_slug=f"{publisher}-{number}",
    )


async def publisher(bus: InMemoryEventBus, engine: AsyncEngine, name: int) -> None:
    numbers = iter(range(EVENTS // PUBLISHERS))
    for first in numbers:
        async with AsyncSession(engine) as session, session.begin():
            for number in (first, *(next(numbers) for _ in range(TOGETHER - 1))):
                metadata = {"ip_address": f"10.0.0.{name}", "correlation_id": f"{name}-{number}"}
                await bus.publish(connected(name, number), session=session, metadata=metadata)


async def test_of_all_events_of_50_publishers_none_has_the_context_of_another(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    bus = audited_bus()
    await asyncio.gather(*(publisher(bus, engine, name) for name in range(PUBLISHERS)))
    found = await all_of(trail)
    assert len(found) == len({each.event_id for each in found}) == EVENTS
    wrong = []
    for each in found:
        name, number = json.loads(each.context)["provider_slug"].split("-")
        told = (each.ip_address, each.correlation_id, each.user_id, each.resource_id)
        meant = (f"10.0.0.{name}", f"{name}-{number}")
        if told != (*meant, str(UUID(int=int(name))), str(UUID(int=int(number)))):
            wrong.append(each)
    assert wrong == []


async def in_some_savepoints(
    bus: InMemoryEventBus, session: AsyncSession, choose: random.Random
) -> None:
    for _ in range(choose.randrange(1, 4)):
        await bus.publish(marked(UserPasswordChangeSucceeded), session=session)
        if choose.random() < 0.3:
            savepoint = await session.begin_nested()
            await bus.publish(marked(UserPasswordChangeSucceeded), session=session)
            await (savepoint.commit() if choose.random() < 0.5 else savepoint.rollback())


async def give_up(session: AsyncSession, choose: random.Random) -> None:
    """One of the ways in which a transaction comes to nothing."""
    await choose.choice([session.rollback, session.close, session.reset])()


async def test_of_thousands_of_rollbacks_no_record_survives_and_nobody_hears(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    bus, choose, heard, kept = audited_bus(), random.Random(7), set[str](), set[str]()

    async def hear(event: DomainEvent) -> None:
        await asyncio.sleep(0)
        heard.add(str(event.event_id))

    bus.subscribe(UserPasswordChangeSucceeded, hear)
    async with AsyncSession(engine) as session:
        for number in range(ROLLBACKS):
            await in_some_savepoints(bus, session, choose)
            await give_up(session, choose)
            if number % 100 == 0:
                fact = marked(UserPasswordChangeSucceeded)
                await bus.publish(fact, session=session)
                await session.commit()
                kept.add(str(fact.event_id))
    await bus.aclose()
    assert {each.event_id for each in await all_of(trail)} == kept == heard
    assert len(kept) == ROLLBACKS // 100


async def test_50_that_fail_at_once_are_recorded_through_a_pool_of_two(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    small = real_savepoints(
        create_async_engine(engine.url, pool_size=2, max_overflow=0, pool_timeout=60)
    )
    bus = audited_bus(AuditEventHandler(own_sessions=async_sessionmaker(small)))

    async def request() -> str:
        fact = marked(UserLoginFailed)
        async with AsyncSession(small) as session:
            await session.execute(text("SELECT 1"))
            await bus.publish(fact, session=session)
            await session.rollback()
        return str(fact.event_id)

    failed = await asyncio.gather(*(request() for _ in range(PUBLISHERS)))
    assert {each.event_id for each in await all_of(trail)} == set(failed)
    await small.dispose()
