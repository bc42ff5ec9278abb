"""How its events make a connection: each is checked against the table, and folded.

Reading an old history needs no clock, no credentials and no answer from outside.
"""

from typing import Any, ClassVar, Self
from uuid import UUID

import attrs

from dashtam_events.aggregate import Aggregate, applies
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
from dashtam_events.connection._machine import TRANSITIONS
from dashtam_events.connection._state import ConnectionState
from dashtam_events.connection._views import ReadableConnection
from dashtam_events.connection.credentials import ProviderCredentials
from dashtam_events.connection.status import ConnectionStatus
from dashtam_events.errors import InvalidHistory
from dashtam_events.event import DomainEvent

__all__ = ["FoldedConnection", "begun_by"]

_Lapse = ProviderConnectionFailed | ProviderConnectionExpired | ProviderConnectionRevoked


class FoldedConnection(ReadableConnection):
    """A connection that can be rebuilt, from its events or from a snapshot.

    The credentials are in neither: where an event says that they changed, they are unknown
    until they are restored.
    """

    snapshot_type: ClassVar[type[Any] | None] = ConnectionState

    @classmethod
    def blank(cls, id: UUID) -> Self:
        """A connection that no event has begun yet: it has an id and nothing else."""
        connection = cls.__new__(cls)
        Aggregate.__init__(connection, id)
        return connection

    def restore_credentials(self, credentials: ProviderCredentials | None) -> None:
        """Give back what was kept beside the stream; no event is recorded. For repositories."""
        self._credentials = credentials

    def take_snapshot(self) -> ConnectionState:
        """A copy of the state, without the credentials, which have a place of their own."""
        return attrs.evolve(self._begun)

    def restore_snapshot(self, state: ConnectionState) -> None:
        """Take over the state; the credentials are restored apart."""
        self._state, self._credentials = attrs.evolve(state), None

    @applies(ProviderConnectionAttempted)
    def _attempted(self, event: ProviderConnectionAttempted) -> None:
        if self._state is not None or event.connection_id not in (self.id, None):
            raise self._impossible(event)
        try:
            self._state, self._credentials = begun_by(event), None
        except ValueError:
            raise self._impossible(event) from None

    @applies(ProviderConnectionSucceeded)
    def _connected(self, event: ProviderConnectionSucceeded) -> None:
        state = self._move(event, event.connection_id)
        state.connected_at = state.connected_at or event.occurred_at
        self._credentials = None

    @applies(ProviderConnectionFailed, ProviderConnectionExpired, ProviderConnectionRevoked)
    def _lapsed(self, event: _Lapse) -> None:
        self._move(event, event.connection_id)

    @applies(ProviderTokenRefreshSucceeded)
    def _refreshed(self, event: ProviderTokenRefreshSucceeded) -> None:
        self._move(event, event.connection_id)
        self._credentials = None

    @applies(ProviderConnectionSynced)
    def _synced(self, event: ProviderConnectionSynced) -> None:
        self._move(event, event.connection_id).last_sync_at = event.occurred_at

    @applies(ProviderDisconnectionSucceeded)
    def _disconnected(self, event: ProviderDisconnectionSucceeded) -> None:
        self._move(event, event.connection_id)
        self._credentials = None

    def _move(self, event: DomainEvent, connection_id: UUID | None) -> ConnectionState:
        """Follow the table with an event of this connection; what it cannot hold is impossible."""
        state = self._state
        if state is None or connection_id not in (self.id, None):
            raise self._impossible(event)
        following = TRANSITIONS[state.status].get(type(event))
        if following is None:
            raise self._impossible(event)
        state.status, state.updated_at = following, event.occurred_at
        return state

    def _impossible(self, event: DomainEvent) -> InvalidHistory:
        state = "NOT BEGUN" if self._state is None else self._state.status.name
        return InvalidHistory(str(self.stream), type(event).__name__, state)


def begun_by(event: ProviderConnectionAttempted) -> ConnectionState:
    """The state that a beginning leads to. Raises ValueError as `ConnectionState` does."""
    return ConnectionState(
        user_id=event.user_id,
        provider_id=event.provider_id,
        provider_slug=event.provider_slug,
        status=ConnectionStatus.PENDING,
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
        alias=event.alias,
    )
