"""One handler of one event class: how it is to be called, and whether it can give way."""

import dis
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

import attrs

__all__ = ["Subscription"]

_SUSPENDING = frozenset({"SEND", "YIELD_VALUE", "YIELD_FROM"})


@attrs.frozen(kw_only=True)
class Subscription:
    """A handler with what was found out about it when it subscribed.

    `may_suspend` is False only where the handler surely runs to its end without giving way, so
    that it needs no task of its own.
    """

    handler: Callable[..., Awaitable[None]]
    timeout: float | None
    wants_context: bool
    may_suspend: bool

    @classmethod
    def of(cls, handler: Callable[..., Awaitable[None]], timeout: float | None) -> "Subscription":
        """Look at a handler.

        Raises:
            TypeError: it can be called neither with an event nor with an event and a context.
        """
        return cls(
            handler=handler,
            timeout=timeout,
            wants_context=_wants_context(handler),
            may_suspend=_may_suspend(handler),
        )

    @property
    def name(self) -> str:
        """The module and the qualified name of the handler."""
        named: Any = self.handler
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
        return True
    return not inspect.iscoroutinefunction(handler) or _can_give_way(handler.__code__)


def _can_give_way(code: CodeType) -> bool:
    # Every await, async for and async with compiles to one of these; a coroutine without them
    # has nowhere to stop.
    return any(step.opname in _SUSPENDING for step in dis.get_instructions(code))
