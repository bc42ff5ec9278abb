"""The current state of every provider connection, by user."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import attrs
from sqlalchemy import Column, Index, RowMapping, Select, String, Table, Text, Uuid, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

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
from dashtam_events.connection import ConnectionStatus, ProviderConnection
from dashtam_events.connection._machine import START, TRANSITIONS
from dashtam_events.event import DomainEvent
from dashtam_events.privacy import personal
from dashtam_events.recorded import RecordedEvent
from dashtam_events.subscriptions.sql import Projection, UTCDateTime, upsert
from dashtam_events.views._reading import Readable, rows

__all__ = ["ConnectionSummary", "ConnectionsView"]

_LEADS_TO = dict([START]) | {
    event: status for following in TRANSITIONS.values() for event, status in following.items()
}
_Event = (
    ProviderConnectionAttempted
    | ProviderConnectionSucceeded
    | ProviderConnectionFailed
    | ProviderConnectionExpired
    | ProviderConnectionRevoked
    | ProviderTokenRefreshSucceeded
    | ProviderConnectionSynced
    | ProviderDisconnectionSucceeded
)


@attrs.frozen(kw_only=True)
class ConnectionSummary:
    """A connection as it is now; times are aware and in UTC, None where it never came to that.

    `alias` is personal: after a user was erased, rebuild the view. `reason` is why it failed, or
    why the provider withdrew the access, as long as that is its state.
    """

    connection_id: UUID
    user_id: UUID
    provider_id: UUID
    provider_slug: str
    status: ConnectionStatus = attrs.field(converter=ConnectionStatus)
    created_at: datetime
    updated_at: datetime
    alias: str | None = personal(default=None)
    reason: str | None = None
    connected_at: datetime | None = None
    last_sync_at: datetime | None = None
    credentials_expire_at: datetime | None = None


class ConnectionsView(Projection):
    """One row for each connection, in the table `view_connections`.

    It follows the same table of transitions as `ProviderConnection`. Query it on an engine, a
    connection or a session; what was appended a moment ago comes with the projector.
    """

    name = "connections"
    types: ClassVar[Collection[type[DomainEvent] | str] | None] = tuple(_LEADS_TO)

    def define(self) -> None:
        """Make the table."""
        self.connections: Table = self.table(
            "view_connections",
            Column("connection_id", Uuid, primary_key=True),
            Column("user_id", Uuid, nullable=False),
            Column("provider_id", Uuid, nullable=False),
            Column("provider_slug", String(50), nullable=False),
            Column("status", String(16), nullable=False),
            Column("created_at", UTCDateTime, nullable=False),
            Column("updated_at", UTCDateTime, nullable=False),
            Column("alias", Text),
            Column("reason", Text),
            Column("connected_at", UTCDateTime),
            Column("last_sync_at", UTCDateTime),
            Column("credentials_expire_at", UTCDateTime),
            Index("ix_view_connections_user", "user_id", "created_at"),
            Index("ix_view_connections_expiry", "status", "credentials_expire_at"),
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        """Write what a connection has become; an attempt that was given no id leaves no row."""
        event: Any = recorded.event
        connection_id = _id_of(event, recorded)
        if connection_id is None:
            return
        chosen = select(self.connections).where(self.connections.c.connection_id == connection_id)
        row = (await connection.execute(chosen)).mappings().one_or_none()
        before = None if row is None else _summary(row)
        after = _after(before or _begun(connection_id, event), event)
        cells = attrs.asdict(after) | {"status": after.status.value}
        await upsert(connection, self.connections, **cells)

    async def get(self, source: Readable, connection_id: UUID) -> ConnectionSummary | None:
        """One connection; None where there is none."""
        table = self.connections
        found = await rows(source, select(table).where(table.c.connection_id == connection_id))
        return _summary(found[0]) if found else None

    async def of_user(
        self,
        source: Readable,
        user_id: UUID,
        *,
        statuses: Collection[ConnectionStatus] | None = None,
    ) -> tuple[ConnectionSummary, ...]:
        """A user's connections in the order of their beginning, or those in some states."""
        query = select(self.connections).where(self.connections.c.user_id == user_id)
        return await self._all(source, query, statuses)

    async def needing_reauthentication(
        self, source: Readable, user_id: UUID
    ) -> tuple[ConnectionSummary, ...]:
        """A user's connections that only the user can mend."""
        lapsed = ConnectionStatus.needs_reauth_states()
        return await self.of_user(source, user_id, statuses=lapsed)

    async def expiring_before(
        self, source: Readable, time: datetime
    ) -> tuple[ConnectionSummary, ...]:
        """The active connections of all users whose credentials lapse before a time (aware)."""
        query = select(self.connections).where(self.connections.c.credentials_expire_at < time)
        return await self._all(source, query, ConnectionStatus.active_states())

    async def count_by_status(self, source: Readable) -> dict[ConnectionStatus, int]:
        """How many connections are in each state; states without one are left out."""
        status = self.connections.c.status
        counted = await rows(source, select(status, func.count().label("n")).group_by(status))
        return {ConnectionStatus(row["status"]): row["n"] for row in counted}

    async def _all(
        self,
        source: Readable,
        query: Select[Any],
        statuses: Collection[ConnectionStatus] | None,
    ) -> tuple[ConnectionSummary, ...]:
        table = self.connections.c
        if statuses is not None:
            query = query.where(table.status.in_([status.value for status in statuses]))
        found = await rows(source, query.order_by(table.created_at, table.connection_id))
        return tuple(map(_summary, found))


def _id_of(event: _Event, recorded: RecordedEvent) -> UUID | None:
    if event.connection_id is not None:
        return event.connection_id
    stream = recorded.stream
    return UUID(stream.id) if stream.category == ProviderConnection.stream_category else None


def _summary(row: RowMapping) -> ConnectionSummary:
    return ConnectionSummary(**row)


def _begun(connection_id: UUID, event: _Event) -> ConnectionSummary:
    return ConnectionSummary(
        connection_id=connection_id,
        user_id=event.user_id,
        provider_id=event.provider_id,
        provider_slug=event.provider_slug,
        status=ConnectionStatus.PENDING,
        created_at=event.occurred_at,
        updated_at=event.occurred_at,
    )


def _after(before: ConnectionSummary, event: _Event) -> ConnectionSummary:
    """What an event makes of a connection."""
    time = event.occurred_at
    now = attrs.evolve(before, status=_LEADS_TO[type(event)], updated_at=time, reason=None)
    match event:
        case ProviderConnectionAttempted():
            return attrs.evolve(now, alias=event.alias)
        case ProviderConnectionSucceeded():
            connected, expiry = before.connected_at or time, event.credentials_expire_at
            return attrs.evolve(now, connected_at=connected, credentials_expire_at=expiry)
        case ProviderTokenRefreshSucceeded():
            return attrs.evolve(now, credentials_expire_at=event.credentials_expire_at)
        case ProviderConnectionSynced():
            return attrs.evolve(now, last_sync_at=time)
        case ProviderConnectionFailed() | ProviderConnectionRevoked():
            return attrs.evolve(now, reason=event.reason)
        case ProviderDisconnectionSucceeded():
            return attrs.evolve(now, credentials_expire_at=None)
        case _:
            return now
