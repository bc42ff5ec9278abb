"""Stores that move house, each of one kind or the other, and looked into without our own code."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import attrs
import pytest
from click.testing import Result

from dashtam_events.recorded import StreamId
from dashtam_events.store import EventStore, SQLiteEventStore
from dashtam_events.store.postgres import PostgresEventStore
from tests.cli.running import call
from tests.postgres_server import dsn, postgres, schema
from tests.subscriptions.houses import REGISTRY, DoorOpened, open_doors, open_windows

__all__ = ["House", "Houses", "arguments", "dsn", "filled", "houses", "postgres", "run", "schema"]

Rows = list[tuple[Any, ...]]
EVENTS = "SELECT * FROM {}events ORDER BY position"
ATTACHMENTS = "SELECT * FROM {}attachments ORDER BY stream, name"


@attrs.frozen
class House:
    """A store of one kind or the other, looked into without our own code."""

    url: str
    schema: str | None = None

    @property
    def path(self) -> str:
        return self.url.removeprefix("sqlite:///")

    def open(self) -> Any:
        if self.schema is None:
            return SQLiteEventStore(self.path, registry=REGISTRY)
        return PostgresEventStore(self.url, registry=REGISTRY, schema=self.schema)

    def use(self, work: Callable[[EventStore], Any]) -> Any:
        """Do something with the store."""

        async def do() -> Any:
            async with self.open() as store:
                return await work(store)

        return asyncio.run(do())

    def ask(self, sql: str) -> Rows:
        """The rows of a statement, with a placeholder for the schema; ids as bytes."""
        if self.schema is not None:
            return asyncio.run(self._ask_server(sql.format(f"{self.schema}.")))
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(sql.format("")).fetchall()

    async def _ask_server(self, sql: str) -> Rows:
        connection = await asyncpg.connect(self.url)
        found = await connection.fetch(sql)
        await connection.close()
        return [
            tuple(cell.bytes if isinstance(cell, UUID) else cell for cell in row) for row in found
        ]

    @property
    def rows(self) -> Rows:
        return self.ask(EVENTS) + self.ask(ATTACHMENTS)


Houses = Callable[[str, str], House]


@pytest.fixture
def houses(request: pytest.FixtureRequest, tmp_path: Path) -> Houses:
    """Makes stores of a kind that are not there yet."""

    def make(kind: str, name: str) -> House:
        if kind == "sqlite":
            return House(f"sqlite:///{tmp_path / name}.db")
        fixture: Any = request.getfixturevalue
        return House(fixture("dsn"), f"{fixture('schema')}_{name}")

    return make


def filled(house: House) -> House:
    async def fill(store: EventStore) -> None:
        await open_doors(store, 1, 2, 3)
        await open_windows(store, 4)
        await open_doors(store, 5, user_id=uuid4())
        for text in ("Ünïcode", "snow ☃", "0"):
            events = [DoorOpened(number=number) for number in range(3)]
            kept = {"credentials": b"\0\xff" + text.encode(), "gone": None, "empty": b""}
            circumstances = {"correlation_id": text, "extras": {"a": text}}
            await store.append(
                StreamId("house", text), events, attachments=kept, metadata=circumstances
            )

    house.use(fill)
    # A release that is not here wrote one of them, and one position was never given out.
    house.ask("UPDATE {}events SET type = 'CellarOpened', schema_version = 7 WHERE position = 2")
    house.ask("UPDATE {}events SET position = position + 100 WHERE position > 9")
    return house


def run(source: House, target: House, *options: str) -> Result:
    return call(*arguments(source, target, *options))


def arguments(source: House, target: House, *options: str) -> list[str]:
    schemas = ["--source-schema", source.schema or "s", "--target-schema", target.schema or "t"]
    return ["copy", source.url, target.url, *schemas, *options]
