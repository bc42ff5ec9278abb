"""Connections are cut behind every message of the protocol: all is written, and nothing twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

import asyncpg
import pytest

from dashtam_events.errors import StoreError, StoreUnavailable
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import StreamId
from dashtam_events.store import EventStore
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions.sql import Projector, SQLCheckpointStore
from tests import counts
from tests.faults.children import append_until_stored
from tests.faults.cutting import Cutter, cutting
from tests.faults.places import Journal, Place
from tests.subscriptions.houses import REGISTRY, DoorOpened
from tests.subscriptions.poison import EAGER

CUTS = counts.of(short=10, full=200)


@pytest.fixture
async def proxy(dsn: str) -> AsyncIterator[tuple[Cutter, str]]:
    async with cutting(dsn) as proxy:
        yield proxy


async def _cut_everywhere(cutter: Cutter, work: Callable[[], Awaitable[None]], cuts: int) -> None:
    """Do the work that often, cut in another place each time.

    The places are evenly spread where there are more of them than cuts. Otherwise they come again,
    and then the connection that is made after the cut is cut as well.
    """
    for _ in range(2):  # the first time, more is asked and answered
        cutter.arm(0, times=0)
        await work()
    places = cutter.passed
    for number in range(cuts):
        place = number % places if places <= cuts else number * places // cuts
        cutter.arm(place, times=1 + number // places % 2)
        await work()
    assert cutter.cuts >= cuts


def _doors(count: int) -> list[DomainEvent]:
    return [DoorOpened(number=number) for number in range(count)]


@counts.counted
async def test_what_is_appended_over_cut_connections_is_stored_once(
    proxy: tuple[Cutter, str], dsn: str, schema: str
) -> None:
    """Cuts begin while the store is opened; the same events are appended until they are stored."""
    cutter, address = proxy
    appended: list[DomainEvent] = []

    async def work() -> None:
        stream, events = StreamId("house", uuid4()), _doors(6)
        appended.extend(events)
        while True:
            with suppress(StoreUnavailable):
                async with _at(address, schema) as store:
                    await _append(store, stream, events)
                    return

    async with _at(dsn, schema) as store:
        await _cut_everywhere(cutter, work, CUTS)
        stored = [recorded.event async for recorded in store.read_all()]
    assert stored == appended


def _at(address: str, schema: str) -> PostgresEventStore:
    return PostgresEventStore(address, registry=REGISTRY, schema=schema)


async def _append(store: EventStore, stream: StreamId, events: list[DomainEvent]) -> None:
    for version in range(0, len(events), 2):
        pair = events[version : version + 2]
        result = await append_until_stored(store, stream, pair, expected=version)
        assert [one.version for one in result.recorded] == [version + 1, version + 2]
        assert [one.event for one in result.recorded] == pair


@counts.counted
async def test_a_transaction_around_appends_is_whole_wherever_it_is_cut(
    proxy: tuple[Cutter, str], dsn: str, schema: str
) -> None:
    """Also behind its COMMIT: the caller does all of it again, and finds it done."""
    cutter, address = proxy
    appended: list[DomainEvent] = []

    async with _at(dsn, schema) as store:
        direct = await asyncpg.connect(dsn)
        await direct.execute(f"CREATE TABLE {schema}.mine (number integer PRIMARY KEY)")

        async def work() -> None:
            events = _doors(2)
            appended.extend(events)
            while True:
                with suppress(StoreError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await _in_one_transaction(store, address, schema, len(appended), events)
                    return

        await _cut_everywhere(cutter, work, CUTS)
        numbers = await direct.fetch(f"SELECT number FROM {schema}.mine ORDER BY number")
        await direct.close()
        assert [row[0] for row in numbers] == list(range(2, len(appended) + 1, 2))
        assert [recorded.event async for recorded in store.read_all()] == appended


async def _in_one_transaction(
    store: PostgresEventStore, address: str, schema: str, number: int, events: list[DomainEvent]
) -> None:
    connection = await asyncpg.connect(address)
    try:
        async with connection.transaction():
            mine = f"INSERT INTO {schema}.mine VALUES ($1) ON CONFLICT DO NOTHING"
            await connection.execute(mine, number)
            await store.within(connection).append(StreamId("house", str(number)), events)
    finally:
        connection.terminate()


@counts.counted
async def test_a_projection_over_cut_connections_holds_every_event_once(
    proxy: tuple[Cutter, str], dsn: str, schema: str
) -> None:
    cutter, address = proxy
    view, engine = Journal(), Place(folder="", dsn=address, schema=schema).engine()
    async with _at(dsn, schema) as store:

        async def work() -> None:
            end = (await store.append(StreamId("house", uuid4()), _doors(6))).position
            async with asyncio.timeout(60):
                while end not in await view.positions(direct):  # noqa: ASYNC110  # it rings no bell
                    await asyncio.sleep(0.002)

        direct = Place(folder="", dsn=dsn, schema=schema).engine()
        await Projector(store, view, direct).run_once()
        async with Projector(store, view, engine, batch_size=3, retry=EAGER):
            await _cut_everywhere(cutter, work, CUTS)
        assert await SQLCheckpointStore(direct).parked() == ()
        stored = [recorded.position async for recorded in store.read_all()]
        assert await view.positions(direct) == stored
        await engine.dispose()
        await direct.dispose()
