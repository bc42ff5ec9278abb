"""What a provider lets a connection in with: an encrypted blob, its kind, and when it lapses.

This library never decrypts it, never shows it, and never puts it into an event.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import attrs

from dashtam_events._clock import now as _now

__all__ = ["CredentialType", "ProviderCredentials"]


class CredentialType(StrEnum):
    """How a provider lets its users' services in."""

    OAUTH2 = "oauth2"
    API_KEY = "api_key"
    LINK_TOKEN = "link_token"
    CERTIFICATE = "certificate"
    FILE_IMPORT = "file_import"
    CUSTOM = "custom"


def _is_blob(_instance: object, _attribute: object, value: Any) -> None:
    if not isinstance(value, bytes) or not value:
        raise ValueError("encrypted_data must be bytes, and not empty")


@attrs.frozen(repr=False)
class ProviderCredentials:
    """Credentials of one connection. The repr shows the length of the blob, never the blob.

    Args:
        encrypted_data: the blob, encrypted by the service before it comes here.
        credential_type: what is in it.
        expires_at: when it lapses (aware); None where it does not, or nobody knows.

    Raises:
        ValueError: the blob is empty or not bytes, the type is none, or `expires_at` is naive.
    """

    encrypted_data: bytes = attrs.field(validator=_is_blob)
    credential_type: CredentialType = attrs.field(converter=CredentialType)
    expires_at: datetime | None = None

    def __attrs_post_init__(self) -> None:
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError("expires_at must be aware: pass a datetime with a timezone")

    def is_expired(self, now: datetime | None = None) -> bool:
        """Whether they have lapsed at `now`, by default the present; never where no date is set."""
        return self.is_expiring_soon(timedelta(0), now=now)

    def is_expiring_soon(
        self, threshold: timedelta = timedelta(minutes=5), *, now: datetime | None = None
    ) -> bool:
        """Whether they lapse within `threshold`, or have lapsed; never where no date is set."""
        return self.expires_at is not None and self.expires_at - (now or _now()) <= threshold

    def time_until_expiry(self, now: datetime | None = None) -> timedelta | None:
        """How long they still hold: zero once they have lapsed, None where no date is set."""
        if self.expires_at is None:
            return None
        return max(self.expires_at - (now or _now()), timedelta(0))

    def supports_refresh(self) -> bool:
        """Whether fresh ones can be had without the user.

        True for OAuth 2 alone (RFC 6749, 6): a link token, too, is renewed by its user.
        """
        return self.credential_type is CredentialType.OAUTH2

    def __repr__(self) -> str:
        return (
            f"ProviderCredentials(encrypted_data=<{len(self.encrypted_data)} bytes>, "
            f"credential_type={self.credential_type.value!r}, expires_at={self.expires_at!r})"
        )
