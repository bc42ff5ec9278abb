"""The handler that writes and sends the mail that an event asks for, once."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

from dashtam_events.adapters.email._addresses import addressed, one_address
from dashtam_events.adapters.email.sender import EmailSender
from dashtam_events.adapters.email.templates import EmailTemplates
from dashtam_events.bus.protocol import EventContext
from dashtam_events.declaration import EventSpec, Privacy
from dashtam_events.errors import EmailDeferred, EmailDeliveryError, EmailError, EmailRenderingError
from dashtam_events.event import DomainEvent, spec_of

__all__ = ["EmailEventHandler", "RecipientLookup"]

RecipientLookup = Callable[[Any], Awaitable[str | None]]
"""Finds the address of an event's subject; None where there is none."""

_LONGEST_PAUSE = 30.0


class EmailEventHandler:
    """Sends the mail of each event that declares `Email`; passes over all others.

    It goes to the event's personal field `email`, or else to whom `recipient_of` names for its
    subject. Where that is nobody, or not one address, `email_recipient_unknown` is logged and
    nothing goes out. A sender that asks for a later try (`EmailDeferred`) or loses its connection
    gets one, after a pause that doubles and is cut at random; every failure is logged as
    `email_not_sent`, with neither address nor content.

    In one process an event makes one mail: a second call waits for the first, and sends only if
    that one failed. Across processes, and where a connection broke before the server's word,
    a mail can go out twice, with the same Message-ID. Cancelling stops the tries.

    Subscribe it to the bus where events are published: one that is read back from a store has
    lost its secrets, and a mail whose link needs one is then refused (`EmailRenderingError`).

    Args:
        sender: what hands mail over.
        templates: what the mails say.
        from_address: the sender as people see it: `Dashtam <no-reply@example.com>`.
        recipient_of: the lookup, given the event's subject; what it raises passes through.
        attempts: how often one mail is tried.
        delay: seconds before the second try, at the most.
        remember: how many of the last events are known as sent.

    Raises:
        ValueError: `from_address` is not one address, or `attempts` is less than one.
    """

    def __init__(
        self,
        sender: EmailSender,
        *,
        templates: EmailTemplates,
        from_address: str,
        recipient_of: RecipientLookup | None = None,
        attempts: int = 4,
        delay: float = 1.0,
        remember: int = 10_000,
        logger: logging.Logger | None = None,
    ) -> None:
        if (address := one_address(from_address)) is None:
            raise ValueError("from_address must be one address: Dashtam <no-reply@example.com>")
        if attempts < 1:
            raise ValueError("attempts must be at least 1, or no mail would go out")
        self._sender, self._from, self._recipient_of = sender, address, recipient_of
        self.templates = templates
        self._attempts, self._delay, self._remember = attempts, delay, remember
        self._logger = logger or logging.getLogger("dashtam_events.email")
        self._sent: dict[UUID, None] = {}
        self._under_way: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, event: DomainEvent, context: EventContext) -> None:  # noqa: ARG002  # what every handler takes
        """Send the mail of one event; returns when it was taken, or nothing is to be sent.

        Raises:
            EmailRenderingError: it could not be written.
            EmailDeliveryError: it was refused, or not taken in the last try either.
        """
        spec = spec_of(type(event))
        if spec.email is None or (spec.email.when and not getattr(event, spec.email.when)):
            return
        async with self._under_way.setdefault(event.event_id, asyncio.Lock()):
            if event.event_id not in self._sent:
                await self._send(event, spec)

    async def _send(self, event: DomainEvent, spec: EventSpec) -> None:
        facts: dict[str, Any] = {"event_type": spec.name, "event_id": str(event.event_id)}
        # The address is never a local variable here: tracebacks may show those.
        message = addressed(self._from, await self._recipient(event, spec))
        if message is None:
            self._logger.warning("email_recipient_unknown", extra=facts)
            return
        message["Message-ID"] = f"<{event.event_id}@{self._from.domain}>"
        try:
            self.templates.write(event, message)
        except EmailRenderingError as error:
            self._log(logging.ERROR, facts | {"attempt": 0, "final": True}, error)
            raise
        await self._deliver(message, facts)
        self._sent[event.event_id] = None
        if len(self._sent) > self._remember:
            del self._sent[next(iter(self._sent))]

    async def _recipient(self, event: DomainEvent, spec: EventSpec) -> str | None:
        if "email" in spec.fields_of(Privacy.PERSONAL):
            address: str | None = getattr(event, "email")  # noqa: B009  # not every event has it
            if address is not None:
                return address
        subject = None if spec.subject is None else getattr(event, spec.subject)
        if self._recipient_of is None or subject is None:
            return None
        return await self._recipient_of(subject)

    async def _deliver(self, message: EmailMessage, facts: dict[str, Any]) -> None:
        for attempt in range(1, self._attempts + 1):
            failure = await self._try(message)
            if failure is None:
                return
            final = attempt == self._attempts or not isinstance(failure, EmailDeferred)
            level = logging.ERROR if final else logging.WARNING
            self._log(level, facts | {"attempt": attempt, "final": final}, failure)
            if final:
                # Raised here, where no exception before it quotes an address.
                raise failure
            pause = min(self._delay * 2.0 ** (attempt - 1), _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # it guards nothing

    async def _try(self, message: EmailMessage) -> EmailDeliveryError | None:
        try:
            await self._sender.send(message)
        except EmailDeliveryError as error:
            kind = EmailDeferred if isinstance(error, EmailDeferred) else EmailDeliveryError
            return kind(error.server, error.reason, error.code)
        except Exception as error:  # noqa: BLE001  # anybody's sender, anybody's exceptions
            kind = EmailDeferred if isinstance(error, OSError) else EmailDeliveryError
            return kind(type(self._sender).__name__, f"raised {type(error).__qualname__}")
        return None

    def _log(self, level: int, facts: dict[str, Any], error: EmailError) -> None:
        reply = {"code": error.code} if isinstance(error, EmailDeliveryError) else {}
        told = {"error_type": type(error).__name__, "reason": str(error)} | reply
        self._logger.log(level, "email_not_sent", extra=facts | told)
