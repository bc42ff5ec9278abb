"""What can be read of a connection: its attributes, and what follows from them."""

from datetime import datetime, timedelta
from uuid import UUID

from dashtam_events.aggregate import Aggregate
from dashtam_events.connection._state import ConnectionState
from dashtam_events.connection.credentials import ProviderCredentials
from dashtam_events.connection.status import ConnectionStatus
from dashtam_events.errors import AggregateNotFound

__all__ = ["ReadableConnection"]


class ReadableConnection(Aggregate):
    """The reading side of a connection; nothing here changes it."""

    _state: ConnectionState | None = None
    _credentials: ProviderCredentials | None = None

    @property
    def user_id(self) -> UUID:
        """Whose connection it is."""
        return self._begun.user_id

    @property
    def provider_id(self) -> UUID:
        """The provider at its other end."""
        return self._begun.provider_id

    @property
    def provider_slug(self) -> str:
        """The provider's short name."""
        return self._begun.provider_slug

    @property
    def status(self) -> ConnectionStatus:
        """Where in its life it is."""
        return self._begun.status

    @property
    def alias(self) -> str | None:
        """The user's own name for it."""
        return self._begun.alias

    @property
    def credentials(self) -> ProviderCredentials | None:
        """What the provider lets it in with; None where there are none, or none were loaded."""
        return self._credentials

    @property
    def connected_at(self) -> datetime | None:
        """When it was active for the first time; connecting again leaves it as it is."""
        return self._begun.connected_at

    @property
    def last_sync_at(self) -> datetime | None:
        """When everything asked of the provider was last fetched."""
        return self._begun.last_sync_at

    @property
    def created_at(self) -> datetime:
        """When it was begun."""
        return self._begun.created_at

    @property
    def updated_at(self) -> datetime:
        """When something last happened to it."""
        return self._begun.updated_at

    def is_connected(self) -> bool:
        """Whether it is active."""
        return self.status in ConnectionStatus.active_states()

    def needs_reauthentication(self) -> bool:
        """Whether only the user can mend it: it is expired, revoked or failed."""
        return self.status in ConnectionStatus.needs_reauth_states()

    def is_credentials_expired(self, now: datetime | None = None) -> bool:
        """Whether it has credentials, and they have lapsed."""
        return self._credentials is not None and self._credentials.is_expired(now)

    def is_credentials_expiring_soon(
        self, threshold: timedelta = timedelta(minutes=5), *, now: datetime | None = None
    ) -> bool:
        """Whether it has credentials, and they lapse within `threshold` or have lapsed."""
        held = self._credentials
        return held is not None and held.is_expiring_soon(threshold, now=now)

    def can_sync(self, now: datetime | None = None) -> bool:
        """Whether data can be fetched: it is active, with credentials that have not lapsed."""
        held = self._credentials
        return self.is_connected() and held is not None and not held.is_expired(now)

    @property
    def _begun(self) -> ConnectionState:
        if self._state is None:
            raise AggregateNotFound(str(self.stream))
        return self._state
