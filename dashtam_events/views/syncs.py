"""What was synced and imported: each attempt, how it ended and how long it took, by workflow."""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import attrs
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    RowMapping,
    Select,
    String,
    Table,
    Text,
    Uuid,
    case,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.declaration import Phase
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.recorded import RecordedEvent
from dashtam_events.subscriptions.sql import Projection, UTCDateTime
from dashtam_events.views._reading import Readable, rows

__all__ = ["SyncAttempt", "SyncHistoryView", "SyncOutcome", "WorkflowStatistics"]

_WORKFLOWS = ("account_sync", "transaction_sync", "holdings_sync", "file_import")
_PHASES = (Phase.ATTEMPTED, Phase.SUCCEEDED, Phase.FAILED)
_COUNTS = ("account_count", "transaction_count", "holding_count")
_MILLISECOND = timedelta(milliseconds=1)


class SyncOutcome(StrEnum):
    """How an attempt ended, or that it has not ended yet."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class SyncAttempt:
    """One attempt at a workflow.

    `started_at` is None where only its end was recorded, `ended_at` where it still runs.
    `items` counts what came: accounts, holdings, or transactions where both are told.
    """

    workflow: str
    stream: str
    user_id: UUID
    outcome: SyncOutcome = attrs.field(converter=SyncOutcome)
    connection_id: UUID | None = None
    account_id: UUID | None = None
    provider_slug: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    items: int | None = None

    @property
    def duration(self) -> timedelta | None:
        """From its start to its end; None where one of them is not known."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at


@attrs.frozen(kw_only=True)
class WorkflowStatistics:
    """How the attempts at a workflow went; durations are of those that ended, in seconds."""

    workflow: str
    attempts: int
    succeeded: int
    failed: int
    running: int
    mean_seconds: float | None
    max_seconds: float | None


class SyncHistoryView(Projection):
    """One row for each attempt to sync or import, in the table `view_sync_history`.

    An end belongs to the latest attempt that still runs, of the same workflow, stream and
    account. File names are personal and left out.
    """

    name = "sync_history"
    types: ClassVar[Collection[type[DomainEvent] | str] | None] = CATALOGUE.select(
        lambda spec: spec.workflow in _WORKFLOWS and spec.phase in _PHASES
    )

    def define(self) -> None:
        """Make the table."""
        self.history: Table = self.table(
            "view_sync_history",
            Column("position", BigInteger, primary_key=True, autoincrement=False),
            Column("workflow", String(50), nullable=False),
            Column("stream", Text, nullable=False),
            Column("user_id", Uuid, nullable=False),
            Column("outcome", String(16), nullable=False),
            Column("connection_id", Uuid),
            Column("account_id", Uuid),
            Column("provider_slug", String(50)),
            Column("started_at", UTCDateTime),
            Column("ended_at", UTCDateTime),
            Column("milliseconds", BigInteger),
            Column("reason", Text),
            Column("items", Integer),
            Index("ix_view_sync_history_user", "user_id", "position"),
            Index("ix_view_sync_history_open", "stream", "workflow", "outcome"),
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        """Write a beginning, or the end of what began before."""
        event = recorded.event
        cells = _cells(recorded)
        if spec_of(type(event)).phase is Phase.ATTEMPTED:
            begun = {"started_at": event.occurred_at, "outcome": SyncOutcome.RUNNING.value}
            await connection.execute(self.history.insert().values(**cells, **begun))
            return
        ended = _ended(event)
        running = await self._running(connection, cells)
        if running is None:
            await connection.execute(self.history.insert().values(**cells, **ended))
            return
        taken = (event.occurred_at - running["started_at"]) // _MILLISECOND
        row = self.history.update().where(self.history.c.position == running["position"])
        await connection.execute(row.values(**ended, milliseconds=taken))

    async def _running(
        self, connection: AsyncConnection, cells: dict[str, Any]
    ) -> RowMapping | None:
        table = self.history.c
        query = (
            select(table.position, table.started_at)
            .where(
                table.stream == cells["stream"],
                table.workflow == cells["workflow"],
                table.account_id.is_not_distinct_from(cells["account_id"]),
                table.outcome == SyncOutcome.RUNNING.value,
            )
            .order_by(table.position.desc())
            .limit(1)
        )
        return (await connection.execute(query)).mappings().one_or_none()

    async def latest(
        self,
        source: Readable,
        *,
        user_id: UUID | None = None,
        connection_id: UUID | None = None,
        workflow: str | None = None,
        limit: int = 50,
    ) -> tuple[SyncAttempt, ...]:
        """The latest attempts, newest first; the filters must all hold."""
        query = self._filtered(user_id=user_id, connection_id=connection_id, workflow=workflow)
        found = await rows(source, query.order_by(self.history.c.position.desc()).limit(limit))
        return tuple(map(_attempt, found))

    async def last_success(
        self, source: Readable, *, connection_id: UUID, workflow: str
    ) -> SyncAttempt | None:
        """When a workflow last succeeded for a connection; None where it never did."""
        table = self.history.c
        query = self._filtered(connection_id=connection_id, workflow=workflow)
        query = query.where(table.outcome == SyncOutcome.SUCCEEDED.value)
        found = await rows(source, query.order_by(table.position.desc()).limit(1))
        return _attempt(found[0]) if found else None

    async def statistics(
        self, source: Readable, *, user_id: UUID | None = None, since: datetime | None = None
    ) -> tuple[WorkflowStatistics, ...]:
        """How each workflow went, of all users or of one, or of attempts since a time (aware)."""
        table = self.history.c
        kept = self._filtered(user_id=user_id)
        if since is not None:
            kept = kept.where(func.coalesce(table.started_at, table.ended_at) >= since)
        counted = kept.with_only_columns(
            table.workflow,
            func.count().label("attempts"),
            *(_count_of(table.outcome, outcome) for outcome in SyncOutcome),
            func.avg(table.milliseconds).label("mean"),
            func.max(table.milliseconds).label("longest"),
        ).group_by(table.workflow)
        return tuple(map(_statistics, await rows(source, counted.order_by(table.workflow))))

    def _filtered(self, **equal: Any) -> Select[Any]:
        query = select(self.history)
        for name, value in equal.items():
            if value is not None:
                query = query.where(self.history.c[name] == value)
        return query


def _cells(recorded: RecordedEvent) -> dict[str, Any]:
    event: Any = recorded.event
    return {
        "position": recorded.position,
        "workflow": spec_of(type(event)).workflow,
        "stream": str(recorded.stream),
        "user_id": event.user_id,
        "connection_id": getattr(event, "connection_id", None),
        "account_id": getattr(event, "account_id", None),
        "provider_slug": getattr(event, "provider_slug", None),
    }


def _ended(event: DomainEvent) -> dict[str, Any]:
    succeeded = spec_of(type(event)).phase is Phase.SUCCEEDED
    counts = [getattr(event, name) for name in _COUNTS if hasattr(event, name)]
    return {
        "ended_at": event.occurred_at,
        "outcome": (SyncOutcome.SUCCEEDED if succeeded else SyncOutcome.FAILED).value,
        "reason": getattr(event, "reason", None),
        "items": counts[-1] if counts else None,
    }


def _count_of(column: Any, outcome: SyncOutcome) -> Any:
    return func.sum(case((column == outcome.value, 1), else_=0)).label(outcome.value)


def _attempt(row: RowMapping) -> SyncAttempt:
    names = {field.name for field in attrs.fields(SyncAttempt)}
    return SyncAttempt(**{name: value for name, value in row.items() if name in names})


def _statistics(row: RowMapping) -> WorkflowStatistics:
    mean, longest = row["mean"], row["longest"]
    return WorkflowStatistics(
        workflow=row["workflow"],
        attempts=row["attempts"],
        succeeded=row["succeeded"],
        failed=row["failed"],
        running=row["running"],
        mean_seconds=None if mean is None else float(mean) / 1000,
        max_seconds=None if longest is None else longest / 1000,
    )
