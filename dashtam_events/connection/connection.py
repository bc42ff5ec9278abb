"""The provider connection: it decides what may happen to a connection, and records it.

It never knows of stores, providers or networks, and never puts credentials into an event.
"""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from returns.result import Failure, Result, Success

from dashtam_events._clock import now as _now
from dashtam_events._ids import new_id
from dashtam_events.catalogue.provider import (
    ProviderConnectionAttempted,
    ProviderConnectionExpired,
    ProviderConnectionFailed,
    ProviderConnectionRevoked,
    ProviderConnectionSucceeded,
    ProviderConnectionSynced,
    ProviderDisconnectionSucceeded,
    ProviderTokenRefreshSucceeded,
)
from dashtam_events.connection._fold import FoldedConnection, begun_by
from dashtam_events.connection._machine import TRANSITIONS
from dashtam_events.connection._state import ConnectionState
from dashtam_events.connection.credentials import ProviderCredentials
from dashtam_events.connection.errors import ProviderConnectionError
from dashtam_events.connection.status import ConnectionStatus
from dashtam_events.event import DomainEvent

__all__ = ["ProviderConnection"]


class ProviderConnection(FoldedConnection, stream="provider_connection"):
    """One user's connection to one provider, from the attempt to the end.

    A new one begins with `start`; the constructor makes one in the midst of its life, for tests
    and for moving from elsewhere, and what it makes has no history that could be stored.

    Every command answers `Success(None)` and records one event, or answers a `Failure` that
    says which states allow it, and changes nothing. `now` is when it happened (aware; by default
    the present). Attributes are read-only: only commands change them. A value of another type is
    a TypeError, and changes nothing.

    Args:
        id: the id of the connection, and of its stream.
        user_id: whose it is.
        provider_id: the provider at its other end.
        provider_slug: the provider's short name, 1 to 50 characters.
        status: where in its life it is.
        alias: the user's own name for it, at most 100 characters.
        credentials: what the provider lets it in with; an active one needs them.
        connected_at: when it was first active.
        last_sync_at: when everything was last fetched.
        created_at: when it was begun; by default the present.
        updated_at: when something last happened to it; by default `created_at`.

    Raises:
        TypeError: an id is no UUID, or a text is none.
        ValueError: a text is too long or empty, a time is naive, the status is none, or an
            active connection has no credentials.
    """

    def __init__(
        self,
        *,
        id: UUID,
        user_id: UUID,
        provider_id: UUID,
        provider_slug: str,
        status: ConnectionStatus,
        alias: str | None = None,
        credentials: ProviderCredentials | None = None,
        connected_at: datetime | None = None,
        last_sync_at: datetime | None = None,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
    ) -> None:
        super().__init__(id)
        created_at = created_at or _now()
        self._state = ConnectionState(
            user_id=user_id,
            provider_id=provider_id,
            provider_slug=provider_slug,
            status=ConnectionStatus(status),
            created_at=created_at,
            updated_at=updated_at or created_at,
            alias=alias,
            connected_at=connected_at,
            last_sync_at=last_sync_at,
        )
        self._credentials = credentials
        if self.is_connected() and credentials is None:
            raise ValueError("an active connection must have credentials")

    @classmethod
    def start(
        cls,
        *,
        user_id: UUID,
        provider_id: UUID,
        provider_slug: str,
        alias: str | None = None,
        id: UUID | None = None,
        now: datetime | None = None,
    ) -> Self:
        """Begin a connection: pending, with its first event recorded.

        Raises:
            TypeError: an id is no UUID, or the slug or the alias no text.
            ValueError: the slug is empty or over 50 characters, the alias over 100, `now` naive.
        """
        connection = cls.blank(id or new_id())
        attempted = ProviderConnectionAttempted(
            user_id=user_id,
            provider_id=provider_id,
            provider_slug=provider_slug,
            connection_id=connection.id,
            alias=alias,
            occurred_at=now or _now(),
        )
        begun_by(attempted)
        connection.record(attempted)
        return connection

    def mark_connected(
        self, credentials: ProviderCredentials, *, now: datetime | None = None
    ) -> Result[None, ProviderConnectionError]:
        """The provider let the user in, for the first time or again: active from now on.

        Credentials that have lapsed already are taken too, for the provider did let the user in
        and they may be refreshed; the connection `can_sync` only after that.
        """
        return self._renew(
            ProviderConnectionSucceeded, ProviderConnectionError.CANNOT_CONNECT, credentials, now
        )

    def mark_failed(
        self, reason: str = "unknown", *, now: datetime | None = None
    ) -> Result[None, ProviderConnectionError]:
        """The first attempt came to nothing; `reason` as in `ProviderConnectionFailed`."""
        return self._decide(
            ProviderConnectionFailed, ProviderConnectionError.CANNOT_FAIL, now, reason=reason
        )

    def mark_expired(self, *, now: datetime | None = None) -> Result[None, ProviderConnectionError]:
        """The credentials lapsed. They are kept."""
        return self._decide(ProviderConnectionExpired, ProviderConnectionError.CANNOT_EXPIRE, now)

    def mark_revoked(
        self, reason: str | None = None, *, now: datetime | None = None
    ) -> Result[None, ProviderConnectionError]:
        """The access was withdrawn; `reason` as in `ProviderConnectionRevoked`. They are kept."""
        return self._decide(
            ProviderConnectionRevoked, ProviderConnectionError.CANNOT_REVOKE, now, reason=reason
        )

    def update_credentials(
        self, credentials: ProviderCredentials, *, now: datetime | None = None
    ) -> Result[None, ProviderConnectionError]:
        """The provider gave fresh credentials in place of the present ones."""
        return self._renew(
            ProviderTokenRefreshSucceeded,
            ProviderConnectionError.CANNOT_UPDATE_CREDENTIALS,
            credentials,
            now,
        )

    def record_sync(self, *, now: datetime | None = None) -> Result[None, ProviderConnectionError]:
        """Everything asked of the provider was fetched."""
        return self._decide(ProviderConnectionSynced, ProviderConnectionError.CANNOT_SYNC, now)

    def mark_disconnected(
        self, *, now: datetime | None = None
    ) -> Result[None, ProviderConnectionError]:
        """It ends, for good, and its credentials are deleted.

        One that has ended already answers `Success` as well, and records nothing.
        """
        if self.status not in ConnectionStatus.terminal_states():
            self._happen(ProviderDisconnectionSucceeded, now)
        return Success(None)

    def _renew(
        self,
        kind: type[DomainEvent],
        refusal: ProviderConnectionError,
        credentials: ProviderCredentials,
        now: datetime | None,
    ) -> Result[None, ProviderConnectionError]:
        if not isinstance(credentials, ProviderCredentials):
            raise TypeError("credentials must be ProviderCredentials")
        answer = self._decide(kind, refusal, now, credentials_expire_at=credentials.expires_at)
        if isinstance(answer, Success):
            self._credentials = credentials
        return answer

    def _decide(
        self,
        kind: type[DomainEvent],
        refusal: ProviderConnectionError,
        now: datetime | None,
        **facts: Any,
    ) -> Result[None, ProviderConnectionError]:
        if kind not in TRANSITIONS[self.status]:
            return Failure(refusal)
        self._happen(kind, now, **facts)
        return Success(None)

    def _happen(self, kind: type[DomainEvent], now: datetime | None, **facts: Any) -> None:
        facts |= {
            "user_id": self.user_id,
            "connection_id": self.id,
            "provider_id": self.provider_id,
            "provider_slug": self.provider_slug,
            "occurred_at": now or _now(),
        }
        self.record(kind(**facts))
