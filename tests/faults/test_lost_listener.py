"""A connection that listens is lost: a subscriber hears of events later, and of every one."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.store.postgres import PostgresEventStore, _listener
from dashtam_events.subscriptions import InMemoryCheckpointStore, Subscription
from tests.faults.cutting import Cutter, cutting
from tests.loops import quickest
from tests.postgres_server import asking
from tests.subscriptions.houses import REGISTRY, DoorOpened
from tests.subscriptions.poison import until

POLL_SECONDS, SLACK_SECONDS = 0.4, 1.0
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


async def _terminated(dsn: str, cutter: Cutter) -> None:
    async with asking(dsn) as connection, asyncio.timeout(20):
        while not await connection.fetch(END):
            await connection.execute("SELECT pg_sleep(0.01)")


async def _silent(dsn: str, cutter: Cutter) -> None:
    cutter.fall_silent()


@pytest.mark.parametrize("lose", [_terminated, _silent])
async def test_a_subscriber_whose_listener_is_lost_waits_for_the_poll_at_most(
    dsn: str,
    schema: str,
    lose: Callable[[str, Cutter], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_listener, "_RECONNECT_SECONDS", 60)
    heard: list[float] = []

    async def handle(_: RecordedEvent) -> None:
        heard.append(time.monotonic())

    async with (
        cutting(dsn) as (cutter, address),
        PostgresEventStore(dsn, registry=REGISTRY, schema=schema) as other,
        PostgresEventStore(
            dsn, registry=REGISTRY, schema=schema, listen_dsn=address, poll_interval=POLL_SECONDS
        ) as store,
        Subscription("doors", store, handle, checkpoints=InMemoryCheckpointStore(), poll=60),
    ):
        await other.append(StreamId("house", uuid4()), [DoorOpened(number=0)])
        await until(lambda: bool(heard))
        await lose(dsn, cutter)

        async def trial() -> float:
            heard.clear()
            await other.append(StreamId("house", uuid4()), [DoorOpened(number=1)])
            appended = time.monotonic()
            await until(lambda: bool(heard))
            return heard[-1] - appended

        # The first poll may have been nearly due.
        await trial()
        within = POLL_SECONDS + SLACK_SECONDS
        for _ in range(2):
            assert await quickest(trial, within) < within
