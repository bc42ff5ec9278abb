"""Tokens of our own: refreshed one by one, or made void by raising the version they must have.

Every refresh token carries the version it was issued under. A rotation raises the lowest version
that passes, for everybody or for one user.
"""

from uuid import UUID

from dashtam_events.declaration import Audit, LogLevel, Phase
from dashtam_events.event import DomainEvent, event

__all__ = [
    "AuthTokenRefreshAttempted",
    "AuthTokenRefreshFailed",
    "AuthTokenRefreshSucceeded",
    "GlobalTokenRotationAttempted",
    "GlobalTokenRotationFailed",
    "GlobalTokenRotationSucceeded",
    "TokenRejectedDueToRotation",
    "UserTokenRotationAttempted",
    "UserTokenRotationFailed",
    "UserTokenRotationSucceeded",
]


@event(
    category="authentication",
    workflow="auth_token_refresh",
    phase=Phase.ATTEMPTED,
    audit=Audit("AUTH_TOKEN_REFRESH_ATTEMPTED", resource="token"),
)
class AuthTokenRefreshAttempted(DomainEvent):
    """A refresh token was presented in exchange for a new access token.

    Attributes:
        user_id: whose token it is; None until the token has been looked up.
    """

    user_id: UUID | None = None


@event(
    category="authentication",
    workflow="auth_token_refresh",
    phase=Phase.SUCCEEDED,
    audit=Audit("AUTH_TOKEN_REFRESHED", resource="token", resource_id="session_id"),
)
class AuthTokenRefreshSucceeded(DomainEvent):
    """A new access token was issued within a running session.

    Attributes:
        user_id: whose token it is.
        session_id: the session that goes on.
    """

    user_id: UUID
    session_id: UUID


@event(
    category="authentication",
    workflow="auth_token_refresh",
    phase=Phase.FAILED,
    audit=Audit("AUTH_TOKEN_REFRESH_FAILED", resource="token"),
)
class AuthTokenRefreshFailed(DomainEvent):
    """A refresh token was not accepted, so no access token was issued.

    Attributes:
        user_id: whose token it is; None where the token belongs to nobody.
        reason: `token_not_found`, `token_expired`, `token_revoked` or `session_revoked`.
    """

    user_id: UUID | None = None
    reason: str


@event(
    category="authentication",
    workflow="global_token_rotation",
    phase=Phase.ATTEMPTED,
    audit=Audit("GLOBAL_TOKEN_ROTATION_ATTEMPTED", resource="token"),
)
class GlobalTokenRotationAttempted(DomainEvent):
    """An operator is about to make every refresh token of every user void.

    Attributes:
        triggered_by: the operator, as the audit trail should name them, or `system`.
        reason: `security_incident`, `scheduled_rotation` or `key_compromise`.
    """

    triggered_by: str
    reason: str


@event(
    category="authentication",
    workflow="global_token_rotation",
    phase=Phase.SUCCEEDED,
    audit=Audit("GLOBAL_TOKEN_ROTATION_SUCCEEDED", resource="token"),
)
class GlobalTokenRotationSucceeded(DomainEvent):
    """The lowest token version that is accepted from anybody was raised.

    Attributes:
        triggered_by: the operator, as the audit trail should name them, or `system`.
        previous_version: the lowest version accepted until now.
        new_version: the lowest version accepted from now on.
        reason: `security_incident`, `scheduled_rotation` or `key_compromise`.
        grace_period_seconds: for how many seconds older tokens still pass; 0 for not at all.
    """

    triggered_by: str
    previous_version: int
    new_version: int
    reason: str
    grace_period_seconds: int


@event(
    category="authentication",
    workflow="global_token_rotation",
    phase=Phase.FAILED,
    audit=Audit("GLOBAL_TOKEN_ROTATION_FAILED", resource="token"),
)
class GlobalTokenRotationFailed(DomainEvent):
    """A global rotation did not happen; the versions that were accepted still are.

    Attributes:
        triggered_by: the operator, as the audit trail should name them, or `system`.
        reason: what the rotation was for, as in the attempt.
        failure_reason: what stopped it: `configuration_not_found` or `version_conflict`.
    """

    triggered_by: str
    reason: str
    failure_reason: str


@event(
    category="authentication",
    workflow="user_token_rotation",
    phase=Phase.ATTEMPTED,
    audit=Audit("USER_TOKEN_ROTATION_ATTEMPTED", resource="token"),
)
class UserTokenRotationAttempted(DomainEvent):
    """The refresh tokens of one user are about to be made void.

    Attributes:
        user_id: whose tokens they are.
        triggered_by: `user`, `admin` or `system`.
        reason: `password_changed`, `user_requested` or `suspicious_activity`.
    """

    user_id: UUID
    triggered_by: str
    reason: str


@event(
    category="authentication",
    workflow="user_token_rotation",
    phase=Phase.SUCCEEDED,
    audit=Audit("USER_TOKEN_ROTATION_SUCCEEDED", resource="token"),
)
class UserTokenRotationSucceeded(DomainEvent):
    """The lowest token version that is accepted from one user was raised.

    Attributes:
        user_id: whose tokens they are.
        triggered_by: `user`, `admin` or `system`.
        previous_version: the lowest version accepted from this user until now.
        new_version: the lowest version accepted from this user from now on.
        reason: `password_changed`, `user_requested` or `suspicious_activity`.
    """

    user_id: UUID
    triggered_by: str
    previous_version: int
    new_version: int
    reason: str


@event(
    category="authentication",
    workflow="user_token_rotation",
    phase=Phase.FAILED,
    audit=Audit("USER_TOKEN_ROTATION_FAILED", resource="token"),
)
class UserTokenRotationFailed(DomainEvent):
    """The rotation of one user's tokens did not happen; their tokens still pass.

    Attributes:
        user_id: whose tokens they are.
        triggered_by: `user`, `admin` or `system`.
        reason: what the rotation was for, as in the attempt.
        failure_reason: what stopped it: `user_not_found` or `version_conflict`.
    """

    user_id: UUID
    triggered_by: str
    reason: str
    failure_reason: str


@event(
    category="authentication",
    workflow="token_rejected_due_to_rotation",
    phase=Phase.OPERATIONAL,
    audit=Audit("TOKEN_REJECTED_VERSION_MISMATCH", resource="token"),
    log_level=LogLevel.WARNING,
)
class TokenRejectedDueToRotation(DomainEvent):
    """A token from before a rotation was presented and refused.

    Attributes:
        user_id: whose token it is; None where the token belongs to nobody any more.
        token_version: the version that the token was issued under.
        required_version: the lowest version that would have passed.
        rejection_reason: which rotation it fell to: `global_rotation` or `user_rotation`.
    """

    user_id: UUID | None
    token_version: int
    required_version: int
    rejection_reason: str
