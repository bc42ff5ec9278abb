"""The handler that records in the audit trail what asks for it, in the publisher's transaction."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from secrets import token_hex
from typing import Any, ClassVar, Literal

import attrs
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import await_only

from dashtam_events._clock import now
from dashtam_events.adapters.audit.record import AuditRecord, record_of
from dashtam_events.adapters.audit.schema import audit_log, audit_personal
from dashtam_events.bus.protocol import DatabaseSession, EventContext, OnError
from dashtam_events.bus.session import SessionScope
from dashtam_events.declaration import Phase
from dashtam_events.errors import AuditNotRecorded, SessionRequired
from dashtam_events.event import DomainEvent, spec_of

__all__ = ["AuditEventHandler"]

_logger = logging.getLogger("dashtam_events.audit")
_OUTLIVING = (Phase.ATTEMPTED, Phase.FAILED, Phase.DENIED)
_BUSY = "if your own transaction has the lock, pass publish its session"
_INSERT_ONCE: dict[str, Any] = {
    "postgresql": postgresql.insert(audit_log).on_conflict_do_nothing(index_elements=["event_id"]),
    "sqlite": sqlite.insert(audit_log).on_conflict_do_nothing(index_elements=["event_id"]),
}


class AuditEventHandler:
    """Records each event that declares `Audit`; passes over all others.

    It is transactional: the row is written in the publisher's session and becomes part of what
    it commits, or goes with what it rolls back. Where it cannot be written, the publish fails.
    An event is recorded once, by its `event_id`, however often it is published.

    With `own_sessions`, events of some kinds are written and committed at once in a session of
    the audit's own, and need none of the publisher's: their record outlives whatever becomes of
    the transaction. SQLite has one writer at a time: there, a publish in a session that is in a
    transaction returns before, and whatever ends the transaction (commit, rollback or close)
    returns when the record is committed. One that cannot be written then fails nothing, and is
    logged as an error, `audit_not_recorded`.

    Args:
        personal: what becomes of personal fields: "mask" keeps none, "apart" keeps them in the
            table `audit_personal`, from which they can be erased. The actor, address and agent
            of the metadata are columns of the trail itself.
        own_sessions: makes those sessions: an `async_sessionmaker`.
        own: the phases that are recorded in them, or a function that says so of an event.
    """

    transactional: ClassVar[bool] = True
    on_error: ClassVar[OnError] = "abort"

    def __init__(
        self,
        *,
        personal: Literal["mask", "apart"] = "mask",
        own_sessions: Callable[[], AsyncSession] | None = None,
        own: Collection[Phase] | Callable[[DomainEvent], bool] = _OUTLIVING,
    ) -> None:
        if personal not in ("mask", "apart"):
            raise ValueError("personal is 'mask' or 'apart'")
        self._apart = personal == "apart"
        self._own_sessions = own_sessions
        self._own = own if callable(own) else lambda event: spec_of(type(event)).phase in own

    def needs_session(self, event: DomainEvent) -> bool:
        """True where the event is recorded in the publisher's session."""
        if spec_of(type(event)).audit is None:
            return False
        return self._own_sessions is None or not self._own(event)

    async def __call__(self, event: DomainEvent, context: EventContext) -> None:
        """Write the record of one event; it is committed by whose session it is.

        Raises:
            AuditNotRecorded: it could not be written. On SQLite, with a code SQLITE_BUSY, by a
                session of its own: someone has the lock for writing. Where it is the caller,
                pass its session to `publish`.
            SessionRequired: it belongs in the publisher's session, and there is none.
        """
        record = self._record_of(event, context)
        if record is None:
            return
        if not self.needs_session(event):
            if self._waits_for(context.session, spec_of(type(event)).name, record):
                return
            failure = await _failure_of(self._write_at_once(record))
        elif context.session is not None:
            failure = await _failure_of(_write(context.session, record))
        else:
            raise SessionRequired(spec_of(type(event)).name, type(self).__qualname__)
        if failure is not None:
            # Raised here, where no exception before it quotes the values of the row.
            raise AuditNotRecorded(spec_of(type(event)).name, event.event_id, failure)

    def _record_of(self, event: DomainEvent, context: EventContext) -> AuditRecord | None:
        spec = spec_of(type(event))
        if spec.audit is None:
            return None
        return record_of(
            event,
            spec=spec,
            audit=spec.audit,
            metadata=context.metadata,
            recorded_at=now(),
            salt=token_hex(16) if self._apart else None,
        )

    def _waits_for(self, given: Any, event_type: str, record: AuditRecord) -> bool:
        """True where the record is written when the transaction of a session has ended.

        On SQLite this session may have the lock for writing, if only because it has read.
        """
        if given is None or not _on_sqlite(given):
            return False
        action = partial(self._write_now, event_type, record)
        return SessionScope.of(given).after_end(action)

    def _write_now(self, event_type: str, record: AuditRecord) -> None:
        await_only(_to_its_end(self._write_or_tell(event_type, record)))

    async def _write_or_tell(self, event_type: str, record: AuditRecord) -> None:
        failure: str | None = "CancelledError"
        try:
            failure = await _failure_of(self._write_at_once(record))
        finally:
            if failure is not None:
                told = {"event_type": event_type, "event_id": record.event_id, "reason": failure}
                _logger.error("audit_not_recorded", extra=told)

    async def _write_at_once(self, record: AuditRecord) -> None:
        assert self._own_sessions is not None  # noqa: S101  # or the session would be needed
        async with self._own_sessions() as session, session.begin():
            await _write(session, record)


async def _failure_of(writing: Coroutine[Any, Any, None]) -> str | None:
    try:
        await writing
    except Exception as error:  # noqa: BLE001  # any driver's; none may leave, they quote values
        return _reason(error)
    return None


async def _to_its_end(writing: Coroutine[Any, Any, None]) -> None:
    """Await it in a task, and let nobody be cancelled before that is done."""
    task, cancelled = asyncio.create_task(writing), None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _on_sqlite(session: AsyncSession) -> bool:
    try:
        return session.get_bind().dialect.name == "sqlite"
    except UnboundExecutionError:
        return False


async def _write(session: DatabaseSession, record: AuditRecord) -> None:
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
