"""Checkpoints are opened by the address that the store itself is given."""

import pytest
from sqlalchemy import URL

from dashtam_events.subscriptions import SubscriptionTablesMissing
from dashtam_events.subscriptions.sql import SQLCheckpointStore
from tests.databases import new_database, plain_address, postgres
from tests.faults.cutting import cutting

__all__ = ["postgres"]


async def test_an_address_in_the_words_of_libpq_will_do(postgres: URL) -> None:
    """The server is reached, and has no table to ask."""
    async with new_database(postgres) as url:
        dsn = plain_address(url)
        async with cutting(dsn) as (_, address):
            assert "sslmode=disable" in address
            for given in (address, address.replace("postgresql:", "postgresql+asyncpg:"), dsn):
                async with SQLCheckpointStore.open(given) as kept:
                    with pytest.raises(SubscriptionTablesMissing):
                        await kept.load("nobody")
