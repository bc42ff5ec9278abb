"""What goes wrong around a PostgreSQL store: cut connections, a server that stops, poolers."""

import asyncio
from itertools import count
from typing import Any

import asyncpg
import pytest

from dashtam_events.errors import StoreBusy, StoreError, StoreUnavailable
from dashtam_events.recorded import StreamId
from dashtam_events.store import AppendResult
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.testing._store_samples import LampLit, a_stream, lit, log_of, stream_of
from tests.postgres_server import Listening, Open, asking, end, wait_for_lock
from tests.transaction_pooler import pooled

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'dashtam-events' AND strpos(query, $1) > 0
"""


async def _cut(dsn: str, of: str = "") -> int:
    """Cut connections of stores, those that asked last for something; how many."""
    async with asking(dsn) as connection:
        return len(await connection.fetch(CUT, of))


async def test_a_lost_listener_comes_back(open_store: Open, dsn: str, listening: Listening) -> None:
    async with open_store(poll_interval=60) as store, open_store() as other:
        assert not await store.wait(after=None, timeout=0.01)
        async with asking(dsn) as connection:
            await end(connection, await listening())
        await listening()
        waiting = asyncio.create_task(store.wait(after=None, timeout=50))
        await asyncio.sleep(0.1)
        await other.append(a_stream(), lit())
        async with asyncio.timeout(30):
            assert await waiting


async def test_what_was_asked_over_a_lost_connection_is_asked_once_more(
    open_store: Open, dsn: str, schema: str
) -> None:
    """Neither an idle connection that is lost, nor one that waits for its turn, is noticed."""
    async with open_store(busy_timeout=25) as store, asking(dsn) as other:
        await store.append(a_stream(), lit())
        assert len(await log_of(store)) == 1
        assert await _cut(dsn, of=f"{schema}.") == 2
        await store.append(a_stream(), lit())
        assert len(await log_of(store)) == 2
        async with other.transaction():
            await store.within(other).append(a_stream(), lit())
            waiting = asyncio.create_task(store.append(a_stream(), lit(), expected=0))
            pid = await wait_for_lock(dsn, schema)
            async with asking(dsn) as another:
                await end(another, pid)
        assert (await waiting).version == 1
        assert len(await log_of(store)) == 4


async def test_cut_connections_cost_nothing_but_time(open_store: Open, dsn: str) -> None:
    """While everything is cut over and over, appends are stored once, and reads go on.

    Each pause is a little longer than the one before: some append comes through in the end.
    """
    done = asyncio.Event()

    async def cut() -> None:
        for number in count(20):
            if done.is_set():
                return
            await _cut(dsn)
            await asyncio.sleep(number / 1000)

    async with open_store() as store:
        cutting = asyncio.create_task(cut())
        streams = [a_stream() for _ in range(4)]
        await asyncio.gather(*(_append_until_stored(store, stream, 25) for stream in streams))
        done.set()
        await cutting
        for stream in streams:
            read = await stream_of(store, stream)
            assert [_number(recorded.event) for recorded in read] == list(range(25))


async def _append_until_stored(store: PostgresEventStore, stream: StreamId, times: int) -> None:
    """Append numbered events; each again, whatever became of it, until it is acknowledged."""
    for number in range(times):
        event = LampLit(number=number)
        stored: AppendResult | None = None
        while stored is None:
            try:
                stored = await store.append(stream, [event], expected=number)
            except (StoreUnavailable, StoreBusy):
                await asyncio.sleep(0.01)
        assert stored.version == number + 1


def _number(event: Any) -> int:
    number: int = event.number
    return number


async def test_behind_a_transaction_pooler_everything_works(open_store: Open, dsn: str) -> None:
    async with (
        pooled(dsn) as address,
        open_store(address, transaction_pooler=True, listen_dsn=dsn, poll_interval=60) as store,
        open_store(address, transaction_pooler=True, poll_interval=0.1) as polling,
    ):
        waiting = [asyncio.create_task(one.wait(after=None)) for one in (store, polling)]
        await asyncio.sleep(0.2)
        await asyncio.gather(*(store.append(a_stream(), lit(3)) for _ in range(40)))
        async with asyncio.timeout(30):
            assert await asyncio.gather(*waiting) == [True, True]
        logs = await asyncio.gather(*(log_of(polling) for _ in range(8)))
        assert all(len(log) == 120 for log in logs)


async def test_a_transaction_may_hold_the_only_connection_of_a_pooler(
    open_store: Open, dsn: str
) -> None:
    async with (
        pooled(dsn, connections=1) as address,
        open_store(address, transaction_pooler=True) as store,
    ):
        caller = await asyncpg.connect(address, statement_cache_size=0)
        async with asyncio.timeout(20), caller.transaction():
            await store.within(caller).append(a_stream(), lit())
        await caller.close()
        assert len(await log_of(store)) == 1


async def test_a_transaction_pooler_that_was_not_announced_is_named(
    open_store: Open, dsn: str
) -> None:
    async def use(store: PostgresEventStore) -> None:
        for _ in range(20):
            await asyncio.gather(*(log_of(store) for _ in range(4)))

    async with pooled(dsn) as address, open_store():
        with pytest.raises(StoreError, match="transaction_pooler=True"):
            async with open_store(address) as store:
                await use(store)
