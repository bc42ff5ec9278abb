"""The audit trail tells no secret, and nothing personal where nobody asked, whatever goes wrong."""

import asyncio
import logging
import traceback
from typing import Any

import attrs
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from dashtam_events.adapters.audit import AuditEventHandler, AuditLog
from dashtam_events.bus import EventContext
from dashtam_events.catalogue import CATALOGUE, UserLoginFailed, UserRegistrationSucceeded
from dashtam_events.errors import AuditNotRecorded, AuditUnreadable
from dashtam_events.recorded import EventMetadata
from tests.adapters.audit.trails import all_of, audited_bus, everything_in, record
from tests.adapters.marked import METADATA, PERSONAL, SECRET, marked

# The trail has columns for these three; a session's own event may carry them as fields.
DECLARED = {"actor", "ip_address", "user_agent"}
UNMARKED = attrs.evolve(METADATA, actor="admin", ip_address="192.0.2.7", user_agent="tests")


def shown(error: BaseException) -> str:
    """An exception as the most talkative of error reporters would show it."""
    told, seen = [repr(error), str(error), repr(vars(error))], [error]
    for each in seen:
        lines = traceback.TracebackException.from_exception(each, capture_locals=True).format()
        told += lines
        seen += [other for other in (each.__cause__, each.__context__) if other is not None]
    return "".join(told)


def without_test(caught: pytest.ExceptionInfo[Any]) -> BaseException:
    """The error without the frame of the test, which holds whatever it likes."""
    error: BaseException = caught.value
    error.__traceback__ = caught.tb.tb_next
    return error


def assert_clean(told: str, caplog: pytest.LogCaptureFixture) -> None:
    logged = "".join(repr(vars(each)) for each in caplog.records)
    for private in (SECRET, PERSONAL):
        assert private not in told
        assert private not in logged


async def exported(trail: AuditLog) -> str:
    lines = [line async for line in trail.export_csv()]
    return "".join(lines + [line async for line in trail.export_jsonl()])


async def test_the_table_and_its_exports_hold_nothing_private(
    engine: AsyncEngine, trail: AuditLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "dashtam_events")
    await record(engine, *(marked(cls) for cls in CATALOGUE), metadata=UNMARKED)
    assert len(await all_of(trail)) == 72
    assert_clean(await everything_in(engine) + await exported(trail), caplog)
    assert_clean(repr(await all_of(trail)), caplog)


async def test_what_is_kept_apart_is_personal_and_never_secret(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    apart = AuditEventHandler(personal="apart")
    await record(engine, *(marked(cls) for cls in CATALOGUE), metadata=UNMARKED, handler=apart)
    assert SECRET not in await everything_in(engine) + await exported(trail)
    for each in await all_of(trail):
        assert PERSONAL not in repr(each)
        told = attrs.asdict(each)
        assert PERSONAL not in repr({**told, "personal": None})


async def test_of_the_metadata_only_the_columns_hold_what_is_personal(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    await record(engine, *(marked(cls) for cls in CATALOGUE), metadata=METADATA)
    for each in await all_of(trail):
        told = attrs.asdict(each)
        assert PERSONAL not in repr({name: told[name] for name in told if name not in DECLARED})
        assert PERSONAL not in repr(each)


@pytest.mark.parametrize("personal", ["mask", "apart"])
async def test_a_table_that_is_missing_tells_nothing(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture, personal: Any
) -> None:
    handler = AuditEventHandler(personal=personal)
    for cls in CATALOGUE.audited():
        fact = marked(cls)
        async with AsyncSession(engine) as session:
            with pytest.raises(AuditNotRecorded) as caught:
                await audited_bus(handler).publish(fact, session=session, metadata=METADATA)
        assert_clean(shown(without_test(caught)), caplog)


@pytest.mark.parametrize("personal", ["mask", "apart"])
async def test_a_constraint_that_is_violated_tells_nothing(
    engine: AsyncEngine, trail: AuditLog, caplog: pytest.LogCaptureFixture, personal: Any
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DROP TABLE audit_personal"))
        await connection.execute(
            text("CREATE TABLE audit_personal (event_id TEXT, user_id TEXT, personal TEXT)")
        )
        await connection.execute(
            text(
                "CREATE UNIQUE INDEX one_address ON audit_log (ip_address)"
                if personal == "mask"
                else "CREATE UNIQUE INDEX one_user ON audit_personal (user_id)"
            )
        )
    bus = audited_bus(AuditEventHandler(personal=personal))
    first, second = (marked(UserLoginFailed, user_id=None) for _ in range(2))
    async with AsyncSession(engine) as session:
        await bus.publish(first, session=session, metadata=METADATA)
        with pytest.raises(AuditNotRecorded) as caught:
            await bus.publish(second, session=session, metadata=METADATA)
    assert_clean(shown(without_test(caught)), caplog)


async def test_a_database_that_is_away_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    engine = create_async_engine(f"postgresql+asyncpg://{SECRET}:{SECRET}@127.0.0.1:1/{PERSONAL}")
    own = AuditEventHandler(own_sessions=async_sessionmaker(engine))
    with pytest.raises(AuditNotRecorded) as caught:
        await audited_bus(own).publish(marked(UserLoginFailed), metadata=METADATA)
    assert_clean(shown(without_test(caught)), caplog)
    async with AsyncSession(engine) as session:
        context = EventContext(metadata=METADATA, session=session)
        with pytest.raises(AuditNotRecorded) as caught:
            await AuditEventHandler()(marked(UserRegistrationSucceeded), context)
    assert_clean(shown(without_test(caught)), caplog)
    await engine.dispose()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_connection_that_is_cut_tells_nothing(
    engine: AsyncEngine, trail: AuditLog, caplog: pytest.LogCaptureFixture
) -> None:
    bus = audited_bus()
    async with AsyncSession(engine) as session:
        await bus.publish(marked(UserLoginFailed), session=session, metadata=METADATA)
        pid = await session.scalar(text("SELECT pg_backend_pid()"))
        async with engine.connect() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        await asyncio.sleep(0.05)
        with pytest.raises(Exception, match=r".*") as caught:
            await bus.publish(marked(UserRegistrationSucceeded), session=session, metadata=METADATA)
        await session.invalidate()
    assert_clean(shown(without_test(caught)), caplog)
    assert await all_of(trail) == []


async def test_another_handler_that_fails_beside_it_tells_nothing_in_the_log(
    engine: AsyncEngine, trail: AuditLog, caplog: pytest.LogCaptureFixture
) -> None:
    async def talkative(event: UserRegistrationSucceeded) -> None:
        raise LookupError(event.email, event.verification_token)

    bus = audited_bus()
    bus.subscribe(UserRegistrationSucceeded, talkative, transactional=True, on_error="isolate")
    async with AsyncSession(engine) as session:
        await bus.publish(marked(UserRegistrationSucceeded), session=session, metadata=UNMARKED)
        await session.commit()
    assert [each.msg for each in caplog.records] == ["event_handler_failed"]
    assert_clean(await everything_in(engine), caplog)


async def test_a_question_that_fails_does_not_repeat_what_was_asked(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AuditUnreadable) as caught:
        await AuditLog(engine).page(user_id=PERSONAL)
    assert PERSONAL not in str(caught.value)
    assert caught.value.__context__ is None
    assert not caplog.records


def test_a_context_does_not_show_its_session() -> None:
    shown_as = repr(EventContext(metadata=EventMetadata(), session=AsyncSession()))
    assert "Session" not in shown_as
