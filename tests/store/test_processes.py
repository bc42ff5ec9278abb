"""Several processes on one file, and a disk that is full."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from dashtam_events.recorded import StreamId
from dashtam_events.store import SQLiteEventStore
from dashtam_events.testing import CONTRACT_EVENTS
from dashtam_events.testing._store_samples import lit, log_of, stream_of
from tests.store.starting import ENVIRONMENT, command, run


async def test_several_processes_write_one_file(tmp_path: Path) -> None:
    """Two processes and this one open a new file at once, and all of their appends stand."""
    path = tmp_path / "events.db"
    children = [
        await asyncio.create_subprocess_exec(
            *command("write", str(path), name, "100"), env=ENVIRONMENT
        )
        for name in ("one", "two")
    ]
    shared = StreamId("shared", "all")
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS, busy_timeout=30) as store:
        followed = asyncio.create_task(_follow(store, until=1300))
        for _ in range(100):
            await store.append(shared, lit(3))
        assert [await child.wait() for child in children] == [0, 0]
        log = await log_of(store)
        async with asyncio.timeout(60):
            assert await followed == [recorded.event.event_id for recorded in log]
        for stream, count in ((shared, 900), (StreamId("own", "one"), 200)):
            versions = [recorded.version for recorded in await stream_of(store, stream)]
            assert versions == list(range(1, count + 1))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def _follow(store: SQLiteEventStore, until: int) -> list[object]:
    seen: list[object] = []
    after = None
    while len(seen) < until:
        await store.wait(after=after)
        async for recorded in store.read_all(after=after):
            seen.append(recorded.event.event_id)
            after = recorded.position
    return seen


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """For 40 sizes of disk: a typed error, and the store goes on when there is room."""
    seen = json.loads(run("fill", str(tmp_path), "7000", "40"))
    assert seen["opened"] == seen["refused"] == seen["after"] > 25
    assert seen["acknowledged"] > 200
