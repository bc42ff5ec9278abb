"""The projection that is measured, for both databases."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Integer, String
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from dashtam_events.recorded import RecordedEvent
from dashtam_events.subscriptions.sql import Projection
from tests.benchmarks.workload import ConnectionSynced

__all__ = ["Syncs"]

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class Syncs(Projection):
    """How often each provider was synced."""

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # a view of its own for each sample
        super().__init__()

    def define(self) -> None:
        self.syncs = self.table(
            f"syncs_{self.name}",
            Column("provider", String, primary_key=True),
            Column("number", Integer, nullable=False),
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await self.apply_batch(connection, [recorded])

    async def apply_batch(
        self, connection: AsyncConnection, recorded: Sequence[RecordedEvent]
    ) -> None:
        synced = Counter(
            each.event.provider_slug
            for each in recorded
            if isinstance(each.event, ConnectionSynced)
        )
        for provider, number in synced.items():
            insert = _INSERT[connection.dialect.name](self.syncs)
            row = insert.values(provider=provider, number=number)
            raised = {"number": self.syncs.c.number + row.excluded.number}
            await connection.execute(
                row.on_conflict_do_update(index_elements=["provider"], set_=raised)
            )
