"""The tables of the audit trail, and the triggers that let nobody change what was recorded."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import TypeDecorator

from dashtam_events.bus.session import check_savepoints

__all__ = [
    "AUDIT_METADATA",
    "audit_log",
    "audit_personal",
    "create_audit_tables",
    "downgrade",
    "upgrade",
]


class _UTC(TypeDecorator[datetime]):
    """Aware times in UTC, also where the database keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # what every type decorator takes
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # what every type decorator takes
        if value is None or value.tzinfo is not None:
            return value if value is None else value.astimezone(UTC)
        return value.replace(tzinfo=UTC)


def _checks() -> Iterator[CheckConstraint]:
    """What PostgreSQL's types see to, SQLite takes in any shape."""
    yield CheckConstraint("length(leaf_hash) = 64", name="ck_audit_log_leaf_hash")
    for column in ("recorded_at", "occurred_at"):
        seconds, digits = f"substr({column}, 1, 19)", "[0-9]" * 6
        # `IS` and not `=`, since of what is no time `datetime` makes NULL, which would pass; the
        # day that is added turns the 30th of February into another.
        is_time = (
            f"datetime({seconds}, '+0 days') IS {seconds} AND substr({column}, 20) GLOB '.{digits}'"
        )
        yield CheckConstraint(is_time, name=f"ck_audit_log_{column}").ddl_if(dialect="sqlite")


AUDIT_METADATA = MetaData()
"""The metadata of these tables, for Alembic to compare: their triggers come with `upgrade`."""

audit_log: Table = Table(
    "audit_log",
    AUDIT_METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("recorded_at", _UTC, nullable=False),
    Column("occurred_at", _UTC, nullable=False, index=True),
    Column("event_id", String(36), nullable=False, unique=True),
    Column("action", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("ip_address", Text, nullable=False),
    Column("user_agent", Text),
    Column("correlation_id", Text),
    Column("trace_id", Text),
    Column("context", Text, nullable=False),
    Column("personal_digest", String(64)),
    Column("leaf_hash", String(64), nullable=False),
    Index("ix_audit_log_user_id", "user_id", "id"),
    Index("ix_audit_log_resource", "resource_type", "resource_id", "id"),
    Index("ix_audit_log_action", "action", "id"),
    *_checks(),
    sqlite_autoincrement=True,
)
"""One row for each event, never changed. `AuditRecord` says what the columns mean."""

audit_personal: Table = Table(
    "audit_personal",
    AUDIT_METADATA,
    Column("event_id", String(36), ForeignKey("audit_log.event_id"), primary_key=True),
    Column("user_id", Text, nullable=False, index=True),
    Column("personal", Text, nullable=False),
)
"""The personal fields of recorded events, where they are kept apart: rows that may be erased."""

_FORBIDDEN = {
    audit_log.name: ("UPDATE", "DELETE", "TRUNCATE"),
    audit_personal.name: ("UPDATE", "TRUNCATE"),
}
# REPLACE deletes without asking the triggers for DELETE: it gets no further than these. An insert
# of a known event that is to do nothing comes by them too, and does nothing.
_NO_REPLACE = {
    audit_log.name: (
        """
        CREATE TRIGGER IF NOT EXISTS audit_log_no_replace BEFORE INSERT ON audit_log
        WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'audit_log is append-only: REPLACE is refused'); END
        """,
        """
        CREATE TRIGGER IF NOT EXISTS audit_log_once BEFORE INSERT ON audit_log
        WHEN EXISTS (SELECT 1 FROM audit_log WHERE event_id = NEW.event_id)
         AND NOT EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id)
        BEGIN SELECT RAISE(IGNORE); END
        """,
    ),
    audit_personal.name: (
        """
        CREATE TRIGGER IF NOT EXISTS audit_personal_no_replace BEFORE INSERT ON audit_personal
        WHEN EXISTS (SELECT 1 FROM audit_personal WHERE event_id = NEW.event_id)
        BEGIN SELECT RAISE(ABORT, 'audit_personal is append-only: REPLACE is refused'); END
        """,
    ),
}
_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP;
END
$$
"""
_TRIGGERS = text(
    "SELECT tgname, CAST(tgenabled AS text) AS state FROM pg_trigger "
    "WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal"
)


async def create_audit_tables(target: AsyncEngine | AsyncConnection) -> None:
    """Create the tables and their triggers, each where it is missing.

    An engine is tried first for savepoints that hold; a connection is left to its caller to
    commit.

    Raises:
        SavepointsNotReal: the engine needs `real_savepoints`.
        NotImplementedError: the database is neither PostgreSQL nor SQLite.
    """
    if isinstance(target, AsyncConnection):
        await target.run_sync(_create)
        return
    await check_savepoints(target)
    async with target.begin() as connection:
        await connection.run_sync(_create)


def upgrade(op: Any) -> None:
    """Create the tables and their triggers from a migration of Alembic: pass it its `op`."""
    _create(op.get_bind())


def downgrade(op: Any) -> None:
    """Drop them again, with all that was recorded."""
    connection = op.get_bind()
    AUDIT_METADATA.drop_all(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("DROP FUNCTION IF EXISTS audit_log_refuse()"))


def _create(connection: Connection) -> None:
    guard = {"postgresql": _guard_postgresql, "sqlite": _guard_sqlite}.get(connection.dialect.name)
    if guard is None:
        raise NotImplementedError("the audit trail is kept in PostgreSQL or in SQLite")
    if connection.dialect.name == "postgresql":
        # Two processes that start at once must not create the same twice.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('dashtam_events.audit'))"))
    AUDIT_METADATA.create_all(connection)
    for table in AUDIT_METADATA.sorted_tables:
        guard(connection, table.name)


def _guard_postgresql(connection: Connection, table: str) -> None:
    # What stands already is left alone: to create it takes a lock, and the table's owner.
    rows = connection.execute(_TRIGGERS, {"table": table})
    known = {row.tgname: row.state for row in rows}
    for verb in _FORBIDDEN[table]:
        trigger = f"{table}_no_{verb.lower()}"
        if trigger not in known:
            connection.execute(text(_FUNCTION))
            # A rule would turn the statement into nothing without a word, and let TRUNCATE pass.
            connection.execute(
                text(
                    f"CREATE TRIGGER {trigger} BEFORE {verb} ON {table} "
                    "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()"
                )
            )
        if known.get(trigger) != "A":
            connection.execute(text(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"))


def _guard_sqlite(connection: Connection, table: str) -> None:
    for verb in _FORBIDDEN[table]:
        if verb == "TRUNCATE":
            continue  # SQLite has none.
        connection.execute(
            text(
                f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {verb} is refused'); END"
            )
        )
    for statement in _NO_REPLACE[table]:
        connection.execute(text(statement))
