"""What is known of a connection, credentials apart: the part that its events make."""

from datetime import datetime
from uuid import UUID

import attrs

from dashtam_events.connection.status import ConnectionStatus
from dashtam_events.privacy import personal

__all__ = ["ConnectionState"]

_IDS = ("user_id", "provider_id")
_TEXTS = {"provider_slug": str, "alias": str | None}
_TIMES = ("connected_at", "last_sync_at", "created_at", "updated_at")


@attrs.define(kw_only=True)
class ConnectionState:
    """The state of a connection, and the form of its snapshot.

    Raises:
        TypeError: an id is no UUID, or the slug or the alias no text.
        ValueError: the slug is empty or over 50 characters, the alias over 100, a time naive.
    """

    user_id: UUID
    provider_id: UUID
    provider_slug: str
    status: ConnectionStatus
    created_at: datetime
    updated_at: datetime
    alias: str | None = personal(default=None)
    connected_at: datetime | None = None
    last_sync_at: datetime | None = None

    def __attrs_post_init__(self) -> None:
        for name in _IDS:
            if not isinstance(getattr(self, name), UUID):
                raise TypeError(f"{name} must be a UUID")
        for name, kinds in _TEXTS.items():
            if not isinstance(getattr(self, name), kinds):
                raise TypeError(f"{name} must be text")
        self._check_values()

    def _check_values(self) -> None:
        if not 1 <= len(self.provider_slug) <= 50:
            raise ValueError("provider_slug must have 1 to 50 characters")
        if self.alias is not None and len(self.alias) > 100:
            raise ValueError("alias must have at most 100 characters")
        for name in _TIMES:
            time: datetime | None = getattr(self, name)
            if time is not None and time.tzinfo is None:
                raise ValueError(f"{name} must be aware: pass a datetime with a timezone")
