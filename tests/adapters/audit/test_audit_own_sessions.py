"""Records that are written in a session of their own, whatever becomes of the publisher's."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from dashtam_events.adapters.audit import (
    AuditEventHandler,
    AuditLog,
    create_audit_tables,
)
from dashtam_events.bus.session import real_savepoints
from dashtam_events.catalogue import (
    UserLoginAttempted,
    UserLoginFailed,
    UserLoginSucceeded,
)
from dashtam_events.declaration import Phase
from dashtam_events.errors import (
    AuditNotRecorded,
    SessionRequired,
)
from tests.adapters.audit.trails import all_of, audited_bus
from tests.adapters.marked import marked


async def test_attempts_and_failures_outlive_a_rollback_in_a_session_of_their_own(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    bus = audited_bus(AuditEventHandler(own_sessions=async_sessionmaker(engine)))
    await bus.publish(marked(UserLoginAttempted))
    async with AsyncSession(engine) as session:
        await bus.publish(marked(UserLoginSucceeded), session=session)
        await session.rollback()
    await bus.publish(marked(UserLoginFailed))
    assert [each.outcome for each in await all_of(trail)] == ["attempted", "failure"]
    with pytest.raises(SessionRequired):
        await bus.publish(marked(UserLoginSucceeded))


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
async def test_a_failure_is_recorded_out_of_a_transaction_that_has_only_read(
    engine: AsyncEngine, trail: AuditLog, end: str
) -> None:
    """It has a connection, on SQLite the lock for writing: the record is there when it ended."""
    bus = audited_bus(AuditEventHandler(own_sessions=async_sessionmaker(engine)))
    fact = marked(UserLoginFailed)
    async with asyncio.timeout(60), AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        savepoint = await session.begin_nested()
        await bus.publish(fact, session=session)
        await savepoint.rollback()
        await getattr(session, end)()
        assert [each.event_id for each in await all_of(trail)] == [str(fact.event_id)]
        await bus.publish(marked(UserLoginFailed), session=session)
        assert len(await all_of(trail)) == 2


async def test_a_cancelled_request_is_recorded_all_the_same(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    bus = audited_bus(AuditEventHandler(own_sessions=async_sessionmaker(engine)))
    published = asyncio.Event()

    async def request() -> None:
        async with AsyncSession(engine) as session:
            await session.execute(text("SELECT 1"))
            await bus.publish(marked(UserLoginFailed), session=session)
            published.set()
            try:
                await asyncio.sleep(60)
            finally:
                await session.rollback()

    task = asyncio.create_task(request())
    await published.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await all_of(trail)) == 1


async def test_a_record_that_fails_after_the_transaction_is_logged_without_a_value(
    tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """There are no tables."""
    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"))
    bus = audited_bus(AuditEventHandler(own_sessions=async_sessionmaker(engine)))
    fact = marked(UserLoginFailed)
    async with AsyncSession(engine) as session, session.begin():
        await bus.publish(fact, session=session)
    (logged,) = caplog.records
    assert (logged.levelname, logged.msg) == ("ERROR", "audit_not_recorded")
    told = vars(logged)
    assert (told["event_type"], told["event_id"]) == ("UserLoginFailed", str(fact.event_id))
    assert told["reason"] == "OperationalError (SQLITE_ERROR)"
    assert logged.exc_info is None
    await engine.dispose()


async def test_a_lock_that_the_publisher_has_itself_is_said(tmp_path: Any) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    engine = real_savepoints(create_async_engine(url, connect_args={"timeout": 0.1}))
    await create_audit_tables(engine)
    bus = audited_bus(AuditEventHandler(own_sessions=async_sessionmaker(engine)))
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        with pytest.raises(AuditNotRecorded, match=r"SQLITE_BUSY.*pass publish its session"):
            await bus.publish(marked(UserLoginFailed))
    await engine.dispose()


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
async def test_what_waits_for_the_end_is_recorded_in_its_order_after_what_is_committed(
    engine: AsyncEngine, trail: AuditLog, end: str
) -> None:
    bus = audited_bus(AuditEventHandler(own_sessions=async_sessionmaker(engine)))
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        await bus.publish(marked(UserLoginAttempted), session=session)
        await bus.publish(marked(UserLoginSucceeded), session=session)
        await bus.publish(marked(UserLoginFailed), session=session)
        await getattr(session, end)()
    its_own = ["success"] if end == "commit" else []
    assert [each.outcome for each in await all_of(trail)] == [*its_own, "attempted", "failure"]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_without_its_session_one_is_recorded_in_the_middle_of_a_transaction(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    bus = audited_bus(AuditEventHandler(own_sessions=async_sessionmaker(engine)))
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        await bus.publish(marked(UserLoginFailed))
        assert len(await all_of(trail)) == 1


async def test_which_events_have_a_session_of_their_own_may_be_said_by_a_function(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    handler = AuditEventHandler(
        own_sessions=async_sessionmaker(engine),
        own=lambda event: isinstance(event, UserLoginFailed),
    )
    bus = audited_bus(handler)
    await bus.publish(marked(UserLoginFailed))
    with pytest.raises(SessionRequired):
        await bus.publish(marked(UserLoginAttempted))
    handler = AuditEventHandler(own_sessions=async_sessionmaker(engine), own=[Phase.SUCCEEDED])
    await audited_bus(handler).publish(marked(UserLoginSucceeded))
    assert [each.outcome for each in await all_of(trail)] == ["failure", "success"]
