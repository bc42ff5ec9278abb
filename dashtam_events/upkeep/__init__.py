"""Upkeep of connections: the pending given up, tokens refreshed in time, the lapsed marked."""

from dashtam_events.upkeep.commands import (
    ExpireConnection,
    FailConnection,
    RefreshCredentials,
    UpkeepCommand,
)
from dashtam_events.upkeep.executor import RefreshRefused, TokenRefresher, UpkeepExecutor
from dashtam_events.upkeep.process import (
    UPKEEP_EVENTS,
    ConnectionUpkeep,
    RefreshFailuresCounted,
    UpkeepState,
)

__all__ = [
    "UPKEEP_EVENTS",
    "ConnectionUpkeep",
    "ExpireConnection",
    "FailConnection",
    "RefreshCredentials",
    "RefreshFailuresCounted",
    "RefreshRefused",
    "TokenRefresher",
    "UpkeepCommand",
    "UpkeepExecutor",
    "UpkeepState",
]
