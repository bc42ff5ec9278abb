"""Doing what the upkeep asks for, as far as the connection and its provider let it."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, assert_never
from uuid import UUID, uuid5

import attrs
from returns.pipeline import is_successful
from returns.result import Failure, Result, Success

from dashtam_events._clock import now as _now
from dashtam_events.catalogue.provider import (
    ProviderTokenRefreshAttempted,
    ProviderTokenRefreshFailed,
)
from dashtam_events.connection import (
    ConnectionRepository,
    ProviderConnection,
    ProviderConnectionError,
    ProviderCredentials,
)
from dashtam_events.errors import DashtamEventsError
from dashtam_events.event import DomainEvent
from dashtam_events.processes import IssuedCommand
from dashtam_events.recorded import StreamId
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions import ErrorPlace, Verdict, classify
from dashtam_events.upkeep.commands import (
    ExpireConnection,
    FailConnection,
    RefreshCredentials,
    UpkeepCommand,
)

__all__ = ["RefreshRefused", "TokenRefresher", "UpkeepExecutor"]

_LOGGER = logging.getLogger("dashtam_events.upkeep")
_STREAM = "provider_token_refresh"


@attrs.frozen(kw_only=True)
class RefreshRefused:
    """Why there are no fresh credentials; both as in `ProviderTokenRefreshFailed`."""

    reason: str
    needs_user_action: bool = False


_MAY_PASS = RefreshRefused(reason="provider_unavailable")


class TokenRefresher(Protocol):
    """What the service brings: it speaks to the provider."""

    async def refresh(
        self, connection: ProviderConnection, /
    ) -> Result[ProviderCredentials, RefreshRefused]:
        """Ask the provider for fresh credentials in place of those that the connection has.

        After a crash the provider may be asked again. A provider that cannot be reached is a
        `Failure`, and counts as one. So do credentials that have lapsed already, or that lapse
        no later than those they replace, and what is raised and may pass, such as a
        `ConnectionError`. What `classify` takes for a mistake is parked, and the connection is
        not refreshed until that is replayed. An error of this library goes to the runner.
        """
        ...


class UpkeepExecutor:
    """Executes the commands of `ConnectionUpkeep`: pass it to its `ProcessRunner`.

    Where the connection refuses, the matter has ended otherwise, and nothing is done. Attempts
    and failures to refresh are events of the stream `provider_token_refresh-CONNECTION`.

    Args:
        store: where the connections are; it must know the catalogue.
        refresher: asks providers for fresh credentials. It is not asked where the kind of
            credentials `supports_refresh` not: only the user can mend that.
        clock: tells when things happen (aware).
    """

    def __init__(
        self,
        store: EventStore,
        refresher: TokenRefresher,
        *,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store = store
        self._connections = ConnectionRepository(store)
        self._refresher = refresher
        self._clock = clock

    async def __call__(self, issued: IssuedCommand[UpkeepCommand]) -> None:
        """Execute one command; again, it does nothing more."""
        command, now = issued.command, self._clock()
        match command:
            case FailConnection():
                await self._tell(issued, lambda it: it.mark_failed("timeout", now=now))
            case ExpireConnection():
                await self._tell(issued, lambda it: it.mark_expired(now=now))
            case RefreshCredentials():
                await self._refresh(issued, command)
            case _:
                assert_never(command)

    async def _tell(
        self,
        issued: IssuedCommand[UpkeepCommand],
        decision: Callable[[ProviderConnection], Result[None, ProviderConnectionError]],
    ) -> None:
        await self._connections.execute(
            issued.command.connection_id, decision, metadata=issued.metadata
        )

    async def _refresh(
        self, issued: IssuedCommand[UpkeepCommand], command: RefreshCredentials
    ) -> None:
        connection = await self._connections.get(command.connection_id)
        if not _expires(connection, command.expiring_by):
            return
        if await self._has_said(issued, ProviderTokenRefreshFailed):
            return
        await self._say(issued, ProviderTokenRefreshAttempted, connection)
        answer = await self._ask(connection)
        if is_successful(answer):
            fresh, now = answer.unwrap(), self._clock()
            await self._tell(issued, lambda it: it.update_credentials(fresh, now=now))
            return
        facts = attrs.asdict(answer.failure())
        await self._say(issued, ProviderTokenRefreshFailed, connection, **facts)

    async def _ask(
        self, connection: ProviderConnection
    ) -> Result[ProviderCredentials, RefreshRefused]:
        held = connection.credentials
        if held is None or not held.supports_refresh():
            return Failure(RefreshRefused(reason="refresh_token_expired", needs_user_action=True))
        try:
            answer = await self._refresher.refresh(connection)
        except Exception as error:
            if isinstance(error, DashtamEventsError) or classify(error) is Verdict.PERMANENT:
                raise
            place = ErrorPlace.of(error)
            where = {"error_type": place.type, "where": place.place}
            # Its text and traceback may hold values.
            _LOGGER.warning("token_refresh_failed", extra=where)
            return Failure(_MAY_PASS)
        return answer.bind(lambda fresh: self._if_newer(fresh, held))

    def _if_newer(
        self, fresh: ProviderCredentials, held: ProviderCredentials
    ) -> Result[ProviderCredentials, RefreshRefused]:
        """Fresh credentials, where they are of more use than those that are held."""
        old, new = held.expires_at, fresh.expires_at
        if new is None or (new > self._clock() and (old is None or new > old)):
            return Success(fresh)
        _LOGGER.warning("token_refresh_gave_no_newer_credentials")
        return Failure(_MAY_PASS)

    async def _say(
        self,
        issued: IssuedCommand[UpkeepCommand],
        kind: type[DomainEvent],
        connection: ProviderConnection,
        **facts: Any,
    ) -> None:
        if await self._has_said(issued, kind):
            return
        facts |= {
            "event_id": _event_id(issued, kind),
            "occurred_at": self._clock(),
            "user_id": connection.user_id,
            "connection_id": connection.id,
            "provider_id": connection.provider_id,
            "provider_slug": connection.provider_slug,
        }
        stream = StreamId(_STREAM, connection.id)
        await self._store.append(stream, [kind(**facts)], metadata=issued.metadata)

    async def _has_said(
        self, issued: IssuedCommand[UpkeepCommand], kind: type[DomainEvent]
    ) -> bool:
        return await self._store.position_of(_event_id(issued, kind)) is not None


def _event_id(issued: IssuedCommand[UpkeepCommand], kind: type[DomainEvent]) -> UUID:
    return uuid5(issued.id, kind.__name__)


def _expires(connection: ProviderConnection, by: datetime) -> bool:
    """Whether an active connection has credentials that lapse by an instant."""
    held = connection.credentials
    if not connection.is_connected() or held is None or held.expires_at is None:
        return False
    return held.expires_at <= by
