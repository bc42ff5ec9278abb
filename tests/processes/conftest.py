"""The stores in which processes live."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dashtam_events.store import EventStore, InMemoryEventStore, SQLiteEventStore
from dashtam_events.testing import HeldClock
from tests.postgres_server import Open, dsn, open_store, postgres, schema
from tests.processes.houses import House
from tests.processes.orders import NOON, REGISTRY

__all__ = ["clock", "dsn", "house", "open_store", "postgres", "schema", "store"]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield InMemoryEventStore(registry=REGISTRY)
    elif request.param == "sqlite":
        async with SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY) as store:
            yield store
    else:
        open_it: Open = request.getfixturevalue("open_store")
        async with open_it(registry=REGISTRY) as store:
            yield store


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock(NOON)


@pytest.fixture
def house(store: EventStore, clock: HeldClock) -> House:
    return House(store, clock)
