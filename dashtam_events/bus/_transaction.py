"""The handlers that work in the publisher's transaction: one after the other, each in its turn."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import attrs

from dashtam_events.bus._failure import log_failure, name_of
from dashtam_events.bus._subscription import Subscription
from dashtam_events.bus.protocol import DatabaseSession, EventContext
from dashtam_events.errors import SessionRequired, TransactionContractViolation
from dashtam_events.event import DomainEvent

__all__ = ["Scope", "run_transactional"]


class Scope(Protocol):
    """A session as the bus uses it."""

    @property
    def session(self) -> DatabaseSession:
        """What the handlers are given."""
        ...

    async def in_savepoint(
        self, handler: str, call: Callable[[], Awaitable[None]]
    ) -> Exception | None:
        """Run a call in a savepoint; returns the error for which it was rolled back."""
        ...

    def after_commit(self, action: Callable[[], None]) -> bool:
        """Do it after the outermost commit; False where there is no transaction."""
        ...


async def run_transactional(
    subscriptions: tuple[Subscription, ...],
    event: DomainEvent,
    context: EventContext,
    scope: Scope | None,
    logger: logging.Logger,
) -> None:
    """Run them in the order of their subscription; see `EventBus.publish` for what it raises."""
    needing = [each for each in subscriptions if each.needs_session(event)]
    if needing and scope is None:
        raise SessionRequired(name_of(event), needing[0].name)
    if scope is not None:
        context = attrs.evolve(context, session=scope.session)
    for each in subscriptions:
        if scope is not None and each in needing:
            error = await scope.in_savepoint(each.name, partial(each.call, event, context))
        else:
            error = await _outcome(each.call(event, context))
        if error is None:
            continue
        if each.on_error == "abort" or isinstance(error, TransactionContractViolation):
            raise error
        log_failure(logger, each, event, error)


async def _outcome(call: Awaitable[None]) -> Exception | None:
    try:
        await call
    except Exception as error:  # noqa: BLE001  # what becomes of it, the subscription says
        return error
    return None
