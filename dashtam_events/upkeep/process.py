"""What a connection needs, and when: the rules of its upkeep, and nothing of how it is done."""

from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import attrs

from dashtam_events.aggregate import applies
from dashtam_events.catalogue.provider import (
    ProviderConnectionAttempted,
    ProviderConnectionExpired,
    ProviderConnectionFailed,
    ProviderConnectionRevoked,
    ProviderConnectionSucceeded,
    ProviderDisconnectionSucceeded,
    ProviderTokenRefreshFailed,
    ProviderTokenRefreshSucceeded,
)
from dashtam_events.declaration import LogLevel
from dashtam_events.event import DomainEvent, event
from dashtam_events.processes import (
    PROCESS_EVENTS,
    DeadlineReached,
    ProcessManager,
    ProcessState,
    on_deadline,
    reacts_to,
)
from dashtam_events.registry import EventRegistry
from dashtam_events.upkeep.commands import (
    ExpireConnection,
    FailConnection,
    RefreshCredentials,
    UpkeepCommand,
)

__all__ = ["UPKEEP_EVENTS", "ConnectionUpkeep", "RefreshFailuresCounted", "UpkeepState"]

_PENDING, _REFRESH = "pending", "refresh"
_Renewed = ProviderConnectionSucceeded | ProviderTokenRefreshSucceeded
_Lapsed = ProviderConnectionFailed | ProviderConnectionExpired | ProviderConnectionRevoked


@event(category="process", log_level=LogLevel.DEBUG)
class RefreshFailuresCounted(DomainEvent):
    """The upkeep of a connection took note of how its refreshes go.

    Attributes:
        failures: how many failed in a row; 0 after one that succeeded.
    """

    failures: int


UPKEEP_EVENTS = EventRegistry([*PROCESS_EVENTS, RefreshFailuresCounted], frozen=True)
"""What the upkeep writes: join it with the catalogue, `CATALOGUE | UPKEEP_EVENTS`."""


@attrs.frozen(kw_only=True)
class UpkeepState:
    """The form of a snapshot of the upkeep of one connection."""

    process: ProcessState
    failures: int


class ConnectionUpkeep(ProcessManager[UpkeepCommand], stream="connection_upkeep"):
    """Keeps one connection in shape; the id of the process is that of the connection.

    One that stays pending for `pending_for` is failed. Credentials are refreshed
    `refresh_before` they lapse, and again `retry_after` a failure; nor are fresh ones refreshed
    sooner than that, however soon they lapse. After `failures_until_expired` failures in a row,
    or one that only the user can mend, the connection is marked expired. An expired, revoked or
    failed connection is left alone until its user connects again; a disconnected one for good.

    To change a time or the count, set it in a subclass.
    """

    pending_for: ClassVar[timedelta] = timedelta(minutes=15)
    refresh_before: ClassVar[timedelta] = timedelta(minutes=5)
    retry_after: ClassVar[timedelta] = timedelta(minutes=1)
    failures_until_expired: ClassVar[int] = 3
    snapshot_type: ClassVar[type[Any] | None] = UpkeepState

    def __init__(self, id: UUID) -> None:
        super().__init__(id)
        self._failures = 0

    @reacts_to(ProviderConnectionAttempted, by="connection_id", starts=True)
    def _attempted(self, event: ProviderConnectionAttempted) -> None:
        self.set_deadline(_PENDING, event.occurred_at + self.pending_for)

    @reacts_to(
        ProviderConnectionSucceeded,
        ProviderTokenRefreshSucceeded,
        by="connection_id",
        starts=True,
    )
    def _renewed(self, event: _Renewed) -> None:
        self.cancel_deadline(_PENDING)
        self._count(0)
        if event.credentials_expire_at is None:
            self.cancel_deadline(_REFRESH)
            return
        soonest = event.occurred_at + self.retry_after
        in_time = event.credentials_expire_at - self.refresh_before
        self.set_deadline(_REFRESH, max(soonest, in_time))

    @reacts_to(ProviderTokenRefreshFailed, by="connection_id")
    def _refresh_failed(self, event: ProviderTokenRefreshFailed) -> None:
        self._count(self._failures + 1)
        if event.needs_user_action or self._failures >= self.failures_until_expired:
            self.cancel_deadline(_REFRESH)
            self.send(ExpireConnection(connection_id=self.id))
        else:
            self.set_deadline(_REFRESH, event.occurred_at + self.retry_after)

    @reacts_to(
        ProviderConnectionFailed,
        ProviderConnectionExpired,
        ProviderConnectionRevoked,
        by="connection_id",
    )
    def _lapsed(self, _event: _Lapsed) -> None:
        self.cancel_deadline(_PENDING)
        self.cancel_deadline(_REFRESH)
        self._count(0)

    @reacts_to(ProviderDisconnectionSucceeded, by="connection_id")
    def _disconnected(self, _event: ProviderDisconnectionSucceeded) -> None:
        self.end()

    @on_deadline(_PENDING)
    def _never_answered(self, _reached: DeadlineReached) -> None:
        self.send(FailConnection(connection_id=self.id))

    @on_deadline(_REFRESH)
    def _lapses_soon(self, reached: DeadlineReached) -> None:
        expiring_by = reached.due_at + self.refresh_before
        self.send(RefreshCredentials(connection_id=self.id, expiring_by=expiring_by))

    def take_snapshot(self) -> UpkeepState:
        """What it remembers."""
        return UpkeepState(process=self.process_state, failures=self._failures)

    def restore_snapshot(self, state: UpkeepState) -> None:
        """Take it over."""
        super().restore_snapshot(state.process)
        self._failures = state.failures

    def _count(self, failures: int) -> None:
        if failures != self._failures:
            self.record(RefreshFailuresCounted(failures=failures))

    @applies(RefreshFailuresCounted)
    def _counted(self, event: RefreshFailuresCounted) -> None:
        self._failures = event.failures
