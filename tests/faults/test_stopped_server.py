"""The server stops at once, like by a loss of power, over and over; everybody goes on by itself."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from dashtam_events.errors import VersionConflict
from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.store import EventStore
from dashtam_events.subscriptions.sql import Projector, SQLCheckpointStore
from tests import counts
from tests.faults.children import append_until_stored
from tests.faults.places import Journal, Place
from tests.postgres_server import asking
from tests.postgres_wheel import persistently
from tests.subscriptions.houses import DoorOpened

STOPS = counts.of(short=3, full=20)
RECOVERY_SECONDS = 60


@counts.counted
async def test_a_server_that_stops_at_once_loses_nothing_and_repeats_nothing(
    mortal_server: Any, schema: str
) -> None:
    place = Place(folder="", dsn=mortal_server.get_uri(), schema=schema)
    acknowledged, stored, written = await _stop_over_and_over(mortal_server, place, STOPS)
    ids = [recorded.event.event_id for recorded in stored]
    assert len(ids) == len(set(ids))
    assert set(acknowledged) <= set(ids)
    assert written == [recorded.position for recorded in stored]


async def test_a_server_that_acknowledges_before_it_keeps_anything_is_found_out(
    mortal_server: Any, schema: str
) -> None:
    place = Place(folder="", dsn=mortal_server.get_uri(), schema=schema)
    async with place.store(), asking(place.dsn) as connection:
        await connection.execute("ALTER DATABASE postgres SET synchronous_commit = off")
        await connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        await connection.execute("SELECT pg_reload_conf()")
    acknowledged, stored, _ = await _stop_over_and_over(mortal_server, place, 3)
    async with asking(place.dsn) as connection:
        await connection.execute("ALTER DATABASE postgres RESET synchronous_commit")
        await connection.execute("ALTER SYSTEM RESET wal_writer_delay")
        await connection.execute("SELECT pg_reload_conf()")
    assert set(acknowledged) - {recorded.event.event_id for recorded in stored}


async def _stop_over_and_over(
    server: Any, place: Place, stops: int
) -> tuple[list[UUID], list[RecordedEvent], list[int]]:
    """What was acknowledged, what is stored, and the positions that a projector has written."""
    view, engine = Journal(), place.engine()
    acknowledged: list[UUID] = []
    async with place.store() as store:
        async with Projector(store, view, engine):
            writing = [asyncio.create_task(_write(store, acknowledged)) for _ in range(4)]
            for _ in range(stops):
                await _goes_on(acknowledged)
                await asyncio.to_thread(_stop_and_start, server)
            await _goes_on(acknowledged)
            for task in writing:
                task.cancel()
            await asyncio.wait(writing)
        await engine.dispose()  # of the connections that were lost
        await Projector(store, view, engine).run_once()
        stored = [recorded async for recorded in store.read_all()]
    assert await SQLCheckpointStore(engine).parked() == ()
    written = await view.positions(engine)
    await engine.dispose()
    return acknowledged, stored, written


async def _write(store: EventStore, acknowledged: list[UUID]) -> None:
    """Append to streams, one after the other: one that lost something takes no more."""
    while True:
        with suppress(VersionConflict):
            await _write_one(store, StreamId("house", uuid4()), acknowledged)


async def _write_one(store: EventStore, stream: StreamId, acknowledged: list[UUID]) -> None:
    for version in count():
        event = DoorOpened(number=version)
        await append_until_stored(store, stream, [event], expected=version)
        acknowledged.append(event.event_id)


async def _goes_on(acknowledged: list[UUID]) -> None:
    """Wait until some more was acknowledged."""
    wanted = len(acknowledged) + 100
    async with asyncio.timeout(RECOVERY_SECONDS):
        while len(acknowledged) < wanted:  # noqa: ASYNC110  # what is waited for rings no bell
            await asyncio.sleep(0.005)


def _stop_and_start(server: Any) -> None:
    lock = Path(server.pgdata, "postmaster.pid")
    os.kill(int(lock.read_text().split()[0]), signal.SIGQUIT)
    while lock.exists():
        time.sleep(0.01)
    persistently(server.ensure_postgres_running)
