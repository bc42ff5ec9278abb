"""The store in a SQLite file keeps the contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dashtam_events.store import SQLiteEventStore
from dashtam_events.testing import CONTRACT_EVENTS, StoreContract


class TestSQLiteEventStore(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SQLiteEventStore]:
        path = tmp_path / "events.db"
        async with SQLiteEventStore(path, registry=CONTRACT_EVENTS) as store:
            yield store
