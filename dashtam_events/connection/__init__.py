"""The provider connection: its states, its rules, its credentials, and where it is kept."""

from dashtam_events.connection.connection import ProviderConnection
from dashtam_events.connection.credentials import CredentialType, ProviderCredentials
from dashtam_events.connection.diagram import mermaid
from dashtam_events.connection.errors import ProviderConnectionError
from dashtam_events.connection.repository import ConnectionRepository
from dashtam_events.connection.status import ConnectionStatus

__all__ = [
    "ConnectionRepository",
    "ConnectionStatus",
    "CredentialType",
    "ProviderConnection",
    "ProviderConnectionError",
    "ProviderCredentials",
    "mermaid",
]
