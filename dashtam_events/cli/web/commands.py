"""What a person can press on the page: each command, what it calls, and the event it leads to."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import attrs
from returns.pipeline import is_successful
from returns.result import Result

from dashtam_events._clock import now
from dashtam_events._frozen import FrozenDict
from dashtam_events._ids import new_id
from dashtam_events.catalogue.provider import (
    ProviderConnectionExpired,
    ProviderConnectionFailed,
    ProviderConnectionRevoked,
    ProviderConnectionSucceeded,
    ProviderConnectionSynced,
    ProviderDisconnectionSucceeded,
    ProviderTokenRefreshSucceeded,
)
from dashtam_events.cli.story import DEMO_USER
from dashtam_events.connection import (
    ConnectionStatus,
    CredentialType,
    ProviderConnection,
    ProviderConnectionError,
    ProviderCredentials,
)
from dashtam_events.connection._machine import TRANSITIONS
from dashtam_events.event import DomainEvent

__all__ = ["COMMANDS", "Command", "refusal", "refusals"]

_Answer: TypeAlias = Result[None, ProviderConnectionError]


@attrs.frozen
class Command:
    """A button: what it says, what that means, how it is written in code, and the call itself."""

    label: str
    meaning: str
    code: str
    event: type[DomainEvent]
    decide: Callable[[ProviderConnection], _Answer]

    def described(self, name: str) -> dict[str, Any]:
        """What the page has to know of it."""
        told = attrs.asdict(self, filter=attrs.filters.exclude("event", "decide"))
        return {"name": name, "event": self.event.__name__} | told


def _fresh() -> ProviderCredentials:
    # Where a service would put what its own cipher made of the provider's tokens.
    return ProviderCredentials(
        encrypted_data=b"sealed by the service",
        credential_type=CredentialType.OAUTH2,
        expires_at=now() + timedelta(hours=8),
    )


COMMANDS: Mapping[str, Command] = FrozenDict(
    {
        "connect": Command(
            "Connect",
            "The bank lets the user in",
            "connection.mark_connected(credentials)",
            ProviderConnectionSucceeded,
            lambda connection: connection.mark_connected(_fresh()),
        ),
        "sync": Command(
            "Sync",
            "Accounts and balances are fetched",
            "connection.record_sync()",
            ProviderConnectionSynced,
            lambda connection: connection.record_sync(),
        ),
        "refresh": Command(
            "Refresh",
            "The token is exchanged for a fresh one",
            "connection.update_credentials(credentials)",
            ProviderTokenRefreshSucceeded,
            lambda connection: connection.update_credentials(_fresh()),
        ),
        "expire": Command(
            "Expire",
            "The credentials lapse",
            "connection.mark_expired()",
            ProviderConnectionExpired,
            lambda connection: connection.mark_expired(),
        ),
        "revoke": Command(
            "Revoke",
            "The user takes the access back at the bank",
            'connection.mark_revoked("user_revoked")',
            ProviderConnectionRevoked,
            lambda connection: connection.mark_revoked("user_revoked"),
        ),
        "fail": Command(
            "Fail",
            "The bank turns the user away",
            'connection.mark_failed("user_denied_access")',
            ProviderConnectionFailed,
            lambda connection: connection.mark_failed("user_denied_access"),
        ),
        "disconnect": Command(
            "Disconnect",
            "It ends for good, credentials and all",
            "connection.mark_disconnected()",
            ProviderDisconnectionSucceeded,
            lambda connection: connection.mark_disconnected(),
        ),
    }
)
"""The commands by the name that the page sends, in the order of its buttons.

What one does usually comes first; what cannot be undone comes last.
"""


def refusal(answer: Result[None, ProviderConnectionError]) -> str | None:
    """Why a command was refused; None where it was not."""
    return None if is_successful(answer) else str(answer.failure())


def refusals() -> dict[ConnectionStatus, dict[str, str | None]]:
    """What a connection says, in each state, to the commands that lead nowhere: it is asked."""
    return {
        status: {
            name: refusal(command.decide(connection))
            for name, command in COMMANDS.items()
            if command.event not in TRANSITIONS[status]
        }
        for status, connection in _one_in_each_state().items()
    }


def _one_in_each_state() -> dict[ConnectionStatus, ProviderConnection]:
    found: dict[ConnectionStatus, ProviderConnection] = {}
    ways: list[tuple[str, ...]] = [()]
    for way in ways:
        connection = ProviderConnection.start(
            user_id=DEMO_USER, provider_id=new_id(), provider_slug="schwab"
        )
        for name in way:
            COMMANDS[name].decide(connection)
        if found.setdefault(connection.status, connection) is connection:
            ways += [(*way, name) for name in COMMANDS]
    return found
