"""What every event bus promises to those who publish and to those who listen."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal, Protocol, TypeVar, overload

import attrs

from dashtam_events.event import DomainEvent
from dashtam_events.recorded import EventMetadata, RecordedEvent
from dashtam_events.store.protocol import MetadataLike

__all__ = ["DatabaseSession", "EventBus", "EventContext", "Handler", "OnError"]

_E = TypeVar("_E", bound=DomainEvent)
_NO_METADATA = EventMetadata()


OnError = Literal["abort", "isolate"]
"""What the failure of a transactional handler does: it reaches the publisher, or is logged."""


class DatabaseSession(Protocol):
    """What a handler uses of the publisher's session; every SQLAlchemy `AsyncSession` is one."""

    async def execute(self, statement: Any, params: Any = None) -> Any:
        """Run a statement in the transaction."""
        ...

    async def flush(self) -> None:
        """Write what was added to the session."""
        ...

    async def connection(self) -> Any:
        """The connection of the transaction."""
        ...

    def add(self, instance: Any) -> None:
        """Add a mapped object to the session."""
        ...


@attrs.frozen(kw_only=True)
class EventContext:
    """In what circumstances a handler hears of an event.

    `recorded` is the event as its store keeps it, where it was read from one; None where it was
    published straight from memory. `session` is the publisher's, for transactional handlers;
    all others hear of the event when it has ended, and have None.
    """

    metadata: EventMetadata = _NO_METADATA
    recorded: RecordedEvent | None = None
    session: DatabaseSession | None = attrs.field(default=None, eq=False, repr=False)


Handler = Callable[[_E], Awaitable[None]] | Callable[[_E, EventContext], Awaitable[None]]
"""`async def handler(event)` or `async def handler(event, context)`.

One that can be called with the event alone is; a `context` with a default stays at its default.
"""


class EventBus(Protocol):
    """Tells handlers of events.

    A handler hears of events of exactly the class it subscribed to, not of subclasses. The
    handlers of an event start in the order of their subscription and run concurrently; each sees
    a copy of the publisher's context variables, and what it sets there nobody else sees. One
    that raises is logged as `event_handler_failed` and harms neither the others nor the
    publisher. Nothing of a publish is kept on the bus: what belongs to it travels as arguments.

    Transactional handlers are another matter. They run first, in the publisher's task and in
    the session that was passed to `publish`, one after the other in the order of their
    subscription, each in a savepoint of its own; they never commit, roll back or close it. One
    that fails is undone to its savepoint; then, with `on_error="abort"`, its error ends the
    publish, or with `"isolate"` it is logged and the next has its turn. What they wrote becomes
    part of what the publisher commits, or is gone with it.

    With a session in a transaction, the others wait for the outermost commit: they then run
    concurrently, and not at all where the transaction, or the savepoint in which the event was
    published, is rolled back. Without one they run at once.
    """

    @overload
    def subscribe(
        self,
        events: type[_E],
        handler: Handler[_E],
        *,
        timeout: float | None = None,
        transactional: bool | None = None,
        on_error: OnError | None = None,
    ) -> None: ...
    @overload
    def subscribe(
        self,
        events: Iterable[type[_E]],
        handler: Handler[_E],
        *,
        timeout: float | None = None,
        transactional: bool | None = None,
        on_error: OnError | None = None,
    ) -> None: ...
    def subscribe(
        self,
        events: Any,
        handler: Any,
        *,
        timeout: float | None = None,
        transactional: bool | None = None,
        on_error: OnError | None = None,
    ) -> None:
        """Let a handler hear of an event class, or of each class of a selection.

        A selection is any iterable of event classes: a whole registry, or `CATALOGUE.audited()`.
        A handler is subscribed once to a class: again, it keeps its place and takes the new
        options. A publish under way is not affected.

        Args:
            events: the event class, or the classes.
            handler: see `Handler`.
            timeout: seconds after which the handler is cancelled, and logged with a
                `TimeoutError`; by default that of the bus. It takes hold where the handler
                gives way, at an `await`. In the middle of a statement it costs a transactional
                handler's publisher the connection, and so the transaction.
            transactional: that the handler works in the publisher's session; by default what
                its own attribute `transactional` says, or else False. A method
                `needs_session(event)` of the handler may name events that it does not need
                one for: those it hears in its turn too, outside any savepoint, and writes
                nothing in the session if there is one.
            on_error: by default what its own attribute `on_error` says, or else "abort".

        Raises:
            InvalidEventClass: a class is not decorated with `event`, so nothing could be heard.
            TypeError: the handler cannot be called with an event.
            HandlerNotAsync: it surely returns nothing to await. One of which that is not sure
                (a function without `async` that returns something) is called, and logged as
                failed with this error.
            ValueError: `on_error` is neither of its two words.
        """
        ...

    @overload
    def unsubscribe(self, events: type[_E], handler: Handler[_E]) -> None: ...
    @overload
    def unsubscribe(self, events: Iterable[type[_E]], handler: Handler[_E]) -> None: ...
    def unsubscribe(self, events: Any, handler: Any) -> None:
        """Let a handler hear no more of a class or a selection; fine where it never did."""
        ...

    async def publish(
        self,
        event: DomainEvent,
        *,
        session: DatabaseSession | None = None,
        metadata: MetadataLike = None,
        recorded: RecordedEvent | None = None,
    ) -> None:
        """Tell the handlers of an event; returns when each has finished, failed or timed out.

        Those that wait for a commit it does not wait for; `aclose` does, once it has come.
        Cancelling it cancels the handlers still running, waits for them and passes through.
        That nobody listens is no error.

        Args:
            event: what happened.
            session: a SQLAlchemy `AsyncSession`, for transactional handlers to work in. One
                whose transaction has not begun yet begins it for the first of them.
            metadata: by default that of `recorded`, where it is given.
            recorded: the event as its store keeps it.

        Raises:
            BusClosed: the bus is closed.
            SessionRequired: a transactional handler needs a session and none was passed; no
                handler has run.
            TransactionContractViolation: a transactional handler ended the transaction or its
                savepoint; roll back.
            MissingExtra: a session was passed and the extra `sqlalchemy` is not installed.
            TypeError: `event` is no event, or `session` no asynchronous session of SQLAlchemy.
            Exception: whatever a transactional handler with `on_error="abort"` raised.
        """
        ...

    async def aclose(self) -> None:
        """Wait for the publishes under way, then take no more; closing twice is fine.

        What is published while it waits (by a handler, say) is still delivered. What was
        published in a transaction that has not ended by then is not: the commit then logs
        `event_not_delivered`. A handler must not wait for this, because it would wait for itself;
        it may start a task that does.

        Raises:
            ClosedFromWithin: a handler of this bus waits for it.
        """
        ...
