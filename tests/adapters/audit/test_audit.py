"""Audit records are written with what they tell of, once, and stay as they are."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import attrs
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from dashtam_events.adapters.audit import (
    AUDIT_METADATA,
    AuditEventHandler,
    AuditLog,
    audit_log,
    canonical_bytes,
    create_audit_tables,
    downgrade,
    leaf_hash,
    upgrade,
)
from dashtam_events.bus import EventContext
from dashtam_events.bus.session import real_savepoints
from dashtam_events.catalogue import (
    CATALOGUE,
    GlobalTokenRotationAttempted,
    ProviderConnectionSucceeded,
    RateLimitCheckDenied,
    TokenRejectedDueToRotation,
    UserLoginAttempted,
    UserLoginFailed,
    UserLoginSucceeded,
    UserPasswordChangeSucceeded,
)
from dashtam_events.declaration import Audit, Phase
from dashtam_events.errors import (
    AuditNotRecorded,
    SavepointsNotReal,
    SessionRequired,
)
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal
from tests.adapters.audit.trails import REQUEST, all_of, audited_bus, everything_in, record
from tests.adapters.marked import marked

NEVER_NULL = (
    *("actor", "user_id", "action", "occurred_at", "outcome", "ip_address"),
    *("resource_type", "resource_id"),
)


async def only(trail: AuditLog) -> Any:
    (found,) = await all_of(trail)
    return found


async def test_a_record_says_who_what_when_with_what_outcome_from_where_and_on_what(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = ProviderConnectionSucceeded(
        user_id=uuid4(), connection_id=uuid4(), provider_id=uuid4(), provider_slug="schwab"
    )
    before = datetime.now(UTC)
    await record(engine, fact)
    found = await only(trail)
    assert found.actor == found.user_id == str(fact.user_id)
    assert found.action == "PROVIDER_CONNECTED"
    assert found.occurred_at == fact.occurred_at
    assert found.outcome == "success"
    assert found.ip_address == "192.0.2.7"
    assert (found.resource_type, found.resource_id) == ("provider", str(fact.connection_id))
    assert (found.user_agent, found.correlation_id) == ("tests", "request-7")
    assert found.trace_id == REQUEST["trace_id"]
    assert before <= found.recorded_at <= datetime.now(UTC)
    assert json.loads(found.context) == {
        "event_id": str(fact.event_id),
        "provider_id": str(fact.provider_id),
        "provider_slug": "schwab",
        "credentials_expire_at": None,
    }


async def test_every_audited_event_of_the_catalogue_has_one_record_without_a_hole(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    facts = [marked(cls) for cls in CATALOGUE]
    await record(engine, *facts, metadata=None)
    found = {each.event_id: each for each in await all_of(trail)}
    audited = [fact for fact in facts if CATALOGUE.spec_of(type(fact)).audit]
    assert set(found) == {str(fact.event_id) for fact in audited}
    assert len(audited) == 72
    for each in found.values():
        assert all(getattr(each, name) for name in NEVER_NULL), each


@pytest.mark.parametrize(
    ("cls", "outcome"),
    [
        (UserLoginAttempted, "attempted"),
        (UserLoginSucceeded, "success"),
        (UserLoginFailed, "failure"),
        (RateLimitCheckDenied, "denied"),
        (TokenRejectedDueToRotation, "recorded"),
    ],
)
async def test_the_outcome_is_that_of_the_phase(
    engine: AsyncEngine, trail: AuditLog, cls: type[DomainEvent], outcome: str
) -> None:
    await record(engine, marked(cls))
    assert (await only(trail)).outcome == outcome


@pytest.mark.parametrize(
    ("cls", "metadata", "told"),
    [
        (GlobalTokenRotationAttempted, None, ("system", "system")),
        (GlobalTokenRotationAttempted, {"actor": "admin"}, ("admin", "system")),
        (GlobalTokenRotationAttempted, {"ip_address": "::1"}, ("unknown", "::1")),
        (UserLoginAttempted, None, ("unknown", "unknown")),
        (UserLoginAttempted, {"actor": "", "ip_address": ""}, ("unknown", "unknown")),
    ],
)
async def test_who_and_from_where_say_so_where_it_is_not_known(
    engine: AsyncEngine, trail: AuditLog, cls: Any, metadata: Any, told: tuple[str, str]
) -> None:
    await record(engine, marked(cls), metadata=metadata)
    found = await only(trail)
    assert (found.actor, found.ip_address) == told


async def test_who_acted_may_be_another_than_whom_it_was_done_to(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = marked(UserPasswordChangeSucceeded)
    await record(engine, fact, metadata={"actor": "support"})
    found = await only(trail)
    assert (found.actor, found.user_id) == ("support", str(fact.user_id))


async def test_an_event_is_recorded_once_however_often_it_is_published(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = marked(UserLoginSucceeded)
    await record(engine, fact, fact)
    first = await only(trail)
    await record(engine, fact, metadata=None, handler=AuditEventHandler(personal="apart"))
    assert await only(trail) == first
    assert "audit_personal" not in await everything_in(engine)


async def test_what_came_from_outside_is_cut_and_made_storable(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    await record(engine, marked(UserLoginSucceeded), metadata={"user_agent": "a\x00\ud800" * 999})
    agent = (await only(trail)).user_agent
    assert agent[:6] == "a\ufffd?a\ufffd?"
    assert len(agent) == 1_000


@event(audit=Audit("PARCEL_WEIGHED", resource="parcel", resource_id="parcel"))
class ParcelWeighed(DomainEvent):
    """An event of one's own, with values of every kind."""

    parcel: int
    weight: Decimal
    at: datetime
    ratio: float
    fragile: bool
    phase: Phase
    labels: tuple[str, ...]
    sizes: frozenset[int]
    owner: str = personal()


async def test_the_context_of_an_event_of_ones_own_is_canonical(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = ParcelWeighed(
        parcel=7,
        weight=Decimal("1E+2"),
        at=datetime(2026, 1, 2, 3, tzinfo=UTC),
        ratio=float("inf"),
        fragile=True,
        phase=Phase.DENIED,
        labels=("b", "a\x00é"),
        sizes=frozenset({1}),
        owner="ann",
    )
    bus = audited_bus()
    bus.subscribe(ParcelWeighed, AuditEventHandler())
    async with AsyncSession(engine) as session, session.begin():
        await bus.publish(fact, session=session)
    found = await only(trail)
    assert found.context == (
        f'{{"at":"2026-01-02T03:00:00.000000Z","event_id":"{fact.event_id}","fragile":true,'
        '"labels":["b","a\ufffdé"],"phase":"denied","ratio":"inf","sizes":[1],"weight":"100"}'
    )
    assert (found.resource_id, found.user_id) == ("7", "unknown")


async def test_the_leaf_hash_is_that_of_the_row_as_it_is_read_back(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    await record(engine, *(marked(cls) for cls in CATALOGUE))
    await record(
        engine,
        *(marked(cls) for cls in CATALOGUE.audited()),
        metadata=None,
        handler=AuditEventHandler(personal="apart"),
    )
    found = await all_of(trail)
    assert len(found) == 144
    for each in found:
        told = hashlib.sha256(b"\x00" + canonical_bytes(each)).hexdigest()
        assert each.leaf_hash == told == leaf_hash(each)
    assert len({each.leaf_hash for each in found}) == 144


async def test_the_leaf_hash_covers_every_column_but_those_the_database_gives(
    engine: AsyncEngine, trail: AuditLog
) -> None:

    await record(engine, marked(UserLoginSucceeded))
    found = await only(trail)
    for field in attrs.fields(type(found)):
        if field.name in ("id", "leaf_hash", "personal"):
            continue
        value = getattr(found, field.name)
        other = value + timedelta(microseconds=1) if isinstance(value, datetime) else "other"
        assert leaf_hash(attrs.evolve(found, **{field.name: other})) != found.leaf_hash, field.name


async def test_what_is_rolled_back_leaves_no_record(engine: AsyncEngine, trail: AuditLog) -> None:
    async with AsyncSession(engine) as session:
        await audited_bus().publish(marked(UserLoginSucceeded), session=session)
        await session.rollback()
    assert await all_of(trail) == []


async def test_without_a_session_an_audited_event_is_refused_and_others_are_not() -> None:
    bus = audited_bus()
    for cls in CATALOGUE:
        if CATALOGUE.spec_of(cls).audit is None:
            await bus.publish(marked(cls))
            continue
        with pytest.raises(RuntimeError, match="session=session"):
            await bus.publish(marked(cls))
    with pytest.raises(SessionRequired):
        await AuditEventHandler()(marked(UserLoginSucceeded), EventContext())


COPY = "SELECT * FROM audit_log WHERE true"
COPY_WITHOUT_ID = """(recorded_at, occurred_at, event_id, action, outcome, actor, user_id,
    resource_type, resource_id, ip_address, context, leaf_hash)
    SELECT recorded_at, occurred_at, event_id, 'NOTHING', outcome, actor, user_id,
    resource_type, resource_id, ip_address, context, leaf_hash FROM audit_log WHERE true"""
EVERYWHERE = [
    "UPDATE audit_log SET action = 'NOTHING'",
    "DELETE FROM audit_log",
    "UPDATE audit_personal SET personal = '{}'",
    f"INSERT INTO audit_log {COPY} ON CONFLICT (id) DO UPDATE SET action = 'NOTHING'",
]
POSTGRESQL = [
    "UPDATE audit_log SET action = 'NOTHING' WHERE 1 = 0",
    "TRUNCATE audit_log CASCADE",
    "TRUNCATE audit_personal",
    "SET LOCAL session_replication_role = replica; DELETE FROM audit_log",
]
SQLITE = [
    f"REPLACE INTO audit_log {COPY}",
    "UPDATE OR REPLACE audit_log SET action = 'NOTHING'",
    "REPLACE INTO audit_personal SELECT * FROM audit_personal WHERE true",
]


async def refused(engine: AsyncEngine, trail: AuditLog, statement: str) -> None:
    await record(engine, marked(UserLoginSucceeded), handler=AuditEventHandler(personal="apart"))
    before = await only(trail)
    *preparing, last = statement.split("; ")
    async with engine.connect() as connection:
        for each in preparing:
            await connection.execute(text(each))
        with pytest.raises(DBAPIError, match="is append-only"):
            await connection.execute(text(last))
    assert await only(trail) == before


@pytest.mark.parametrize("statement", EVERYWHERE)
async def test_nobody_changes_what_was_recorded(
    engine: AsyncEngine, trail: AuditLog, statement: str
) -> None:
    await refused(engine, trail, statement)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statement", POSTGRESQL)
async def test_postgresql_refuses_what_only_it_can(
    engine: AsyncEngine, trail: AuditLog, statement: str
) -> None:
    await refused(engine, trail, statement)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", SQLITE)
async def test_sqlite_refuses_to_replace(
    engine: AsyncEngine, trail: AuditLog, statement: str
) -> None:
    await refused(engine, trail, statement)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_sqlite_ignores_a_replacement_that_names_the_event_only(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    await record(engine, marked(UserLoginSucceeded))
    before = await only(trail)
    async with engine.begin() as connection:
        await connection.execute(text(f"REPLACE INTO audit_log {COPY_WITHOUT_ID}"))
    assert await only(trail) == before


async def test_personal_fields_are_not_kept_unless_asked_for(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    await record(engine, marked(UserLoginSucceeded, email="ann@example.com"))
    assert "ann" not in await everything_in(engine)
    found = await only(trail)
    assert (found.personal, found.personal_digest) == (None, None)


async def test_personal_fields_kept_apart_are_erased_and_the_proof_holds(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    apart = AuditEventHandler(personal="apart")
    ann, bob = marked(UserLoginSucceeded, email="ann@example.com"), marked(UserLoginSucceeded)
    await record(engine, ann, bob, handler=apart)
    (first, second) = await all_of(trail)
    assert json.loads(first.personal or "")["email"] == "ann@example.com"
    assert hashlib.sha256((first.personal or "").encode()).hexdigest() == first.personal_digest
    assert "ann@example.com" not in repr(first)
    assert await trail.erase(ann.user_id) == 1
    assert await trail.erase(ann.user_id) == 0
    (erased, kept) = await all_of(trail)
    assert erased.personal is None
    assert erased.leaf_hash == first.leaf_hash == leaf_hash(erased)
    assert kept == second
    assert "ann@example.com" not in await everything_in(engine)


async def test_an_event_without_personal_fields_has_nothing_kept_apart(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    fact = marked(UserPasswordChangeSucceeded)
    await record(engine, fact, handler=AuditEventHandler(personal="apart"))
    assert (await only(trail)).personal_digest is None


def test_personal_is_one_of_two_words() -> None:
    with pytest.raises(ValueError, match="'mask' or 'apart'"):
        AuditEventHandler(personal="keep")  # type: ignore[arg-type]


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
    async with asyncio.timeout(10), AsyncSession(engine) as session:
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


async def test_a_failed_record_aborts_the_publish_and_says_no_value(engine: AsyncEngine) -> None:
    """There are no tables."""
    async with AsyncSession(engine) as session:
        with pytest.raises(AuditNotRecorded) as caught:
            await audited_bus().publish(marked(UserLoginSucceeded), session=session)
        await session.rollback()
    code = {"sqlite": "SQLITE_ERROR", "postgresql": "42P01"}[engine.dialect.name]
    assert code in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_creating_the_tables_again_changes_nothing(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    await record(engine, marked(UserLoginSucceeded))
    async with engine.begin() as connection:
        await create_audit_tables(connection)
    assert len(await all_of(trail)) == 1


_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A'",
}
_LIFT = {"sqlite": "DROP TRIGGER {}", "postgresql": "DROP TRIGGER {} ON {}"}


async def triggers(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        return set(await connection.scalars(text(_TRIGGERS[engine.dialect.name])))


async def test_each_trigger_that_is_missing_is_created_again(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    whole = await triggers(engine)
    assert len(whole) == {"sqlite": 6, "postgresql": 5}[engine.dialect.name]
    for name in whole:
        table = "audit_log" if name.startswith("audit_log") else "audit_personal"
        async with engine.begin() as connection:
            await connection.execute(text(_LIFT[engine.dialect.name].format(name, table)))
        assert await triggers(engine) == whole - {name}
        await create_audit_tables(engine)
        assert await triggers(engine) == whole


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_trigger_that_was_disabled_is_enabled(engine: AsyncEngine, trail: AuditLog) -> None:
    whole = await triggers(engine)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE audit_log DISABLE TRIGGER ALL"))
    await create_audit_tables(engine)
    assert await triggers(engine) == whole


async def test_tables_that_metadata_made_get_their_triggers(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(AUDIT_METADATA.create_all)
    assert await triggers(engine) == set()
    await create_audit_tables(engine)
    await record(engine, marked(UserLoginSucceeded))
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text("UPDATE audit_log SET actor = 'nobody'"))
    assert len(await triggers(engine)) >= 5


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("leaf_hash", "short"),
        ("recorded_at", "garbage"),
        ("occurred_at", "2026-02-30 00:00:00.000000"),
    ],
)
async def test_what_has_not_the_shape_of_a_time_or_a_hash_is_refused(
    engine: AsyncEngine, trail: AuditLog, column: str, value: str
) -> None:
    await record(engine, marked(UserLoginSucceeded))
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError):
            await connection.execute(text(forging(column, value)))


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("other", ["2026-02-03 00:00:00", "2026-02-03T00:00:00.000000", "7"])
async def test_sqlite_takes_a_time_in_one_form_only(
    engine: AsyncEngine, trail: AuditLog, other: str
) -> None:
    await record(engine, marked(UserLoginSucceeded))
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="ck_audit_log_occurred_at"):
            await connection.execute(text(forging("occurred_at", other)))


def forging(column: str, value: str) -> str:
    """A copy of the first row, but for one column and what must differ."""
    row = {each.name: each.name for each in audit_log.columns}
    row |= {"id": "id + 1", "event_id": "'forged'", column: f"'{value}'"}
    return (
        f"INSERT INTO audit_log ({', '.join(row)}) SELECT {', '.join(row.values())} FROM audit_log"
    )


async def test_an_engine_whose_savepoints_are_not_real_is_refused(tmp_path: Any) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}")
    with pytest.raises(SavepointsNotReal):
        await create_audit_tables(engine)
    await engine.dispose()


async def test_alembic_creates_and_drops_them(engine: AsyncEngine) -> None:
    def migrate(connection: Any) -> None:
        op = Operations(MigrationContext.configure(connection))
        upgrade(op)
        upgrade(op)
        assert {"audit_log", "audit_personal"} <= set(inspect(connection).get_table_names())
        downgrade(op)
        assert "audit_log" not in inspect(connection).get_table_names()
        upgrade(op)

    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await record(engine, marked(UserLoginSucceeded))
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text("DELETE FROM audit_log"))


def test_another_database_is_refused() -> None:
    class Other:
        class dialect:  # noqa: N801
            name = "oracle"

    class Op:
        def get_bind(self) -> Any:
            return Other()

    with pytest.raises(NotImplementedError, match="PostgreSQL or in SQLite"):
        upgrade(Op())
