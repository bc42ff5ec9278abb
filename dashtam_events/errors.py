"""Every exception that the library raises, in one tree.

    DashtamEventsError
    ├── InvalidEventClass          an event class that cannot hold, when it is defined or registered
    ├── MissingExtra               an optional extra is not installed (also an ImportError)
    ├── CodecError                 an event could not be encoded or decoded
    │   └── EncodingError, DecodingError, LimitExceeded, FutureSchemaVersion
    ├── StoreError
    │   ├── VersionConflict        the stream moved on since the caller read it
    │   ├── DuplicateEvent         an event_id is known, and this is not the same append again
    │   ├── StoreBusy              another process held the store for longer than the wait
    │   ├── StoreUnavailable       the store cannot be opened, or failed underneath
    │   └── StoreClosed
    ├── AggregateError
    │   ├── AggregateNotFound
    │   ├── InvalidHistory         a stream whose events cannot have happened in that order
    │   └── UnappliedEvent         an event that the aggregate has no method for
    ├── BusClosed                  a bus was published to after it was closed (also a RuntimeError)
    ├── ClosedFromWithin           a handler closed the bus it runs on (also a RuntimeError)
    ├── HandlerNotAsync            a handler returns nothing to await (also a TypeError)
    ├── SessionRequired            a handler needs the publisher's session (also a RuntimeError)
    ├── TransactionContractViolation  a handler ended a transaction that is not its own
    ├── SavepointsNotReal          an engine whose savepoints survive a rollback
    ├── CheckpointError, TooManyParked, WorkCancelled, ProjectionError:
    │                              drawn in `subscriptions/errors.py`
    ├── InvalidProcessClass        a process manager that cannot hold, when it is defined
    ├── AuditError                 the audit trail could not be written or read
    │   ├── AuditNotRecorded, AuditUnreadable
    │   └── InvalidCursor          a page was asked for with a cursor that is none
    ├── SSEEncodingError           a value that the wire of server-sent events cannot carry
    ├── SlowSubscriber             a listener for server-sent events fell too far behind
    ├── SubscriptionEnded          a source of server-sent events has gone
    ├── NotWired                   events ask for adapters that nobody wired
    └── EmailError                 an e-mail that an event asks for did not go out
        ├── EmailTemplatesMissing  events ask for mails that nobody wrote
        ├── EmailRenderingError    a template is missing or broken, or a value that it needs is
        └── EmailDeliveryError     the mail was refused; sending it again would not help
            └── EmailDeferred      the mail could not be taken now; sending it again may help

The facts are attributes; no exception carries the value of a field; all of them pickle.
"""

__all__ = [
    "AggregateError",
    "AggregateNotFound",
    "AuditError",
    "AuditNotRecorded",
    "AuditUnreadable",
    "BusClosed",
    "ClosedFromWithin",
    "CodecError",
    "DashtamEventsError",
    "DecodingError",
    "DuplicateEvent",
    "EmailDeferred",
    "EmailDeliveryError",
    "EmailError",
    "EmailRenderingError",
    "EmailTemplatesMissing",
    "EncodingError",
    "FutureSchemaVersion",
    "HandlerNotAsync",
    "InvalidCursor",
    "InvalidEventClass",
    "InvalidHistory",
    "LimitExceeded",
    "MissingExtra",
    "NotWired",
    "SSEEncodingError",
    "SavepointsNotReal",
    "SessionRequired",
    "SlowSubscriber",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreUnavailable",
    "SubscriptionEnded",
    "TransactionContractViolation",
    "UnappliedEvent",
    "VersionConflict",
]

from collections.abc import Mapping
from uuid import UUID


class DashtamEventsError(Exception):
    """The root of every exception that the library raises."""


class _Explained(DashtamEventsError):
    """Its two facts are what it is about, and why."""

    def __str__(self) -> str:
        about, reason, *_ = self.args
        return f"{about}: {reason}"


class InvalidEventClass(_Explained, TypeError):
    """An event class breaks a rule; `reason` says which, and how to mend it."""

    def __init__(self, event_class: str, reason: str) -> None:
        super().__init__(event_class, reason)
        self.event_class = event_class
        self.reason = reason


class MissingExtra(DashtamEventsError, ImportError):
    """An optional extra of the package is not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(extra)
        self.extra = extra

    def __str__(self) -> str:
        return f'this needs an extra: pip install "dashtam-events[{self.extra}]"'


class CodecError(DashtamEventsError):
    """An event could not be turned into bytes or back.

    Where a store met it while reading, `position`, `stream` and `stream_version` say where it
    stands.
    """

    position: int | None = None
    stream: str | None = None
    stream_version: int | None = None


class _Misfit(CodecError, ValueError):
    """Something is not of the type that its field declares."""

    def __init__(self, event_type: str, path: str, expected: str) -> None:
        super().__init__(event_type, path, expected)
        self.event_type = event_type
        self.path = path
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.event_type}{self.path}: expected {self.expected}"


class EncodingError(_Misfit):
    """A field holds something that cannot be written; `path` names it, never its value."""


class DecodingError(_Misfit):
    """Stored bytes are not what the event class says; `path` names where, never the value."""


class LimitExceeded(CodecError, ValueError):
    """An event is larger, deeper or longer than the codec allows."""

    def __init__(self, event_type: str, limit: str, allowed: int) -> None:
        super().__init__(event_type, limit, allowed)
        self.event_type = event_type
        self.limit = limit
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{self.event_type}: {self.limit} is over the limit of {self.allowed:,}"


class FutureSchemaVersion(CodecError):
    """The event was written by a newer release, whose form this one does not know."""

    def __init__(self, event_type: str, version: int, known: int) -> None:
        super().__init__(event_type, version, known)
        self.event_type = event_type
        self.version = version
        self.known = known

    def __str__(self) -> str:
        return f"{self.event_type}: version {self.version} is newer than {self.known}; upgrade"


class StoreError(DashtamEventsError):
    """An event store could not do what it was asked."""


class VersionConflict(StoreError):
    """The stream moved on since the caller read it.

    `expected` and `actual` are versions; `expected` is a word where no exact one was asked for.
    """

    def __init__(self, stream: str, expected: int | str, actual: int) -> None:
        super().__init__(stream, expected, actual)
        self.stream = stream
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return f"{self.stream}: expected version {self.expected}, found {self.actual}"


class DuplicateEvent(StoreError):
    """An event_id is taken, and the append is not the same one again; `reason` says how."""

    def __init__(
        self, event_id: UUID, reason: str = "is stored already, in another append"
    ) -> None:
        super().__init__(event_id, reason)
        self.event_id = event_id
        self.reason = reason

    def __str__(self) -> str:
        return f"event {self.event_id} {self.reason}"


class StoreBusy(StoreError):
    """Others held the store for longer than the wait (seconds); `advice` says what to do."""

    def __init__(self, store: str, waited: float, advice: str = "try again") -> None:
        super().__init__(store, waited, advice)
        self.store = store
        self.waited = waited
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.store}: busy for more than {self.waited:.3g} s; {self.advice}"


class StoreUnavailable(_Explained, StoreError):
    """The store cannot be opened or failed underneath; `reason` says why.

    `code` is the SQLSTATE with which PostgreSQL refused it, None where it said none.
    """

    def __init__(self, store: str, reason: str, code: str | None = None) -> None:
        super().__init__(store, reason, code)
        self.store = store
        self.reason = reason
        self.code = code


class StoreClosed(StoreError):
    """The store was used before it was opened or after it was closed."""

    def __init__(self, store: str) -> None:
        super().__init__(store)
        self.store = store

    def __str__(self) -> str:
        return f"{self.store}: not open; use it inside `async with`"


class AggregateError(DashtamEventsError):
    """An aggregate could not be loaded or rebuilt."""


class AggregateNotFound(AggregateError, LookupError):
    """No events are stored for this aggregate."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.stream = stream

    def __str__(self) -> str:
        return f"{self.stream}: no such stream"


class InvalidHistory(AggregateError):
    """An event cannot follow those before it: the stream holds what cannot have happened."""

    def __init__(self, aggregate: str, event_type: str, state: str) -> None:
        super().__init__(aggregate, event_type, state)
        self.aggregate = aggregate
        self.event_type = event_type
        self.state = state

    def __str__(self) -> str:
        return f"{self.aggregate}: {self.event_type} cannot happen in state {self.state}"


class UnappliedEvent(AggregateError):
    """An aggregate met an event that none of its methods applies.

    It must know each event of its stream: passing over one, it would decide on a state that
    never was.
    """

    def __init__(self, aggregate: str, event_type: str) -> None:
        super().__init__(aggregate, event_type)
        self.aggregate = aggregate
        self.event_type = event_type

    def __str__(self) -> str:
        return (
            f"{self.aggregate}: no method applies {self.event_type}: "
            "add one with @applies, or upgrade to the release that wrote it"
        )


class BusClosed(DashtamEventsError, RuntimeError):
    """An event was published to a bus that was closed before."""

    def __init__(self, bus: str) -> None:
        super().__init__(bus)
        self.bus = bus

    def __str__(self) -> str:
        return f"{self.bus}: closed; publish before aclose()"


class ClosedFromWithin(DashtamEventsError, RuntimeError):
    """A handler waited for the bus that it runs on to close."""

    def __init__(self, bus: str) -> None:
        super().__init__(bus)
        self.bus = bus

    def __str__(self) -> str:
        return f"{self.bus}: a handler that closes its bus would wait for itself; close it outside"


class HandlerNotAsync(DashtamEventsError, TypeError):
    """A handler is no coroutine function and returns nothing that could be awaited."""

    def __init__(self, handler: str) -> None:
        super().__init__(handler)
        self.handler = handler

    def __str__(self) -> str:
        return f"{self.handler}: returns nothing to await; write `async def`"


class SessionRequired(DashtamEventsError, RuntimeError):
    """A handler works in the publisher's transaction, and the publisher named no session.

    Nobody heard of the event. `handler` is who needs the session.
    """

    def __init__(self, event_type: str, handler: str) -> None:
        super().__init__(event_type, handler)
        self.event_type = event_type
        self.handler = handler

    def __str__(self) -> str:
        return (
            f"{self.event_type}: {self.handler} works in your transaction: "
            "write `await bus.publish(event, session=session)`"
        )


class TransactionContractViolation(DashtamEventsError, RuntimeError):
    """A handler that works in the publisher's transaction ended it, or its own savepoint.

    `deed` says what it did. A commit of the session is prevented; after all else, roll back.
    """

    def __init__(self, handler: str, deed: str) -> None:
        super().__init__(handler, deed)
        self.handler = handler
        self.deed = deed

    def __str__(self) -> str:
        return (
            f"{self.handler}: {self.deed}; a transactional handler works in the publisher's "
            "session and leaves its end to the publisher"
        )


class SavepointsNotReal(DashtamEventsError, RuntimeError):
    """What was written inside a released savepoint survives a rollback on this engine."""

    def __init__(self, engine: str) -> None:
        super().__init__(engine)
        self.engine = engine

    def __str__(self) -> str:
        return (
            f"{self.engine}: what a savepoint wrote survives a rollback: "
            "call real_savepoints(engine) when you make the engine"
        )


class AuditError(DashtamEventsError):
    """The audit trail could not be written or read."""


class AuditNotRecorded(AuditError):
    """An event that asks for a record in the audit trail did not get one; `reason` says why."""

    def __init__(self, event_type: str, event_id: UUID, reason: str) -> None:
        super().__init__(event_type, event_id, reason)
        self.event_type = event_type
        self.event_id = event_id
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}: not in the audit trail: {self.reason}"


class AuditUnreadable(_Explained, AuditError):
    """The audit trail cannot be read; `database` never holds a password."""

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(database, reason)
        self.database = database
        self.reason = reason


class InvalidCursor(AuditError, ValueError):
    """A cursor did not come from a page of this order."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"a cursor is the `next` of a page in the same order: {self.reason}"


class SSEEncodingError(DashtamEventsError, ValueError):
    """A value that the wire of server-sent events cannot carry; `path` names where it stands."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(path, expected)
        self.path = path
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}"


class SlowSubscriber(DashtamEventsError):
    """A listener read too slowly: more than `events` or `bytes` waited, and it was cut off."""

    def __init__(self, events: int, bytes: int) -> None:
        super().__init__(events, bytes)
        self.events = events
        self.bytes = bytes

    def __str__(self) -> str:
        return f"more than {self.events:,} events or {self.bytes:,} bytes waited; subscribe again"


class SubscriptionEnded(DashtamEventsError):
    """The source of a subscription has gone; events may be missing from here on."""

    def __str__(self) -> str:
        return "the source of the events has gone; subscribe again"


class NotWired(DashtamEventsError):
    """Events ask for adapters that nobody wired; `missing` names the events by adapter."""

    def __init__(self, missing: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__(missing)
        self.missing = missing

    def __str__(self) -> str:
        asked = [f"{name} ({_few(events)})" for name, events in self.missing.items()]
        names = ", ".join(map(repr, self.missing))
        return f"nobody is wired for {'; '.join(asked)}: wire them, or pass without=[{names}]"


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


class EmailError(DashtamEventsError):
    """An e-mail that an event asks for did not go out."""


class EmailRenderingError(_Explained, EmailError, ValueError):
    """A mail could not be written; `template` says from what, `reason` what was in the way."""

    def __init__(self, template: str, reason: str) -> None:
        super().__init__(template, reason)
        self.template = template
        self.reason = reason


class EmailTemplatesMissing(EmailError, LookupError):
    """Events ask for mails that nobody wrote; `templates` names the files."""

    def __init__(self, templates: tuple[str, ...]) -> None:
        super().__init__(templates)
        self.templates = templates

    def __str__(self) -> str:
        return f"there are no such templates: {', '.join(self.templates)}"


class EmailDeliveryError(EmailError):
    """A mail was refused for good; `code` is the server's reply code, where it gave one."""

    def __init__(self, server: str, reason: str, code: int | None = None) -> None:
        super().__init__(server, reason, code)
        self.server = server
        self.reason = reason
        self.code = code

    def __str__(self) -> str:
        reply = "" if self.code is None else f" (reply {self.code})"
        return f"{self.server}: {self.reason}{reply}"


class EmailDeferred(EmailDeliveryError):
    """A mail could not be taken now; sent again later, it may be."""
