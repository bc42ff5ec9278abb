"""The handler that records in the audit trail what asks for it, in the publisher's transaction."""

import logging
from collections.abc import Callable, Collection
from functools import partial
from secrets import token_hex
from typing import Any, ClassVar, Literal

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import await_only

from dashtam_events._clock import now
from dashtam_events._uncut import to_its_end
from dashtam_events.adapters.audit._writing import failure_of, write
from dashtam_events.adapters.audit.record import AuditRecord, record_of
from dashtam_events.bus.protocol import EventContext, OnError
from dashtam_events.bus.session import SessionScope
from dashtam_events.declaration import Phase
from dashtam_events.errors import AuditNotRecorded, SessionRequired
from dashtam_events.event import DomainEvent, spec_of

__all__ = ["AuditEventHandler"]

_logger = logging.getLogger("dashtam_events.audit")
_OUTLIVING = (Phase.ATTEMPTED, Phase.FAILED, Phase.DENIED)


class AuditEventHandler:
    """Records each event that declares `Audit`; passes over all others.

    It is transactional: the row is written in the publisher's session and becomes part of what
    it commits, or goes with what it rolls back. Where it cannot be written, the publish fails.
    An event is recorded once, by its `event_id`, however often it is published.

    With `own_sessions`, events of some kinds are written and committed in a session of the
    audit's own, and need none of the publisher's: their record outlives whatever becomes of the
    transaction. A publish in a session that is in a transaction returns before that, and what
    ends the transaction (commit, rollback or close) returns when the record is committed, on
    the connection that it gave back: no publisher waits for a second one while it holds the
    first. One that cannot be written then fails nothing, and is logged as an error,
    `audit_not_recorded`; where the process dies before the end, there is none. Without a
    session, or in one that is in no transaction, the record is committed when `publish` returns.

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
            failure = await failure_of(self._write_at_once(record))
        elif context.session is not None:
            failure = await failure_of(write(context.session, record))
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

        Until then this session has a connection of the pool, and on SQLite perhaps the lock for
        writing, for either of which a second one would wait.
        """
        if given is None:
            return False
        action = partial(self._write_now, event_type, record)
        return SessionScope.of(given).after_end(action)

    def _write_now(self, event_type: str, record: AuditRecord) -> None:
        await_only(to_its_end(self._write_or_tell(event_type, record)))

    async def _write_or_tell(self, event_type: str, record: AuditRecord) -> None:
        failure: str | None = "CancelledError"
        try:
            failure = await failure_of(self._write_at_once(record))
        finally:
            if failure is not None:
                told = {"event_type": event_type, "event_id": record.event_id, "reason": failure}
                _logger.error("audit_not_recorded", extra=told)

    async def _write_at_once(self, record: AuditRecord) -> None:
        assert self._own_sessions is not None  # noqa: S101  # or the session would be needed
        async with self._own_sessions() as session, session.begin():
            await write(session, record)
