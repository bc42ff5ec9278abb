"""Checkpoints are opened by the address that the store itself is given."""

import pytest

from dashtam_events.subscriptions import SubscriptionTablesMissing
from dashtam_events.subscriptions.sql import SQLCheckpointStore
from tests.faults.cutting import cutting
from tests.postgres_server import dsn

__all__ = ["dsn"]


async def test_an_address_in_the_words_of_libpq_will_do(dsn: str) -> None:
    """The server is reached, and has no table to ask."""
    async with cutting(dsn) as (_, address):
        assert "sslmode=disable" in address
        for given in (address, address.replace("postgresql:", "postgresql+asyncpg:"), dsn):
            async with SQLCheckpointStore.open(given) as kept:
                with pytest.raises(SubscriptionTablesMissing):
                    await kept.load("nobody")
