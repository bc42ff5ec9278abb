"""Connections that are lost behind the back of a PostgreSQL store, while the server is there."""

import asyncio

import pytest

from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.postgres_server import Open, asking

POOL = 4
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'dashtam-events' AND datname = current_database()
"""


@pytest.mark.parametrize("pooler", [False, True], ids=["plain", "pooler"])
@pytest.mark.parametrize("at_once", [1, POOL, 3 * POOL])
async def test_reads_do_not_fail_though_every_connection_was_cut(
    open_store: Open, dsn: str, at_once: int, pooler: bool
) -> None:
    options = {"pool_size": POOL, "transaction_pooler": pooler}
    async with open_store(**options) as store, asking(dsn) as other:
        await store.append(a_stream(), lit())
        for _ in range(10):
            await asyncio.gather(*(store.last_position() for _ in range(POOL)))
            await other.execute(CUT)
            read = await asyncio.gather(*(store.last_position() for _ in range(at_once)))
            assert read == [1] * at_once


async def test_appends_and_reads_do_not_fail_beside_each_other(open_store: Open, dsn: str) -> None:
    async with open_store(pool_size=POOL) as store, asking(dsn) as other:
        for _ in range(10):
            await asyncio.gather(*(store.last_position() for _ in range(POOL)))
            await other.execute(CUT)
            reads = (store.last_position() for _ in range(2 * POOL))
            appends = (store.append(a_stream(), lit()) for _ in range(POOL))
            await asyncio.gather(*appends, *reads)
        assert len(await log_of(store)) == 10 * POOL
