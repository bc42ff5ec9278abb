"""Several processes write to one PostgreSQL store, whose readers miss and repeat nothing."""

import asyncio
import sys
from itertools import count
from pathlib import Path

from hypothesis import given, settings

from dashtam_events.recorded import StreamId
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.testing import CONTRACT_EVENTS
from dashtam_events.testing._store_samples import log_of
from tests.postgres_server import Open
from tests.store.following import follow
from tests.store.postgres_children import write_beside_others
from tests.store.starting import ENVIRONMENT
from tests.store.test_model import _histories, _play

CHILD = str(Path(__file__).with_name("postgres_children.py"))
WRITERS, TIMES = 8, 20
OWN = 2 * WRITERS * TIMES * 3
SHARED = 2 * WRITERS * (TIMES // 5) * 2
EVENTS = OWN + SHARED


async def test_sixteen_writers_of_two_processes_lose_nothing(
    open_store: Open, dsn: str, schema: str
) -> None:
    """Whoever follows, by notification, by polling or in small pages, sees every event once."""
    async with open_store() as store, open_store(poll_interval=0.02) as other:
        readers = [
            asyncio.create_task(follow(store, EVENTS)),
            asyncio.create_task(follow(store, EVENTS, limit=7)),
            asyncio.create_task(follow(other, EVENTS, limit=50)),
        ]
        arguments = (dsn, schema, "theirs", str(WRITERS), str(TIMES))
        child = await asyncio.create_subprocess_exec(
            sys.executable, CHILD, *arguments, env=ENVIRONMENT
        )
        await write_beside_others(dsn, schema, "ours", WRITERS, TIMES)
        assert await child.wait() == 0
        log = await log_of(store)
        assert len(log) == EVENTS
        async with asyncio.timeout(60):
            followed = await asyncio.gather(*readers)
    assert all(seen == log for seen in followed)
    heads: dict[StreamId, int] = {}
    for recorded in log:
        assert recorded.version == heads.get(recorded.stream, 0) + 1
        heads[recorded.stream] = recorded.version
    assert len(heads) == 2 * WRITERS + 1


def test_interleaved_appends_match_a_simple_model(dsn: str) -> None:
    """Appends made at the same time take effect one after the other, in the order of the calls."""
    numbers = count()

    @settings(max_examples=25, deadline=None)
    @given(_histories())
    def matches(history: object) -> None:
        schema = f"model_{next(numbers)}"
        store = PostgresEventStore(dsn, registry=CONTRACT_EVENTS, schema=schema)
        asyncio.run(_play(store, history))  # type: ignore[arg-type]  # a store as good as those

    matches()
