"""The sessions of a user: begun, used, found suspicious, ended."""

from collections.abc import Mapping
from uuid import UUID

from dashtam_events._frozen import EMPTY
from dashtam_events.catalogue.live import SSEEventType
from dashtam_events.declaration import SSE, Audit, LogLevel, Phase
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal

__all__ = [
    "AllSessionsRevocationAttempted",
    "AllSessionsRevocationFailed",
    "AllSessionsRevokedEvent",
    "SessionActivityUpdatedEvent",
    "SessionCreatedEvent",
    "SessionEvictedEvent",
    "SessionLimitExceededEvent",
    "SessionProviderAccessEvent",
    "SessionRevocationAttempted",
    "SessionRevocationFailed",
    "SessionRevokedEvent",
    "SuspiciousSessionActivityEvent",
]


@event(
    category="session",
    workflow="session_created",
    phase=Phase.OPERATIONAL,
    sse=SSE(
        SSEEventType.SECURITY_SESSION_NEW, "session_id", "device_info", "ip_address", "location"
    ),
)
class SessionCreatedEvent(DomainEvent):
    """A session began; the user sees it live, so that a login that was not theirs is noticed.

    Attributes:
        session_id: the new session.
        user_id: whose session it is.
        device_info: the device in words for the user, such as `Firefox on macOS`; None if
            unknown.
        ip_address: where the login came from, IPv4 or IPv6 as text; None if unknown.
        location: the place of that address in words, such as `Berlin, DE`; None if unknown.
        user_agent: the header of that name as the browser sent it; None if it sent none.
    """

    session_id: UUID
    user_id: UUID
    device_info: str | None = personal(default=None)
    ip_address: str | None = personal(default=None)
    location: str | None = personal(default=None)
    user_agent: str | None = personal(default=None)


@event(
    category="session",
    workflow="session_revocation",
    phase=Phase.ATTEMPTED,
    audit=Audit("SESSION_REVOCATION_ATTEMPTED", resource="session", resource_id="session_id"),
)
class SessionRevocationAttempted(DomainEvent):
    """Somebody asked to end one session.

    Attributes:
        session_id: the session that is to end.
        user_id: whose session it is.
        reason: `user_requested`, `admin_action` or `suspicious_activity`.
    """

    session_id: UUID
    user_id: UUID
    reason: str


@event(
    category="session",
    workflow="session_revocation",
    phase=Phase.SUCCEEDED,
    audit=Audit("SESSION_REVOKED", resource="session", resource_id="session_id"),
    sse=SSE(SSEEventType.SECURITY_SESSION_REVOKED, "session_id", "device_info", "reason"),
    log_level=LogLevel.WARNING,
)
class SessionRevokedEvent(DomainEvent):
    """One session was ended before its time; the user sees it live.

    Attributes:
        session_id: the session that ended.
        user_id: whose session it was.
        reason: `user_requested`, `admin_action`, `suspicious_activity` or `password_changed`.
        device_info: the device it ran on, in words for the user; None if unknown.
        revoked_by_user: whether the user ended it, not an administrator or the service.
    """

    session_id: UUID
    user_id: UUID
    reason: str
    device_info: str | None = personal(default=None)
    revoked_by_user: bool = True


@event(
    category="session",
    workflow="session_revocation",
    phase=Phase.FAILED,
    audit=Audit("SESSION_REVOCATION_FAILED", resource="session", resource_id="session_id"),
)
class SessionRevocationFailed(DomainEvent):
    """A session could not be ended.

    Attributes:
        session_id: the session that was to end.
        user_id: whose session it is.
        reason: what it was to end for, as in the attempt.
        failure_reason: what stopped it: `session_not_found`, `already_revoked` or `not_owner`.
    """

    session_id: UUID
    user_id: UUID
    reason: str
    failure_reason: str


@event(
    category="session",
    workflow="session_evicted",
    phase=Phase.OPERATIONAL,
    audit=Audit("SESSION_EVICTED", resource="session", resource_id="session_id"),
    log_level=LogLevel.WARNING,
)
class SessionEvictedEvent(DomainEvent):
    """The oldest session of a user was ended to make room for a new one.

    Attributes:
        session_id: the session that had to go.
        user_id: whose session it was.
        reason: the rule that it fell to: `session_limit_exceeded` or `inactive`.
        device_info: the device it ran on, in words for the user; None if unknown.
    """

    session_id: UUID
    user_id: UUID
    reason: str
    device_info: str | None = personal(default=None)


@event(
    category="session",
    workflow="all_sessions_revocation",
    phase=Phase.ATTEMPTED,
    audit=Audit("ALL_SESSIONS_REVOCATION_ATTEMPTED", resource="session"),
)
class AllSessionsRevocationAttempted(DomainEvent):
    """Somebody asked to end every session of a user.

    Attributes:
        user_id: whose sessions they are.
        reason: `user_requested`, `password_changed` or `suspicious_activity`.
        except_session_id: the one session that is to go on, mostly the caller's own; None to
            spare none.
    """

    user_id: UUID
    reason: str
    except_session_id: UUID | None = None


@event(
    category="session",
    workflow="all_sessions_revocation",
    phase=Phase.SUCCEEDED,
    audit=Audit("ALL_SESSIONS_REVOKED", resource="session"),
    log_level=LogLevel.WARNING,
)
class AllSessionsRevokedEvent(DomainEvent):
    """Every session of a user was ended, but for the one that was spared.

    Attributes:
        user_id: whose sessions they were.
        reason: `user_requested`, `password_changed` or `suspicious_activity`.
        session_count: how many sessions ended, 0 included.
        except_session_id: the one session that goes on; None where none was spared.
    """

    user_id: UUID
    reason: str
    session_count: int
    except_session_id: UUID | None = None


@event(
    category="session",
    workflow="all_sessions_revocation",
    phase=Phase.FAILED,
    audit=Audit("ALL_SESSIONS_REVOCATION_FAILED", resource="session"),
)
class AllSessionsRevocationFailed(DomainEvent):
    """The sessions of a user could not be ended; some or all may still be open.

    Attributes:
        user_id: whose sessions they are.
        reason: what they were to end for, as in the attempt.
        failure_reason: what stopped it: `user_not_found` or `session_store_unavailable`.
    """

    user_id: UUID
    reason: str
    failure_reason: str


@event(
    category="session",
    workflow="session_activity_updated",
    phase=Phase.OPERATIONAL,
)
class SessionActivityUpdatedEvent(DomainEvent):
    """A session was used again. Emitted at intervals, not for every request.

    Attributes:
        session_id: the session in use.
        user_id: whose session it is.
        ip_address: where the latest request came from, IPv4 or IPv6 as text; None if unknown.
        ip_changed: whether that is another address than the session used before.
    """

    session_id: UUID
    user_id: UUID
    ip_address: str | None = personal(default=None)
    ip_changed: bool = False


@event(
    category="session",
    workflow="session_provider_access",
    phase=Phase.OPERATIONAL,
    audit=Audit("SESSION_PROVIDER_ACCESS", resource="provider"),
)
class SessionProviderAccessEvent(DomainEvent):
    """A session reached for the data of a provider for the first time.

    Attributes:
        session_id: the session in use.
        user_id: whose session it is.
        provider_name: the provider's short name, such as `schwab`.
    """

    session_id: UUID
    user_id: UUID
    provider_name: str


@event(
    category="session",
    workflow="suspicious_session_activity",
    phase=Phase.OPERATIONAL,
    audit=Audit("SUSPICIOUS_SESSION_ACTIVITY", resource="session", resource_id="session_id"),
    sse=SSE(SSEEventType.SECURITY_SESSION_SUSPICIOUS, "session_id", reason="activity_type"),
    log_level=LogLevel.WARNING,
)
class SuspiciousSessionActivityEvent(DomainEvent):
    """A session did what its user would hardly do. The user sees it live; the session still runs.

    Attributes:
        session_id: the session that stands out.
        user_id: whose session it is.
        activity_type: `ip_change`, `device_change`, `impossible_travel` or `unusual_access`;
            shown live as `reason`.
        details: what was seen, as short names and text, such as the old and the new country.
        suspicious_count: how often this session has stood out so far.
    """

    session_id: UUID
    user_id: UUID
    activity_type: str
    details: Mapping[str, str] = personal(default=EMPTY)
    suspicious_count: int = 0


@event(
    category="session",
    workflow="session_limit_exceeded",
    phase=Phase.OPERATIONAL,
)
class SessionLimitExceededEvent(DomainEvent):
    """A user logged in while they had as many sessions as they may have.

    Attributes:
        user_id: whose sessions they are.
        current_count: how many sessions were open at that moment.
        max_sessions: how many the user may have open.
        evicted_session_id: the session that was ended to make room; None where none was.
    """

    user_id: UUID
    current_count: int
    max_sessions: int
    evicted_session_id: UUID | None = None
