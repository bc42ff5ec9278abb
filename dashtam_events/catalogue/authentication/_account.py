"""Getting in and out: registration, login, logout, and the ways to a password."""

from uuid import UUID

from dashtam_events.catalogue.live import SSEEventType
from dashtam_events.declaration import SSE, Audit, Email, Phase
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal, secret

__all__ = [
    "EmailVerificationAttempted",
    "EmailVerificationFailed",
    "EmailVerificationSucceeded",
    "PasswordResetConfirmAttempted",
    "PasswordResetConfirmFailed",
    "PasswordResetConfirmSucceeded",
    "PasswordResetRequestAttempted",
    "PasswordResetRequestFailed",
    "PasswordResetRequestSucceeded",
    "UserLoginAttempted",
    "UserLoginFailed",
    "UserLoginSucceeded",
    "UserLogoutAttempted",
    "UserLogoutFailed",
    "UserLogoutSucceeded",
    "UserPasswordChangeAttempted",
    "UserPasswordChangeFailed",
    "UserPasswordChangeSucceeded",
    "UserRegistrationAttempted",
    "UserRegistrationFailed",
    "UserRegistrationSucceeded",
]


@event(
    category="authentication",
    workflow="user_registration",
    phase=Phase.ATTEMPTED,
    audit=Audit("USER_REGISTRATION_ATTEMPTED", resource="user"),
)
class UserRegistrationAttempted(DomainEvent):
    """Somebody sent the registration form; nothing has been checked yet.

    Attributes:
        email: the address as it was typed.
    """

    email: str = personal()


@event(
    category="authentication",
    workflow="user_registration",
    phase=Phase.SUCCEEDED,
    audit=Audit("USER_REGISTERED", resource="user", resource_id="user_id"),
    email=Email(),
)
class UserRegistrationSucceeded(DomainEvent):
    """An account was created. It waits for its address to be verified; the mail asks for that.

    Attributes:
        user_id: the new account.
        email: the address that the verification mail goes to.
        verification_token: what the link in that mail carries; never stored, so None when the
            event is read back.
    """

    user_id: UUID
    email: str = personal()
    verification_token: str | None = secret(default=None)


@event(
    category="authentication",
    workflow="user_registration",
    phase=Phase.FAILED,
    audit=Audit("USER_REGISTRATION_FAILED", resource="user"),
)
class UserRegistrationFailed(DomainEvent):
    """A registration was refused and no account was created.

    Attributes:
        email: the address as it was typed.
        reason: `email_already_registered`, `invalid_email` or `weak_password`.
    """

    email: str = personal()
    reason: str


@event(
    category="authentication",
    workflow="user_login",
    phase=Phase.ATTEMPTED,
    audit=Audit("USER_LOGIN_ATTEMPTED", resource="session"),
)
class UserLoginAttempted(DomainEvent):
    """Somebody sent an address and a password; neither has been checked yet.

    Attributes:
        email: the address as it was typed; it need not belong to an account.
    """

    email: str = personal()


@event(
    category="authentication",
    workflow="user_login",
    phase=Phase.SUCCEEDED,
    audit=Audit("USER_LOGIN_SUCCESS", resource="session", resource_id="session_id"),
)
class UserLoginSucceeded(DomainEvent):
    """The password was right and the user is logged in.

    Attributes:
        user_id: who logged in.
        email: the address that was used.
        session_id: the session that began; None for a login that opens none.
    """

    user_id: UUID
    email: str = personal()
    session_id: UUID | None = None


@event(
    category="authentication",
    workflow="user_login",
    phase=Phase.FAILED,
    audit=Audit("USER_LOGIN_FAILED", resource="session"),
    sse=SSE(SSEEventType.SECURITY_LOGIN_FAILED, "reason"),
)
class UserLoginFailed(DomainEvent):
    """A login was refused. Its user sees it live, where the address belongs to one.

    Attributes:
        email: the address as it was typed.
        reason: `invalid_credentials`, `email_not_verified`, `account_locked` or
            `account_inactive`.
        user_id: the account behind the address; None where there is none.
    """

    email: str = personal()
    reason: str
    user_id: UUID | None = None


@event(
    category="authentication",
    workflow="email_verification",
    phase=Phase.ATTEMPTED,
    audit=Audit("USER_EMAIL_VERIFICATION_ATTEMPTED", resource="user"),
)
class EmailVerificationAttempted(DomainEvent):
    """Somebody opened a verification link; whose it is comes out only when the token is looked up.

    Attributes:
        token: what the link carried; never stored, so None when the event is read back.
    """

    token: str | None = secret(default=None)


@event(
    category="authentication",
    workflow="email_verification",
    phase=Phase.SUCCEEDED,
    audit=Audit("USER_EMAIL_VERIFIED", resource="user", resource_id="user_id"),
    email=Email(),
)
class EmailVerificationSucceeded(DomainEvent):
    """A user proved that the address is theirs, and the account is active. A welcome goes out.

    Attributes:
        user_id: the account that is now verified.
        email: the address that was proved.
    """

    user_id: UUID
    email: str = personal()


@event(
    category="authentication",
    workflow="email_verification",
    phase=Phase.FAILED,
    audit=Audit("USER_EMAIL_VERIFICATION_FAILED", resource="user"),
)
class EmailVerificationFailed(DomainEvent):
    """A verification link was not accepted.

    Attributes:
        token: what the link carried; never stored, so None when the event is read back.
        reason: `token_not_found`, `token_expired` or `token_already_used`.
    """

    token: str | None = secret(default=None)
    reason: str


@event(
    category="authentication",
    workflow="user_password_change",
    phase=Phase.ATTEMPTED,
    audit=Audit("USER_PASSWORD_CHANGE_ATTEMPTED", resource="user", resource_id="user_id"),
)
class UserPasswordChangeAttempted(DomainEvent):
    """A user asked for another password; the present one has not been checked yet.

    Attributes:
        user_id: whose password it is.
    """

    user_id: UUID


@event(
    category="authentication",
    workflow="user_password_change",
    phase=Phase.SUCCEEDED,
    audit=Audit("USER_PASSWORD_CHANGED", resource="user", resource_id="user_id"),
    email=Email(),
    sse=SSE(SSEEventType.SECURITY_PASSWORD_CHANGED, "initiated_by"),
    ends_sessions=True,
)
class UserPasswordChangeSucceeded(DomainEvent):
    """A password was changed. The user's sessions end, and the user is told by e-mail and live.

    Attributes:
        user_id: whose password it is.
        initiated_by: who changed it: `user` or `admin`.
    """

    user_id: UUID
    initiated_by: str


@event(
    category="authentication",
    workflow="user_password_change",
    phase=Phase.FAILED,
    audit=Audit("USER_PASSWORD_CHANGE_FAILED", resource="user", resource_id="user_id"),
)
class UserPasswordChangeFailed(DomainEvent):
    """A password change was refused; the old password still holds.

    Attributes:
        user_id: whose password it is.
        reason: `wrong_current_password`, `weak_password` or `password_reused`.
    """

    user_id: UUID
    reason: str


@event(
    category="authentication",
    workflow="user_logout",
    phase=Phase.ATTEMPTED,
    audit=Audit("USER_LOGOUT_ATTEMPTED", resource="session"),
)
class UserLogoutAttempted(DomainEvent):
    """A user asked to be logged out.

    Attributes:
        user_id: who asked.
    """

    user_id: UUID


@event(
    category="authentication",
    workflow="user_logout",
    phase=Phase.SUCCEEDED,
    audit=Audit("USER_LOGOUT", resource="session", resource_id="session_id"),
    ends_sessions=True,
)
class UserLogoutSucceeded(DomainEvent):
    """A user is logged out; sessions of theirs that are still open end too.

    Attributes:
        user_id: who logged out.
        session_id: the session that ended; None where it could no longer be told.
    """

    user_id: UUID
    session_id: UUID | None = None


@event(
    category="authentication",
    workflow="user_logout",
    phase=Phase.FAILED,
    audit=Audit("USER_LOGOUT_FAILED", resource="session"),
)
class UserLogoutFailed(DomainEvent):
    """A logout did not go through; the session may still be open.

    Attributes:
        user_id: who asked.
        reason: `session_not_found` or `token_revocation_failed`.
    """

    user_id: UUID
    reason: str


@event(
    category="authentication",
    workflow="password_reset_request",
    phase=Phase.ATTEMPTED,
    audit=Audit("PASSWORD_RESET_REQUEST_ATTEMPTED", resource="user"),
)
class PasswordResetRequestAttempted(DomainEvent):
    """Somebody said that they forgot their password.

    Attributes:
        email: the address as it was typed; it need not belong to an account.
    """

    email: str = personal()


@event(
    category="authentication",
    workflow="password_reset_request",
    phase=Phase.SUCCEEDED,
    audit=Audit("USER_PASSWORD_RESET_REQUESTED", resource="user", resource_id="user_id"),
    email=Email(),
)
class PasswordResetRequestSucceeded(DomainEvent):
    """A reset token was issued and goes to the account's address by mail.

    Attributes:
        user_id: the account whose password may be reset.
        email: the address that the mail goes to.
        reset_token: what the link in that mail carries; never stored, so None when the event is
            read back.
    """

    user_id: UUID
    email: str = personal()
    reset_token: str | None = secret(default=None)


@event(
    category="authentication",
    workflow="password_reset_request",
    phase=Phase.FAILED,
    audit=Audit("USER_PASSWORD_RESET_FAILED", resource="user"),
)
class PasswordResetRequestFailed(DomainEvent):
    """No reset token was issued. Who asked is not told why, lest they learn who has an account.

    Attributes:
        email: the address as it was typed.
        reason: `user_not_found`, `email_not_verified` or `account_inactive`.
    """

    email: str = personal()
    reason: str


@event(
    category="authentication",
    workflow="password_reset_confirm",
    phase=Phase.ATTEMPTED,
    audit=Audit("PASSWORD_RESET_CONFIRM_ATTEMPTED", resource="user"),
)
class PasswordResetConfirmAttempted(DomainEvent):
    """Somebody opened a reset link and chose a new password.

    Attributes:
        token: what the link carried; never stored, so None when the event is read back.
    """

    token: str | None = secret(default=None)


@event(
    category="authentication",
    workflow="password_reset_confirm",
    phase=Phase.SUCCEEDED,
    audit=Audit("USER_PASSWORD_RESET_COMPLETED", resource="user", resource_id="user_id"),
    email=Email(),
    ends_sessions=True,
)
class PasswordResetConfirmSucceeded(DomainEvent):
    """A forgotten password was replaced. All sessions of the user end, and a mail says so.

    Attributes:
        user_id: whose password it is.
        email: the address that the mail goes to.
    """

    user_id: UUID
    email: str = personal()


@event(
    category="authentication",
    workflow="password_reset_confirm",
    phase=Phase.FAILED,
    audit=Audit("PASSWORD_RESET_CONFIRM_FAILED", resource="user"),
)
class PasswordResetConfirmFailed(DomainEvent):
    """A reset link or the new password was not accepted; the old password still holds.

    Attributes:
        token: what the link carried; never stored, so None when the event is read back.
        reason: `token_not_found`, `token_expired`, `token_already_used` or `weak_password`.
    """

    token: str | None = secret(default=None)
    reason: str
