"""Connections in every state, and every command that can be given to them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from returns.result import Result

from dashtam_events.catalogue.provider import (
    ProviderConnectionExpired,
    ProviderConnectionFailed,
    ProviderConnectionRevoked,
    ProviderConnectionSucceeded,
    ProviderConnectionSynced,
    ProviderDisconnectionSucceeded,
    ProviderTokenRefreshSucceeded,
)
from dashtam_events.connection import (
    ConnectionStatus,
    CredentialType,
    ProviderConnection,
    ProviderConnectionError,
    ProviderCredentials,
)
from dashtam_events.event import DomainEvent

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
USER, PROVIDER, CONNECTION = UUID(int=1), UUID(int=2), UUID(int=3)
FIRST = ProviderCredentials(b"first blob", CredentialType.OAUTH2, NOW + HOUR)
FRESH = ProviderCredentials(b"fresh blob", CredentialType.OAUTH2, NOW + 2 * HOUR)

Command = Callable[[ProviderConnection], Result[None, ProviderConnectionError]]

COMMANDS: dict[type[DomainEvent], Command] = {
    ProviderConnectionSucceeded: lambda it: it.mark_connected(FRESH, now=NOW + HOUR),
    ProviderConnectionFailed: lambda it: it.mark_failed("timeout", now=NOW + HOUR),
    ProviderConnectionExpired: lambda it: it.mark_expired(now=NOW + HOUR),
    ProviderConnectionRevoked: lambda it: it.mark_revoked("user_revoked", now=NOW + HOUR),
    ProviderTokenRefreshSucceeded: lambda it: it.update_credentials(FRESH, now=NOW + HOUR),
    ProviderConnectionSynced: lambda it: it.record_sync(now=NOW + HOUR),
    ProviderDisconnectionSucceeded: lambda it: it.mark_disconnected(now=NOW + HOUR),
}

REFUSALS: dict[type[DomainEvent], ProviderConnectionError] = {
    ProviderConnectionSucceeded: ProviderConnectionError.CANNOT_CONNECT,
    ProviderConnectionFailed: ProviderConnectionError.CANNOT_FAIL,
    ProviderConnectionExpired: ProviderConnectionError.CANNOT_EXPIRE,
    ProviderConnectionRevoked: ProviderConnectionError.CANNOT_REVOKE,
    ProviderTokenRefreshSucceeded: ProviderConnectionError.CANNOT_UPDATE_CREDENTIALS,
    ProviderConnectionSynced: ProviderConnectionError.CANNOT_SYNC,
}


def started(id: UUID = CONNECTION) -> ProviderConnection:
    return ProviderConnection.start(
        user_id=USER, provider_id=PROVIDER, provider_slug="schwab", alias="My IRA", id=id, now=NOW
    )


def connected(id: UUID = CONNECTION) -> ProviderConnection:
    connection = started(id)
    connection.mark_connected(FIRST, now=NOW)
    return connection


def in_state(status: ConnectionStatus) -> ProviderConnection:
    """A connection that came to the state by its own commands."""
    if status is ConnectionStatus.PENDING:
        return started()
    if status is ConnectionStatus.FAILED:
        connection = started()
        connection.mark_failed("timeout", now=NOW)
        return connection
    connection = connected()
    if status is ConnectionStatus.EXPIRED:
        connection.mark_expired(now=NOW)
    elif status is ConnectionStatus.REVOKED:
        connection.mark_revoked(now=NOW)
    elif status is ConnectionStatus.DISCONNECTED:
        connection.mark_disconnected(now=NOW)
    return connection


def seen(connection: ProviderConnection) -> dict[str, object]:
    """Everything that can be read of a connection."""
    return {
        "id": connection.id,
        "user_id": connection.user_id,
        "provider_id": connection.provider_id,
        "provider_slug": connection.provider_slug,
        "status": connection.status,
        "alias": connection.alias,
        "credentials": connection.credentials,
        "connected_at": connection.connected_at,
        "last_sync_at": connection.last_sync_at,
        "created_at": connection.created_at,
        "updated_at": connection.updated_at,
    }
