"""Writing a record of the audit trail once, and telling why it could not be, without a value."""

from collections.abc import Coroutine
from typing import Any

import attrs
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from dashtam_events.adapters.audit.record import AuditRecord
from dashtam_events.adapters.audit.schema import audit_log, audit_personal
from dashtam_events.bus.protocol import DatabaseSession

__all__ = ["failure_of", "write"]

_BUSY = "if your own transaction has the lock, pass publish its session"
_INSERT_ONCE: dict[str, Any] = {
    "postgresql": postgresql.insert(audit_log).on_conflict_do_nothing(index_elements=["event_id"]),
    "sqlite": sqlite.insert(audit_log).on_conflict_do_nothing(index_elements=["event_id"]),
}


async def failure_of(writing: Coroutine[Any, Any, None]) -> str | None:
    """Why it failed, where it did; None where it is written."""
    try:
        await writing
    except Exception as error:  # noqa: BLE001  # any driver's; none may leave, they quote values
        return _reason(error)
    return None


async def write(session: DatabaseSession, record: AuditRecord) -> None:
    """Insert a record, unless its event has one; and beside it what is personal of it."""
    connection = await session.connection()
    row = attrs.asdict(record, filter=lambda field, _value: field.name not in ("id", "personal"))
    written = await connection.execute(_INSERT_ONCE[connection.dialect.name], row)
    if record.personal is not None and written.rowcount:
        row = {column.name: getattr(record, column.name) for column in audit_personal.columns}
        await connection.execute(audit_personal.insert(), row)


def _reason(error: Exception) -> str:
    """What kind of error it was, without a word of its own."""
    if not isinstance(error, DBAPIError):
        return type(error).__qualname__
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None)
    if code == "SQLITE_BUSY":
        return f"{type(error).__qualname__} ({code}): {_BUSY}"
    return f"{type(error).__qualname__} ({code})" if code else type(error).__qualname__
