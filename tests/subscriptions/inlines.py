"""Inline projections in the database of their store, and what is written into them."""

from collections.abc import AsyncIterator
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from sqlalchemy import Column, Integer, Text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store import EventStore, SQLiteEventStore
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions.sql import (
    InlineProjections,
    JoinableStore,
    Projection,
    upsert,
)
from dashtam_events.testing._store_samples import KeyHandedOver, LampPutOut
from tests.databases import plain_address
from tests.subscriptions.houses import REGISTRY, DoorOpened
from tests.subscriptions.walls import Openings

__all__ = ["POISON", "InlineOpenings", "Lamps", "a_house", "doors", "inline"]
__all__ += ["numbers_of", "store", "store_on", "view"]

POISON = 13


class InlineOpenings(Openings):
    """With nothing to do outside; it fails at one number."""

    after_commit = Projection.after_commit

    def __init__(self) -> None:
        super().__init__()
        self.mistakes = {POISON}


class Lamps(Projection):
    """How far each stream is, by its less frequent events."""

    name = "lamps"
    types: ClassVar[Any] = (KeyHandedOver, LampPutOut)

    def define(self) -> None:
        self.lamps = self.table(
            "lamps", Column("stream", Text, primary_key=True), Column("events", Integer)
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await upsert(connection, self.lamps, stream=str(recorded.stream), events=recorded.version)


def store_on(engine: AsyncEngine, registry: EventRegistry) -> Any:
    """A store in the database of an engine, to be opened."""
    if engine.dialect.name == "sqlite":
        return SQLiteEventStore(str(engine.url.database), registry=registry)
    dsn = plain_address(engine.url)
    return PostgresEventStore(dsn, registry=registry)


@pytest.fixture
async def store(engine: AsyncEngine) -> AsyncIterator[JoinableStore]:
    async with store_on(engine, REGISTRY) as store:
        yield store


@pytest.fixture
def view() -> InlineOpenings:
    return InlineOpenings()


@pytest.fixture
async def inline(
    store: JoinableStore, engine: AsyncEngine, view: InlineOpenings
) -> InlineProjections:
    inline = InlineProjections(store, engine, [view])
    await inline.catch_up()
    return inline


async def numbers_of(store: EventStore) -> list[int]:
    return [recorded.event.number async for recorded in store.read_all()]  # type: ignore[attr-defined]  # all of these have one


def doors(*numbers: int) -> list[DoorOpened]:
    return [DoorOpened(number=number) for number in numbers]


def a_house() -> StreamId:
    return StreamId("house", uuid4())
