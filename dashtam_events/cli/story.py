"""What happens in the demo: the commands of one connection's life, in order."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import attrs
from returns.result import Result

from dashtam_events.connection import (
    CredentialType,
    ProviderConnection,
    ProviderConnectionError,
    ProviderCredentials,
)

__all__ = ["DEMO_USER", "Turn", "turns"]

DEMO_USER = UUID("019a3d5e-4c00-7000-8000-00000000da54")
"""Whose connections the demos live: one person, so that the page shows the terminal's as well."""

_Answer: TypeAlias = Result[None, ProviderConnectionError]


@attrs.frozen
class Turn:
    """A command to the connection: what it means to the user, how it is written, and the call.

    `refused` says that the connection must not follow it.
    """

    title: str
    code: str
    decide: Callable[[ProviderConnection], _Answer]
    refused: bool = attrs.field(default=False, kw_only=True)


def turns(now: datetime) -> tuple[Turn, ...]:
    """A life from the first success to the end; credentials lapse an hour after `now` or later."""
    first, fresh, again = (_credentials(now + timedelta(hours=hours)) for hours in (1, 8, 24))
    return (
        Turn("The bank let the user in", "mark_connected(...)", lambda c: c.mark_connected(first)),
        Turn("Accounts and transactions were fetched", "record_sync()", lambda c: c.record_sync()),
        Turn(
            "The token was refreshed",
            "update_credentials(...)",
            lambda c: c.update_credentials(fresh),
        ),
        Turn(
            "What cannot be is refused, and nothing is stored",
            "mark_connected(...)",
            lambda c: c.mark_connected(again),
            refused=True,
        ),
        Turn("The credentials lapsed", "mark_expired()", lambda c: c.mark_expired()),
        Turn("The user connected again", "mark_connected(...)", lambda c: c.mark_connected(again)),
        Turn("The user disconnected", "mark_disconnected()", lambda c: c.mark_disconnected()),
    )


def _credentials(expires_at: datetime) -> ProviderCredentials:
    # Where a service would put what its own cipher made of the provider's tokens.
    return ProviderCredentials(
        encrypted_data=b"sealed by the service",
        credential_type=CredentialType.OAUTH2,
        expires_at=expires_at,
    )
