"""The bus within one process: handlers run in the publisher's event loop."""

import asyncio
import logging
from collections.abc import Iterable
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from dashtam_events.bus._failure import log_failure, log_undelivered
from dashtam_events.bus._subscription import Audience, Subscription
from dashtam_events.bus._transaction import run_transactional
from dashtam_events.bus.protocol import DatabaseSession, EventContext, Handler, OnError
from dashtam_events.errors import BusClosed, ClosedFromWithin
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.recorded import EventMetadata, RecordedEvent, UnknownEvent
from dashtam_events.store.protocol import MetadataLike

if TYPE_CHECKING:
    from dashtam_events.bus.session import SessionScope

__all__ = ["InMemoryEventBus"]

_E = TypeVar("_E", bound=DomainEvent)
_NO_CONTEXT = EventContext()


class InMemoryEventBus:
    """An `EventBus` whose handlers live in this process.

    A handler without any `await` in it runs straight away in the publisher's task; each of the
    others gets a task, so that `asyncio.current_task`, timeouts and cancel scopes are its own.
    Nothing is kept: an event that nobody hears of, or whose handler fails, is gone. What must
    happen goes through a store and a subscription.

    A bus belongs to one event loop. `KeyboardInterrupt` and `SystemExit` pass through `publish`,
    and cancel the handlers still running.

    Args:
        timeout: seconds that a handler may take, where its subscription names none; None: for
            ever.
        logger: what `event_handler_failed` is logged to.
    """

    def __init__(
        self, *, timeout: float | None = None, logger: logging.Logger | None = None
    ) -> None:
        self._timeout = timeout
        self._logger = logger or logging.getLogger("dashtam_events.bus")
        self._audiences: dict[type[DomainEvent], Audience] = {}
        self._under_way: dict[asyncio.Future[None], list[asyncio.Task[Any] | None]] = {}
        self._closed = False

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

        See `EventBus.subscribe`.
        """
        wanted = Subscription.of(
            handler,
            timeout=self._timeout if timeout is None else timeout,
            transactional=transactional,
            on_error=on_error,
        )
        for cls in _classes(events):
            known = self._subscriptions_to(cls)
            replaced = tuple(wanted if each.handler == handler else each for each in known)
            self._audiences[cls] = Audience.of(replaced if wanted in replaced else (*known, wanted))

    @overload
    def unsubscribe(self, events: type[_E], handler: Handler[_E]) -> None: ...
    @overload
    def unsubscribe(self, events: Iterable[type[_E]], handler: Handler[_E]) -> None: ...
    def unsubscribe(self, events: Any, handler: Any) -> None:
        """Let a handler hear no more of a class or a selection; fine where it never did."""
        for cls in _classes(events):
            known = self._subscriptions_to(cls)
            left = tuple(each for each in known if each.handler != handler)
            self._audiences[cls] = Audience.of(left)

    async def publish(
        self,
        event: DomainEvent,
        *,
        session: DatabaseSession | None = None,
        metadata: MetadataLike = None,
        recorded: RecordedEvent | None = None,
    ) -> None:
        """Tell the handlers of an event; returns when each has finished, failed or timed out.

        See `EventBus.publish`, also for all that it raises.

        Raises:
            BusClosed: the bus is closed.
            TypeError: what is published is no event.
        """
        if self._closed:
            raise BusClosed(type(self).__name__)
        audience = self._audiences.get(type(event))
        if audience is None:
            _check_event(event)
            return
        context = _NO_CONTEXT
        if metadata is not None or recorded is not None:
            context = _context(metadata, recorded)
        if session is not None or audience.transactional:
            await self._publish_in(session, audience, event, context)
            return
        # As `_deliver`, which as a coroutine of its own would cost as much as a handler.
        self._run(audience.at_once, event, context)
        if audience.rest:
            await self._run_concurrently(audience.rest, event, context)

    async def aclose(self) -> None:
        """Wait for the publishes under way, then take no more; closing twice is fine.

        See `EventBus.aclose`.

        Raises:
            ClosedFromWithin: a handler of this bus waits for it.
        """
        caller = asyncio.current_task()
        if any(caller in tasks for tasks in self._under_way.values()):
            raise ClosedFromWithin(type(self).__name__)
        while self._under_way:
            await asyncio.wait(self._under_way)
        self._closed = True

    def _subscriptions_to(self, cls: type[DomainEvent]) -> tuple[Subscription, ...]:
        audience = self._audiences.get(cls)
        return () if audience is None else audience.subscriptions

    async def _publish_in(
        self,
        session: DatabaseSession | None,
        audience: Audience,
        event: DomainEvent,
        context: EventContext,
    ) -> None:
        """Run the transactional handlers now; the others now, or when the session commits."""
        scope = _scope(session)
        done = asyncio.get_running_loop().create_future()
        self._under_way[done] = [asyncio.current_task()]
        try:
            await run_transactional(audience.transactional, event, context, scope, self._logger)
            later = partial(self._start, audience, event, context, copy_context())
            if scope is None or not scope.after_commit(later):
                await self._deliver(audience, event, context)
        finally:
            del self._under_way[done]
            done.set_result(None)

    def _start(
        self, audience: Audience, event: DomainEvent, context: EventContext, variables: Context
    ) -> None:
        """Tell the others of what is committed, in a task that `aclose` waits for."""
        if not audience.at_once and not audience.rest:
            return
        if self._closed:
            log_undelivered(self._logger, event)
            return
        delivery = self._deliver(audience, event, context)
        task = asyncio.get_running_loop().create_task(delivery, context=variables)
        self._under_way[task] = []
        task.add_done_callback(self._under_way.pop)

    async def _deliver(self, audience: Audience, event: DomainEvent, context: EventContext) -> None:
        self._run(audience.at_once, event, context)
        if audience.rest:
            await self._run_concurrently(audience.rest, event, context)

    def _run(
        self, subscriptions: tuple[Subscription, ...], event: DomainEvent, context: EventContext
    ) -> None:
        """Run handlers that cannot suspend, to their end, one after the other."""
        for each in subscriptions:
            try:
                call = each.handler(event, context) if each.wants_context else each.handler(event)
                # The first step is the last; with a default, `next` raises no StopIteration,
                # which would cost as much as the rest.
                copy_context().run(next, call.__await__(), None)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # it harms no other
                log_failure(self._logger, each, event, error)

    async def _run_concurrently(
        self, subscriptions: tuple[Subscription, ...], event: DomainEvent, context: EventContext
    ) -> None:
        done = asyncio.get_running_loop().create_future()
        tasks = self._under_way[done] = []
        try:
            async with asyncio.TaskGroup() as group:
                for each in subscriptions:
                    if each.may_suspend:
                        tasks.append(group.create_task(self._guard(each, event, context)))
                    else:
                        # Those that were subscribed before it start before it.
                        await asyncio.sleep(0)
                        self._run((each,), event, context)
        finally:
            del self._under_way[done]
            done.set_result(None)

    async def _guard(
        self, subscription: Subscription, event: DomainEvent, context: EventContext
    ) -> None:
        """Run one handler in a task of its own; only what is meant for the publisher escapes."""
        try:
            await subscription.call(event, context)
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            log_failure(self._logger, subscription, event, error)
        except Exception as error:  # noqa: BLE001  # it harms no other
            log_failure(self._logger, subscription, event, error)


def _check_event(event: Any) -> None:
    if not isinstance(event, DomainEvent):
        wrong = event if isinstance(event, type) else type(event)
        what = "the class" if wrong is event else "a"
        raise TypeError(
            f"publish takes an event, an instance of DomainEvent, not {what} {wrong.__qualname__}"
        )


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _classes(events: Any) -> tuple[type[DomainEvent], ...]:
    classes = (events,) if isinstance(events, type) else tuple(events)
    for cls in classes:
        if cls is not UnknownEvent:
            spec_of(cls)
    return classes


def _scope(session: DatabaseSession | None) -> "SessionScope | None":
    if session is None:
        return None
    from dashtam_events.bus.session import SessionScope

    return SessionScope.of(session)


def _context(metadata: MetadataLike, recorded: RecordedEvent | None) -> EventContext:
    if metadata is None and recorded is not None:
        return EventContext(metadata=recorded.metadata, recorded=recorded)
    return EventContext(metadata=EventMetadata.of(metadata), recorded=recorded)
