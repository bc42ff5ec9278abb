"""Rebuilding: beside the tables in use, compared with them, and changed over in one step."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dashtam_events.store import EventStore
from dashtam_events.subscriptions import (
    Parking,
    ProjectionMismatch,
    ProjectionOutdated,
    Signal,
    SignalKind,
    TooManyParked,
)
from dashtam_events.subscriptions.sql import Projector, SQLCheckpointStore, rebuild
from tests.subscriptions.houses import open_doors
from tests.subscriptions.poison import EAGER, until
from tests.subscriptions.stores import store_beside
from tests.subscriptions.walls import DoubleOpenings, Openings


@pytest.fixture
async def store(engine: AsyncEngine) -> AsyncIterator[EventStore]:
    async with store_beside(engine) as store:
        yield store


async def test_what_was_never_built_is_built(store: EventStore, engine: AsyncEngine) -> None:
    view = Openings()
    await open_doors(store, *range(20))
    assert await rebuild(store, view, engine, batch_size=7) == await store.last_position()
    assert await view.written(engine) == list(range(20))
    assert view.acted == []
    await open_doors(store, 20)
    await Projector(store, view, engine).run_once()
    assert await view.written(engine) == list(range(21))


async def test_it_may_be_repeated(store: EventStore, engine: AsyncEngine) -> None:
    view = Openings()
    for number in range(3):
        await open_doors(store, number)
        await rebuild(store, view, engine)
        await Projector(store, view, engine).run_once()
    assert await view.written(engine) == [0, 1, 2]


async def test_a_difference_is_found_before_the_change(
    store: EventStore, engine: AsyncEngine
) -> None:
    view = Openings()
    await open_doors(store, 1, 2)
    await Projector(store, view, engine).run_once()
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM openings_journal WHERE number = 2"))
        await connection.execute(text("UPDATE openings SET opened = 1"))
    with pytest.raises(ProjectionMismatch) as raised:
        await rebuild(store, view, engine)
    assert (raised.value.table, raised.value.only_old, raised.value.only_new) == ("openings", 1, 1)
    assert await view.written(engine) == [1]
    await rebuild(store, view, engine, compare=False)
    assert await view.written(engine) == [1, 2]


async def test_the_next_version_takes_over_and_the_old_one_steps_back(
    store: EventStore, engine: AsyncEngine
) -> None:
    old, new, heard = Openings(), DoubleOpenings(), list[Signal]()
    await open_doors(store, 1, 2)
    running = Projector(store, old, engine, poll=0.05, observer=heard.append)
    await running.__aenter__()
    await until(lambda: len(old.acted) == 2)
    await rebuild(store, new, engine, compare=False)
    await open_doors(store, 3)
    with pytest.raises(ProjectionOutdated):
        await asyncio.wait_for(running.finished(), 20)
    # It is no failure of the event, to be tried again.
    assert SignalKind.RETRYING not in {each.kind for each in heard}
    await running.stop()
    await Projector(store, new, engine).run_once()
    assert await new.written(engine) == [1, 2, 3]


async def test_beside_a_projector_at_work_nobody_misses_anything(
    store: EventStore, engine: AsyncEngine
) -> None:
    """The old tables are written and read while the new ones are made, again and again."""
    view = Openings()
    counted: list[int] = []
    await open_doors(store, 0)

    async def write() -> None:
        for number in range(1, 80):
            await open_doors(store, number)
            await asyncio.sleep(0.004)

    async def read() -> None:
        while not writing.done():
            async with engine.connect() as connection:
                counted.append(await connection.scalar(text("SELECT count(*) FROM openings")) or 0)
            await asyncio.sleep(0.01)

    async with Projector(store, view, engine, poll=0.05):
        await until(lambda: bool(view.acted))
        writing = asyncio.ensure_future(write())
        reading = asyncio.ensure_future(read())
        while not writing.done():
            await rebuild(store, Openings(), engine, batch_size=10)
        await asyncio.gather(writing, reading)
        await until(lambda: len(view.acted) == 80)
    assert await view.written(engine) == list(range(80))
    assert counted == sorted(counted)


async def test_what_an_interrupted_rebuild_left_is_cleared_away(
    store: EventStore, engine: AsyncEngine
) -> None:
    view = Openings()
    await open_doors(store, *range(30))
    await Projector(store, view, engine).run_once()
    for number in range(8):
        running = asyncio.ensure_future(rebuild(store, view, engine, batch_size=2))
        await asyncio.sleep(0.01 * number)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await view.written(engine) == list(range(30))
    await rebuild(store, view, engine)
    assert await view.written(engine) == list(range(30))


async def test_what_is_parked_on_the_way_takes_the_place_of_what_was(
    store: EventStore, engine: AsyncEngine
) -> None:
    old, new = Openings(), Openings()
    old.mistakes, new.mistakes = {1}, {2}
    for number in (1, 2, 3):
        await open_doors(store, number)
    await Projector(store, old, engine, retry=EAGER, parking=Parking(limit=1.0)).run_once()
    await rebuild(store, new, engine, compare=False)
    [(name, parked)] = await SQLCheckpointStore(engine).parked()
    assert (name, parked.position) == ("openings", 2)
    assert await new.written(engine) == [1, 3]


async def test_a_history_that_begins_badly_is_rebuilt_where_that_is_allowed(
    store: EventStore, engine: AsyncEngine
) -> None:
    """What was dropped long ago fails again, and must not stand in the way for ever."""
    view = Openings()
    view.mistakes = set(range(12))
    for number in range(14):
        await open_doors(store, number)
    with pytest.raises(TooManyParked):
        await rebuild(store, view, engine)
    await rebuild(store, view, engine, parking=Parking(limit=1.0))
    assert await view.written(engine) == [12, 13]
