"""Every exception that the library raises, in one tree.

    DashtamEventsError
    ├── InvalidEventClass          an event class that cannot hold, when it is defined or registered
    ├── MissingExtra               an optional extra is not installed (also an ImportError)
    ├── CodecError                 an event could not be encoded or decoded
    │   ├── EncodingError
    │   ├── DecodingError
    │   ├── LimitExceeded
    │   └── FutureSchemaVersion
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
    ├── SSEEncodingError           a value that the wire of server-sent events cannot carry
    └── EmailError                 an e-mail that an event asks for did not go out
        ├── EmailRenderingError    a template is missing or broken, or a value that it needs is
        └── EmailDeliveryError     the mail was refused; sending it again would not help
            └── EmailDeferred      the mail could not be taken now; sending it again may help

The facts are attributes; no exception carries the value of a field; all of them pickle.
"""

__all__ = [
    "AggregateError",
    "AggregateNotFound",
    "BusClosed",
    "CodecError",
    "DashtamEventsError",
    "DecodingError",
    "DuplicateEvent",
    "EmailDeferred",
    "EmailDeliveryError",
    "EmailError",
    "EmailRenderingError",
    "EncodingError",
    "FutureSchemaVersion",
    "InvalidEventClass",
    "InvalidHistory",
    "LimitExceeded",
    "MissingExtra",
    "SSEEncodingError",
    "StoreBusy",
    "StoreClosed",
    "StoreError",
    "StoreUnavailable",
    "UnappliedEvent",
    "VersionConflict",
]

from uuid import UUID


class DashtamEventsError(Exception):
    """The root of every exception that the library raises."""


class InvalidEventClass(DashtamEventsError, TypeError):
    """An event class breaks a rule; `reason` says which, and how to mend it."""

    def __init__(self, event_class: str, reason: str) -> None:
        super().__init__(event_class, reason)
        self.event_class, self.reason = event_class, reason

    def __str__(self) -> str:
        return f"{self.event_class}: {self.reason}"


class MissingExtra(DashtamEventsError, ImportError):
    """An optional extra of the package is not installed."""

    def __init__(self, extra: str) -> None:
        super().__init__(extra)
        self.extra = extra

    def __str__(self) -> str:
        return f'this needs an extra: pip install "dashtam-events[{self.extra}]"'


class CodecError(DashtamEventsError):
    """An event could not be turned into bytes or back."""


class EncodingError(CodecError, ValueError):
    """A field holds something that cannot be written; `path` names it, never its value."""

    def __init__(self, event_type: str, path: str, expected: str) -> None:
        super().__init__(event_type, path, expected)
        self.event_type, self.path, self.expected = event_type, path, expected

    def __str__(self) -> str:
        return f"{self.event_type}{self.path}: expected {self.expected}"


class DecodingError(CodecError, ValueError):
    """Stored bytes are not what the event class says; `path` names where, never the value."""

    def __init__(self, event_type: str, path: str, expected: str) -> None:
        super().__init__(event_type, path, expected)
        self.event_type, self.path, self.expected = event_type, path, expected

    def __str__(self) -> str:
        return f"{self.event_type}{self.path}: expected {self.expected}"


class LimitExceeded(CodecError, ValueError):
    """An event is larger, deeper or longer than the codec allows."""

    def __init__(self, event_type: str, limit: str, allowed: int) -> None:
        super().__init__(event_type, limit, allowed)
        self.event_type, self.limit, self.allowed = event_type, limit, allowed

    def __str__(self) -> str:
        return f"{self.event_type}: {self.limit} is over the limit of {self.allowed:,}"


class FutureSchemaVersion(CodecError):
    """The event was written by a newer release, whose form this one does not know."""

    def __init__(self, event_type: str, version: int, known: int) -> None:
        super().__init__(event_type, version, known)
        self.event_type, self.version, self.known = event_type, version, known

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
        self.stream, self.expected, self.actual = stream, expected, actual

    def __str__(self) -> str:
        return f"{self.stream}: expected version {self.expected}, found {self.actual}"


class DuplicateEvent(StoreError):
    """An event of this append is stored already, and the append is not the same one again."""

    def __init__(self, event_id: UUID) -> None:
        super().__init__(event_id)
        self.event_id = event_id

    def __str__(self) -> str:
        return f"event {self.event_id} is stored already, in another append"


class StoreBusy(StoreError):
    """Another process held the store for longer than the wait (seconds)."""

    def __init__(self, store: str, waited: float) -> None:
        super().__init__(store, waited)
        self.store, self.waited = store, waited

    def __str__(self) -> str:
        return f"{self.store}: busy for more than {self.waited:g} s; try again"


class StoreUnavailable(StoreError):
    """The store cannot be opened or failed underneath; `reason` says why."""

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(store, reason)
        self.store, self.reason = store, reason

    def __str__(self) -> str:
        return f"{self.store}: {self.reason}"


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
        self.aggregate, self.event_type, self.state = aggregate, event_type, state

    def __str__(self) -> str:
        return f"{self.aggregate}: {self.event_type} cannot happen in state {self.state}"


class UnappliedEvent(AggregateError):
    """An aggregate met an event that none of its methods applies.

    It must know each event of its stream: passing over one, it would decide on a state that
    never was.
    """

    def __init__(self, aggregate: str, event_type: str) -> None:
        super().__init__(aggregate, event_type)
        self.aggregate, self.event_type = aggregate, event_type

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


class SSEEncodingError(DashtamEventsError, ValueError):
    """A value that the wire of server-sent events cannot carry; `path` names where it stands."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(path, expected)
        self.path, self.expected = path, expected

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}"


class EmailError(DashtamEventsError):
    """An e-mail that an event asks for did not go out."""


class EmailRenderingError(EmailError, ValueError):
    """A mail could not be written; `template` says from what, `reason` what was in the way."""

    def __init__(self, template: str, reason: str) -> None:
        super().__init__(template, reason)
        self.template, self.reason = template, reason

    def __str__(self) -> str:
        return f"{self.template}: {self.reason}"


class EmailDeliveryError(EmailError):
    """A mail was refused for good; `code` is the server's reply code, where it gave one."""

    def __init__(self, server: str, reason: str, code: int | None = None) -> None:
        super().__init__(server, reason, code)
        self.server, self.reason, self.code = server, reason, code

    def __str__(self) -> str:
        reply = "" if self.code is None else f" (reply {self.code})"
        return f"{self.server}: {self.reason}{reply}"


class EmailDeferred(EmailDeliveryError):
    """A mail could not be taken now; sent again later, it may be."""
