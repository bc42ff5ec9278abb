"""The store in memory keeps the contract."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dashtam_events.store import EventStore, InMemoryEventStore, SQLiteEventStore
from dashtam_events.testing import CONTRACT_EVENTS, StoreContract
from dashtam_events.testing._store_samples import a_stream, lit, log_of


class TestInMemoryEventStore(StoreContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[InMemoryEventStore]:
        async with InMemoryEventStore(registry=CONTRACT_EVENTS) as store:
            yield store


def test_it_needs_no_context_and_outlives_an_event_loop() -> None:
    """It is usable without `async with`, and from one event loop after the other."""
    store = InMemoryEventStore(registry=CONTRACT_EVENTS)
    asyncio.run(store.append(a_stream(), lit()))
    asyncio.run(store.append(a_stream(), lit()))
    assert len(asyncio.run(log_of(store))) == 2


def test_both_stores_are_event_stores(tmp_path: Path) -> None:
    """For the type checkers: each has the verbs of the protocol, as the protocol types them."""
    stores: list[EventStore] = [
        InMemoryEventStore(registry=CONTRACT_EVENTS),
        SQLiteEventStore(tmp_path / "events.db", registry=CONTRACT_EVENTS),
    ]
    assert all(hasattr(store, "append_many") for store in stores)
