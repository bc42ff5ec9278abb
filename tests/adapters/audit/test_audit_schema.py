"""The tables of the audit trail: made once, and nothing in them is changed."""

from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    create_async_engine,
)

from dashtam_events.adapters.audit import (
    AUDIT_METADATA,
    AuditEventHandler,
    AuditLog,
    audit_log,
    create_audit_tables,
    downgrade,
    upgrade,
)
from dashtam_events.catalogue import (
    UserLoginSucceeded,
)
from dashtam_events.errors import (
    SavepointsNotReal,
)
from tests.adapters.audit.trails import all_of, only, record
from tests.adapters.marked import marked

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
