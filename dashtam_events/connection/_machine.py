"""THE table of a connection's life: which event may happen in which state, and where it leads.

The guard of every command, the fold of every event, the tests and the diagram come from here.
It knows of states and events, and never of credentials, time or storage.
"""

from collections.abc import Mapping
from types import MappingProxyType as Frozen

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
from dashtam_events.connection.status import ConnectionStatus
from dashtam_events.event import DomainEvent

__all__ = ["START", "TRANSITIONS"]

START: tuple[type[DomainEvent], ConnectionStatus] = (
    ProviderConnectionAttempted,
    ConnectionStatus.PENDING,
)
"""The event that begins every stream, and the state that it leads to."""

_AGAIN: Mapping[type[DomainEvent], ConnectionStatus] = Frozen(
    {
        ProviderConnectionSucceeded: ConnectionStatus.ACTIVE,
        ProviderDisconnectionSucceeded: ConnectionStatus.DISCONNECTED,
    }
)

TRANSITIONS: Mapping[ConnectionStatus, Mapping[type[DomainEvent], ConnectionStatus]] = Frozen(
    {
        ConnectionStatus.PENDING: Frozen(
            {
                ProviderConnectionSucceeded: ConnectionStatus.ACTIVE,
                ProviderConnectionFailed: ConnectionStatus.FAILED,
                ProviderDisconnectionSucceeded: ConnectionStatus.DISCONNECTED,
            }
        ),
        ConnectionStatus.ACTIVE: Frozen(
            {
                ProviderConnectionExpired: ConnectionStatus.EXPIRED,
                ProviderConnectionRevoked: ConnectionStatus.REVOKED,
                ProviderTokenRefreshSucceeded: ConnectionStatus.ACTIVE,
                ProviderConnectionSynced: ConnectionStatus.ACTIVE,
                ProviderDisconnectionSucceeded: ConnectionStatus.DISCONNECTED,
            }
        ),
        ConnectionStatus.EXPIRED: _AGAIN,
        ConnectionStatus.REVOKED: _AGAIN,
        ConnectionStatus.FAILED: _AGAIN,
        ConnectionStatus.DISCONNECTED: Frozen({}),
    }
)
"""For each state, the events that may happen in it and the states that they lead to."""
