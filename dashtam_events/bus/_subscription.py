"""The handlers of an event class: how each is to be called, and whether it can give way."""

import asyncio
import dis
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from types import CodeType, FunctionType, MethodType
from typing import Any

import attrs

from dashtam_events.bus.protocol import EventContext, OnError
from dashtam_events.errors import HandlerNotAsync
from dashtam_events.event import DomainEvent

__all__ = ["Audience", "Subscription"]

_SUSPENDING = frozenset({"SEND", "YIELD_VALUE", "YIELD_FROM"})


@attrs.frozen(kw_only=True)
class Subscription:
    """A handler with what was found out about it when it subscribed.

    `may_suspend` is False only where the handler surely runs to its end without giving way, so
    that it needs no task of its own. `on_error` matters to transactional handlers only.
    """

    handler: Callable[..., Awaitable[None]]
    timeout: float | None
    wants_context: bool
    may_suspend: bool
    transactional: bool
    on_error: OnError

    @classmethod
    def of(
        cls,
        handler: Callable[..., Awaitable[None]],
        *,
        timeout: float | None,
        transactional: bool | None,
        on_error: OnError | None,
    ) -> "Subscription":
        """Look at a handler; what is None here, it may say itself.

        Raises:
            TypeError: it can be called neither with an event nor with an event and a context.
            HandlerNotAsync: it surely returns nothing to await.
            ValueError: `on_error` is neither of its two words.
        """
        on_error = on_error or getattr(handler, "on_error", "abort")
        if on_error not in ("abort", "isolate"):
            raise ValueError("on_error is 'abort' or 'isolate'")
        if transactional is None:
            transactional = bool(getattr(handler, "transactional", False))
        wants_context = _wants_context(handler)
        if _surely_not_async(handler):
            raise HandlerNotAsync(_name_of(handler))
        return cls(
            handler=handler,
            timeout=timeout,
            wants_context=wants_context,
            may_suspend=_may_suspend(handler),
            transactional=transactional,
            on_error=on_error,
        )

    def needs_session(self, event: DomainEvent) -> bool:
        """True where a transactional handler works in the publisher's session for this event."""
        asked: Callable[[DomainEvent], bool] | None = getattr(self.handler, "needs_session", None)
        return asked is None or asked(event)

    async def call(self, event: DomainEvent, context: EventContext) -> None:
        """Run the handler in this task, for at most its timeout."""
        arguments = (event, context) if self.wants_context else (event,)
        async with asyncio.timeout(self.timeout):
            awaited = self.handler(*arguments)
            if not inspect.isawaitable(awaited):
                raise HandlerNotAsync(self.name)
            await awaited

    @property
    def name(self) -> str:
        """The module and the qualified name of the handler."""
        return _name_of(self.handler)


@attrs.frozen(kw_only=True)
class Audience:
    """The handlers of one event class, in the order of their subscription.

    `transactional` come first. Of the others, `at_once` are those before the first that may
    suspend; they need no task.
    """

    subscriptions: tuple[Subscription, ...]
    transactional: tuple[Subscription, ...]
    at_once: tuple[Subscription, ...]
    rest: tuple[Subscription, ...]

    @classmethod
    def of(cls, subscriptions: tuple[Subscription, ...]) -> "Audience":
        """Sort subscriptions into those three."""
        others = tuple(each for each in subscriptions if not each.transactional)
        suspending = (n for n, each in enumerate(others) if each.may_suspend)
        split = next(suspending, len(others))
        return cls(
            subscriptions=subscriptions,
            transactional=tuple(each for each in subscriptions if each.transactional),
            at_once=others[:split],
            rest=others[split:],
        )


def _name_of(handler: Callable[..., Any]) -> str:
    named: Any = handler
    while isinstance(named, partial):
        named = named.func
    if not hasattr(named, "__qualname__"):
        named = type(named)
    return f"{named.__module__}.{named.__qualname__}"


def _wants_context(handler: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(handler)
    except ValueError:
        return False
    for wants_context, arguments in ((False, (None,)), (True, (None, None))):
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return wants_context
    raise TypeError("a handler takes an event, or an event and its context, and nothing else")


def _may_suspend(handler: Callable[..., Any]) -> bool:
    if isinstance(handler, MethodType):
        return _may_suspend(handler.__func__)
    if not isinstance(handler, FunctionType):
        called = type(handler).__call__
        return not isinstance(called, FunctionType) or _may_suspend(called)
    return not inspect.iscoroutinefunction(handler) or _can_give_way(handler.__code__)


def _surely_not_async(handler: Callable[..., Any]) -> bool:
    if isinstance(handler, partial):
        return _surely_not_async(handler.func)
    if isinstance(handler, MethodType):
        return _surely_not_async(handler.__func__)
    if not isinstance(handler, FunctionType):
        called = type(handler).__call__
        return isinstance(called, FunctionType) and _surely_not_async(called)
    flags = handler.__code__.co_flags
    if flags & (inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE):
        return False
    yields = bool(flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))
    return yields or _returns_constants(handler.__code__)


def _returns_constants(code: CodeType) -> bool:
    # Nothing that stands in the code itself, None above all, can be awaited. A `return` that is
    # jumped to may return what was computed elsewhere.
    steps = pairwise(dis.get_instructions(code))
    return all(
        before.opname == "LOAD_CONST" and not step.is_jump_target
        for before, step in steps
        if step.opname == "RETURN_VALUE"
    )


def _can_give_way(code: CodeType) -> bool:
    # Every await, async for and async with compiles to one of these; a coroutine without them
    # has nowhere to stop.
    return any(step.opname in _SUSPENDING for step in dis.get_instructions(code))
