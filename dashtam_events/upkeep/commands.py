"""What the upkeep of a connection asks for."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import attrs

__all__ = ["ExpireConnection", "FailConnection", "RefreshCredentials", "UpkeepCommand"]


@attrs.frozen(kw_only=True)
class FailConnection:
    """Give up a connection that the provider never answered for."""

    connection_id: UUID


@attrs.frozen(kw_only=True)
class RefreshCredentials:
    """Ask the provider for fresh credentials, where the present ones lapse by `expiring_by`."""

    connection_id: UUID
    expiring_by: datetime


@attrs.frozen(kw_only=True)
class ExpireConnection:
    """Stop counting on credentials that cannot be refreshed."""

    connection_id: UUID


UpkeepCommand: TypeAlias = FailConnection | RefreshCredentials | ExpireConnection
"""Any of them."""
