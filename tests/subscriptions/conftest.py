"""The stores that are followed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dashtam_events.store import EventStore, InMemoryEventStore, SQLiteEventStore
from tests.subscriptions.houses import REGISTRY


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield InMemoryEventStore(registry=REGISTRY)
        return
    async with SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY) as store:
        yield store
