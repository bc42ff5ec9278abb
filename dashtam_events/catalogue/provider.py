"""The life of a connection to a provider: made, refreshed, lapsed, withdrawn, ended.

Credentials are in none of these events; they say only when credentials lapse.
"""

from datetime import datetime
from uuid import UUID

from dashtam_events.catalogue.live import SSEEventType
from dashtam_events.declaration import SSE, Audit, Email, LogLevel, Phase
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal

__all__ = [
    "ProviderConnectionAttempted",
    "ProviderConnectionExpired",
    "ProviderConnectionFailed",
    "ProviderConnectionRevoked",
    "ProviderConnectionSucceeded",
    "ProviderConnectionSynced",
    "ProviderDisconnectionAttempted",
    "ProviderDisconnectionFailed",
    "ProviderDisconnectionSucceeded",
    "ProviderTokenRefreshAttempted",
    "ProviderTokenRefreshFailed",
    "ProviderTokenRefreshSucceeded",
]


@event(
    category="provider",
    workflow="provider_connection",
    phase=Phase.ATTEMPTED,
    audit=Audit("PROVIDER_CONNECTION_ATTEMPTED", resource="provider", resource_id="provider_id"),
)
class ProviderConnectionAttempted(DomainEvent):
    """A user set out to connect to a provider; the provider has not answered yet.

    Attributes:
        user_id: who connects.
        provider_id: the provider they connect to.
        provider_slug: its short name, such as `schwab`; at most 50 characters.
        connection_id: the connection that begins here; None where it is given an id only on
            success.
        alias: the user's own name for the connection, at most 100 characters; None for none.
    """

    user_id: UUID
    provider_id: UUID
    provider_slug: str
    connection_id: UUID | None = None
    alias: str | None = personal(default=None)


@event(
    category="provider",
    workflow="provider_connection",
    phase=Phase.SUCCEEDED,
    audit=Audit("PROVIDER_CONNECTED", resource="provider", resource_id="connection_id"),
    email=Email(),
)
class ProviderConnectionSucceeded(DomainEvent):
    """The provider let the user in and the credentials were stored, for the first time or again.

    Attributes:
        user_id: whose connection it is.
        connection_id: the connection, which is active now.
        provider_id: the provider at its other end.
        provider_slug: the provider's short name.
        credentials_expire_at: when the credentials lapse; None where they do not, or nobody
            knows.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str
    credentials_expire_at: datetime | None = None


@event(
    category="provider",
    workflow="provider_connection",
    phase=Phase.FAILED,
    audit=Audit("PROVIDER_CONNECTION_FAILED", resource="provider", resource_id="provider_id"),
)
class ProviderConnectionFailed(DomainEvent):
    """The first attempt to connect came to nothing.

    Attributes:
        user_id: who wanted to connect.
        provider_id: the provider that they wanted to connect to.
        provider_slug: the provider's short name.
        reason: `user_denied_access`, `authentication_failed`, `provider_unavailable` or
            `timeout`.
        connection_id: the connection that failed; None where there was none yet.
    """

    user_id: UUID
    provider_id: UUID
    provider_slug: str
    reason: str
    connection_id: UUID | None = None


@event(
    category="provider",
    workflow="provider_disconnection",
    phase=Phase.ATTEMPTED,
    audit=Audit(
        "PROVIDER_DISCONNECTION_ATTEMPTED", resource="provider", resource_id="connection_id"
    ),
)
class ProviderDisconnectionAttempted(DomainEvent):
    """A user asked to part from a provider.

    Attributes:
        user_id: who asked.
        connection_id: the connection that is to end.
        provider_id: the provider at its other end.
        provider_slug: the provider's short name.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str


@event(
    category="provider",
    workflow="provider_disconnection",
    phase=Phase.SUCCEEDED,
    audit=Audit("PROVIDER_DISCONNECTED", resource="provider", resource_id="connection_id"),
    email=Email(),
    sse=SSE(SSEEventType.PROVIDER_DISCONNECTED, "connection_id", "provider_slug"),
)
class ProviderDisconnectionSucceeded(DomainEvent):
    """A connection ended for good and its credentials were deleted. A mail tells the user.

    Attributes:
        user_id: whose connection it was.
        connection_id: the connection that ended.
        provider_id: the provider that was at its other end.
        provider_slug: the provider's short name.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str


@event(
    category="provider",
    workflow="provider_disconnection",
    phase=Phase.FAILED,
    audit=Audit("PROVIDER_DISCONNECTION_FAILED", resource="provider", resource_id="connection_id"),
)
class ProviderDisconnectionFailed(DomainEvent):
    """A connection could not be ended; it is in the state that it was in.

    Attributes:
        user_id: who asked.
        connection_id: the connection that was to end.
        provider_id: the provider at its other end.
        provider_slug: the provider's short name.
        reason: `connection_not_found`, `credential_deletion_failed` or `provider_unavailable`.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str
    reason: str


@event(
    category="provider",
    workflow="provider_token_refresh",
    phase=Phase.ATTEMPTED,
    audit=Audit("PROVIDER_TOKEN_REFRESH_ATTEMPTED", resource="token", resource_id="connection_id"),
)
class ProviderTokenRefreshAttempted(DomainEvent):
    """The provider is about to be asked for fresh credentials, before the present ones lapse.

    Attributes:
        user_id: whose connection it is.
        connection_id: the connection that the credentials belong to.
        provider_id: the provider that is asked.
        provider_slug: the provider's short name.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str


@event(
    category="provider",
    workflow="provider_token_refresh",
    phase=Phase.SUCCEEDED,
    audit=Audit("PROVIDER_TOKEN_REFRESHED", resource="token", resource_id="connection_id"),
    sse=SSE(SSEEventType.PROVIDER_TOKEN_REFRESHED, "connection_id", "provider_slug"),
)
class ProviderTokenRefreshSucceeded(DomainEvent):
    """An active connection has fresh credentials.

    Attributes:
        user_id: whose connection it is.
        connection_id: the connection that the credentials belong to.
        provider_id: the provider that gave them.
        provider_slug: the provider's short name.
        credentials_expire_at: when the new ones lapse; None where they do not, or nobody knows.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str
    credentials_expire_at: datetime | None = None


@event(
    category="provider",
    workflow="provider_token_refresh",
    phase=Phase.FAILED,
    audit=Audit("PROVIDER_TOKEN_REFRESH_FAILED", resource="token", resource_id="connection_id"),
    email=Email(when="needs_user_action"),
    sse=SSE(
        SSEEventType.PROVIDER_TOKEN_FAILED,
        "connection_id",
        "provider_slug",
        needs_reauth="needs_user_action",
    ),
)
class ProviderTokenRefreshFailed(DomainEvent):
    """The provider gave no fresh credentials.

    Attributes:
        user_id: whose connection it is.
        connection_id: the connection that the credentials belong to.
        provider_id: the provider that was asked.
        provider_slug: the provider's short name.
        reason: `refresh_token_expired`, `consent_withdrawn`, `provider_unavailable` or
            `rate_limited`.
        needs_user_action: whether only the user can mend it, by connecting again; then a mail
            asks for that. Shown live as `needs_reauth`.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str
    reason: str
    needs_user_action: bool = False


@event(
    category="provider",
    workflow="provider_connection_expired",
    phase=Phase.OPERATIONAL,
    audit=Audit("PROVIDER_CONNECTION_EXPIRED", resource="provider", resource_id="connection_id"),
    log_level=LogLevel.WARNING,
)
class ProviderConnectionExpired(DomainEvent):
    """The credentials of an active connection lapsed. They are kept; connecting again mends it.

    Attributes:
        user_id: whose connection it is.
        connection_id: the connection that cannot sync now.
        provider_id: the provider at its other end.
        provider_slug: the provider's short name.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str


@event(
    category="provider",
    workflow="provider_connection_revoked",
    phase=Phase.OPERATIONAL,
    audit=Audit("PROVIDER_CONNECTION_REVOKED", resource="provider", resource_id="connection_id"),
    log_level=LogLevel.WARNING,
)
class ProviderConnectionRevoked(DomainEvent):
    """The access was withdrawn, by the user at the provider's own site or by the provider.

    Attributes:
        user_id: whose connection it is.
        connection_id: the connection that cannot sync now.
        provider_id: the provider that no longer lets it in.
        provider_slug: the provider's short name.
        reason: `user_revoked`, `provider_revoked` or `security_hold`; None where the provider
            said nothing.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str
    reason: str | None = None


@event(
    category="provider",
    workflow="provider_connection_synced",
    phase=Phase.OPERATIONAL,
    log_level=LogLevel.DEBUG,
)
class ProviderConnectionSynced(DomainEvent):
    """Everything asked of an active connection was fetched; its time of last sync moves on.

    Attributes:
        user_id: whose connection it is.
        connection_id: the connection that was synced.
        provider_id: the provider at its other end.
        provider_slug: the provider's short name.
    """

    user_id: UUID
    connection_id: UUID
    provider_id: UUID
    provider_slug: str
