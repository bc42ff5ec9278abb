"""Processes that the tests of the PostgreSQL store start."""

import asyncio
import sys

from dashtam_events.errors import VersionConflict
from dashtam_events.recorded import StreamId
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.testing._store_samples import CONTRACT_EVENTS, lit, stream_of


async def write_beside_others(dsn: str, schema: str, name: str, writers: int, times: int) -> None:
    """Some tasks append each to a stream of its own, and now and then to one that all share."""
    async with PostgresEventStore(
        dsn, registry=CONTRACT_EVENTS, schema=schema, busy_timeout=25
    ) as store:
        await asyncio.gather(*(_write(store, f"{name}{n}", times) for n in range(writers)))


async def _write(store: PostgresEventStore, name: str, times: int) -> None:
    own, version = StreamId("own", name), 0
    for turn in range(times):
        count = 1 + turn % 5
        await store.append(own, lit(count), expected=version)
        version += count
        if turn % 5 == 0:
            await _contend(store)


async def _contend(store: PostgresEventStore) -> None:
    shared, events = StreamId("shared", "all"), lit(2)
    while True:
        version = len(await stream_of(store, shared))
        try:
            await store.append(shared, events, expected=version)
        except VersionConflict:
            continue
        return


if __name__ == "__main__":
    _, dsn, schema, name, writers, times = sys.argv
    asyncio.run(write_beside_others(dsn, schema, name, int(writers), int(times)))
