"""Who may do what: roles given to users and taken from them."""

from uuid import UUID

from dashtam_events.declaration import Audit, Phase
from dashtam_events.event import DomainEvent, event

__all__ = [
    "RoleAssignmentAttempted",
    "RoleAssignmentFailed",
    "RoleAssignmentSucceeded",
    "RoleRevocationAttempted",
    "RoleRevocationFailed",
    "RoleRevocationSucceeded",
]


@event(
    category="authorization",
    workflow="role_assignment",
    phase=Phase.ATTEMPTED,
    audit=Audit("ROLE_ASSIGNMENT_ATTEMPTED", resource="user", resource_id="user_id"),
)
class RoleAssignmentAttempted(DomainEvent):
    """An administrator asked to give a user a role.

    Attributes:
        user_id: who is to have the role.
        role: `admin`, `user` or `readonly`.
        assigned_by: the administrator who asked.
    """

    user_id: UUID
    role: str
    assigned_by: UUID


@event(
    category="authorization",
    workflow="role_assignment",
    phase=Phase.SUCCEEDED,
    audit=Audit("ROLE_ASSIGNED", resource="user", resource_id="user_id"),
)
class RoleAssignmentSucceeded(DomainEvent):
    """A user has a role that they had not; it counts from their next request on.

    Attributes:
        user_id: who has the role now.
        role: `admin`, `user` or `readonly`.
        assigned_by: the administrator who gave it.
    """

    user_id: UUID
    role: str
    assigned_by: UUID


@event(
    category="authorization",
    workflow="role_assignment",
    phase=Phase.FAILED,
    audit=Audit("ROLE_ASSIGNMENT_FAILED", resource="user", resource_id="user_id"),
)
class RoleAssignmentFailed(DomainEvent):
    """A role was not given; the user's roles are what they were.

    Attributes:
        user_id: who was to have the role.
        role: the role as it was asked for, which may be none that exists.
        assigned_by: the administrator who asked.
        reason: `already_assigned`, `unknown_role`, `user_not_found` or `not_permitted`.
    """

    user_id: UUID
    role: str
    assigned_by: UUID
    reason: str


@event(
    category="authorization",
    workflow="role_revocation",
    phase=Phase.ATTEMPTED,
    audit=Audit("ROLE_REVOCATION_ATTEMPTED", resource="user", resource_id="user_id"),
)
class RoleRevocationAttempted(DomainEvent):
    """An administrator asked to take a role from a user.

    Attributes:
        user_id: who is to lose the role.
        role: `admin`, `user` or `readonly`.
        revoked_by: the administrator who asked.
        reason: why, such as `left_team` or `access_review`; None where nobody said.
    """

    user_id: UUID
    role: str
    revoked_by: UUID
    reason: str | None = None


@event(
    category="authorization",
    workflow="role_revocation",
    phase=Phase.SUCCEEDED,
    audit=Audit("ROLE_REVOKED", resource="user", resource_id="user_id"),
)
class RoleRevocationSucceeded(DomainEvent):
    """A user lost a role; what it allowed is refused from their next request on.

    Attributes:
        user_id: who lost the role.
        role: `admin`, `user` or `readonly`.
        revoked_by: the administrator who took it.
        reason: why, such as `left_team` or `access_review`; None where nobody said.
    """

    user_id: UUID
    role: str
    revoked_by: UUID
    reason: str | None = None


@event(
    category="authorization",
    workflow="role_revocation",
    phase=Phase.FAILED,
    audit=Audit("ROLE_REVOCATION_FAILED", resource="user", resource_id="user_id"),
)
class RoleRevocationFailed(DomainEvent):
    """A role was not taken away; the user still has what they had.

    Attributes:
        user_id: who was to lose the role.
        role: the role as it was asked for.
        revoked_by: the administrator who asked.
        reason: what stopped it: `not_assigned`, `last_admin`, `user_not_found` or
            `not_permitted`.
    """

    user_id: UUID
    role: str
    revoked_by: UUID
    reason: str
