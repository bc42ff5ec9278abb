"""A database in which transactions are of another isolation than appends need."""

import pytest
from sqlalchemy.engine import URL

from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.databases import new_database, plain_address
from tests.postgres_server import Open, asking


@pytest.mark.parametrize("pooler", [False, True], ids=["plain", "pooler"])
@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_a_store_works_whatever_the_default_of_its_database_is(
    open_store: Open, postgres: URL, isolation: str, pooler: bool
) -> None:
    async with new_database(postgres) as url:
        address = plain_address(url)
        async with asking(address) as connection:
            await connection.execute(
                f"ALTER DATABASE {url.database} SET default_transaction_isolation = '{isolation}'"
            )
        async with open_store(address, transaction_pooler=pooler) as store:
            stored = await store.append(a_stream(), lit(2))
            assert await log_of(store) == list(stored.recorded)
