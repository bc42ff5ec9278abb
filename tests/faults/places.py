"""Where a store and its views are, in words that can be told to another process."""

from pathlib import Path
from typing import Any

import attrs
from sqlalchemy import Column, Integer, Text, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from dashtam_events.bus.session import real_savepoints
from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import SQLiteEventStore
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions.sql import Projection
from tests.subscriptions.houses import REGISTRY

__all__ = ["Journal", "Place", "Store"]

Store = SQLiteEventStore | PostgresEventStore


@attrs.frozen(kw_only=True)
class Place:
    """A folder, for files of SQLite; with a `dsn`, a schema of PostgreSQL."""

    folder: str
    dsn: str = ""
    schema: str = "events"

    def file(self, name: str) -> Path:
        """Where processes write down what they did, or had acknowledged."""
        return Path(self.folder, name)

    def store(self, **options: Any) -> Store:
        """The store, to be opened."""
        if self.dsn:
            return PostgresEventStore(self.dsn, registry=REGISTRY, schema=self.schema, **options)
        return SQLiteEventStore(self.file("events.db"), registry=REGISTRY, **options)

    def engine(self) -> AsyncEngine:
        """An engine on the database of the views."""
        if not self.dsn:
            return real_savepoints(
                create_async_engine(f"sqlite+aiosqlite:///{self.file('views.db')}")
            )
        address = self.dsn.replace("postgresql:", "postgresql+asyncpg:").replace("sslmode=", "ssl=")
        settings = {"server_settings": {"search_path": self.schema}}
        return create_async_engine(address, connect_args=settings)


class Journal(Projection):
    """A line for each event that was written, with no key that would hide a second one."""

    name = "journal"

    def define(self) -> None:
        self.lines = self.table(
            "journal",
            Column("line", Integer, primary_key=True),
            Column("position", Integer, nullable=False),
            Column("stream", Text, nullable=False),
            Column("version", Integer, nullable=False),
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        line = {
            "position": recorded.position,
            "stream": str(recorded.stream),
            "version": recorded.version,
        }
        await connection.execute(self.lines.insert().values(**line))

    async def positions(self, engine: AsyncEngine) -> list[int]:
        """Whatever was written, in the order in which it was."""
        async with engine.connect() as connection:
            wanted = select(self.lines.c.position).order_by(self.lines.c.line)
            return list(await connection.scalars(wanted))
