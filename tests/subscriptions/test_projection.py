"""Projections: each event is written exactly once, whoever runs, fails or comes back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import EventStore, InMemoryEventStore
from dashtam_events.subscriptions import (
    CheckpointConflict,
    CheckpointUnavailable,
    ParkedState,
    Parking,
    ProjectionOutdated,
    Signal,
    SignalKind,
)
from dashtam_events.subscriptions.sql import Projector, SQLCheckpointStore
from tests.subscriptions.houses import REGISTRY, open_doors, open_windows
from tests.subscriptions.poison import EAGER, until
from tests.subscriptions.stores import store_beside
from tests.subscriptions.walls import DoubleOpenings, Openings


@pytest.fixture
async def store(engine: AsyncEngine) -> AsyncIterator[EventStore]:
    async with store_beside(engine) as store:
        yield store


def projector(store: EventStore, view: Openings, engine: AsyncEngine, **options: Any) -> Projector:
    given: dict[str, Any] = {"retry": EAGER, "parking": Parking(limit=1.0), "poll": 0.05} | options
    return Projector(store, view, engine, **given)


async def test_what_was_and_what_comes(store: EventStore, engine: AsyncEngine) -> None:
    view = Openings()
    view.raises = True
    await open_doors(store, *range(250))
    async with projector(store, view, engine):
        await until(lambda: len(view.acted) == 250)
        await open_windows(store, 250)
        await until(lambda: len(view.acted) == 251)
    assert await view.written(engine) == list(range(251))
    await projector(store, view, engine).run_once()
    assert await view.written(engine) == list(range(251))
    assert view.acted == list(range(1, 252))


async def test_a_failing_event_undoes_its_batch_and_nothing_is_written_twice(
    store: EventStore, engine: AsyncEngine
) -> None:
    view = Openings()
    view.failing = {3: 2}
    await open_doors(store, *range(6))
    await projector(store, view, engine).run_once()
    assert await view.written(engine) == list(range(6))
    assert view.acted == list(range(1, 7))


async def test_poison_is_set_aside_with_its_stream_and_comes_when_it_is_replayed(
    store: EventStore, engine: AsyncEngine
) -> None:
    view = Openings()
    view.mistakes = {2}
    await open_doors(store, 1, 2, 3)
    await open_doors(store, 4)
    kept = SQLCheckpointStore(engine)
    await projector(store, view, engine).run_once()
    assert await view.written(engine) == [1, 4]
    states = [each.state for _, each in await kept.parked()]
    assert states == [ParkedState.FAILED, ParkedState.WAITING]
    view.mistakes = set()
    assert await kept.replay("openings") == 1
    await projector(store, view, engine).run_once()
    assert await view.written(engine) == [1, 2, 3, 4]
    assert await kept.parked() == ()


async def test_a_value_that_the_database_refuses_is_set_aside(
    store: EventStore, engine: AsyncEngine
) -> None:
    class Strict(Openings):
        async def apply(self, connection: Any, recorded: RecordedEvent) -> None:
            await super().apply(connection, recorded)
            if recorded.version == 2:
                await super().apply(connection, recorded)

    view = Strict()
    await open_doors(store, 1, 2)
    # The retries of the projector itself: an error of integrity is not tried again.
    await Projector(store, view, engine, parking=Parking(limit=1.0)).run_once()
    [(_, fallen)] = await SQLCheckpointStore(engine).parked()
    assert fallen.attempts == 1
    assert fallen.error_type == "sqlalchemy.exc.IntegrityError"
    assert await view.written(engine) == [1]


async def test_a_batch_is_written_together_and_one_by_one_where_an_event_of_it_fails(
    store: EventStore, engine: AsyncEngine
) -> None:
    class Together(Openings):
        async def apply_batch(self, connection: Any, recorded: Sequence[RecordedEvent]) -> None:
            sizes.append(len(recorded))
            await super().apply_batch(connection, recorded)

    sizes: list[int] = []
    view = Together()
    view.mistakes = {8}
    for number in range(10):
        await open_doors(store, number)
    await projector(store, view, engine, batch_size=5).run_once()
    assert sizes == [5, 5, 1, 1, 1, 1, 1]
    assert await view.written(engine) == [*range(8), 9]


async def test_of_two_that_race_one_steps_back_and_nothing_is_written_twice(
    store: EventStore, engine: AsyncEngine
) -> None:
    await open_doors(store, *range(120))
    views = [Openings(), Openings()]
    await projector(InMemoryEventStore(registry=REGISTRY), views[0], engine).run_once()
    racing = [projector(store, view, engine, batch_size=3).run_once() for view in views]
    ended = await asyncio.gather(*racing, return_exceptions=True)
    assert [each for each in ended if isinstance(each, BaseException)] == [
        each for each in ended if isinstance(each, CheckpointConflict)
    ]
    await projector(store, views[0], engine).run_once()
    assert await views[0].written(engine) == list(range(120))


async def test_the_loser_of_a_race_has_written_nothing(
    store: EventStore, engine: AsyncEngine
) -> None:
    view, other = Openings(), Openings()
    await open_doors(store, 1, 2)
    late = projector(store, view, engine, batch_size=1)
    overtaken = False

    advance = late._in_database.advance

    async def slow(*given: Any, **more: Any) -> Any:
        nonlocal overtaken
        if not overtaken:
            overtaken = True
            await projector(store, other, engine).run_once()
        return await advance(*given, **more)

    late._in_database.advance = slow  # type: ignore[method-assign]  # between reading and writing
    with pytest.raises(CheckpointConflict):
        await late.run_once()
    assert await view.written(engine) == [1, 2]
    assert view.acted == []


async def test_tables_of_another_version_are_left_alone(
    store: EventStore, engine: AsyncEngine
) -> None:
    await open_doors(store, 1)
    await projector(store, Openings(), engine).run_once()
    with pytest.raises(ProjectionOutdated) as raised:
        await projector(store, DoubleOpenings(), engine).run_once()
    assert (raised.value.stored, raised.value.version) == (1, 2)


async def test_a_commit_whose_answer_was_lost_is_not_repeated(
    store: EventStore, engine: AsyncEngine
) -> None:
    view = Openings()
    await open_doors(store, 1, 2, 3)
    running = projector(store, view, engine)
    advance = running._in_database.advance
    lost: list[Any] = []

    async def unheard(*given: Any, **more: Any) -> Any:
        moved = await advance(*given, **more)
        if not lost:
            lost.append(moved)
            raise CheckpointUnavailable("openings", "OSError")
        return moved

    running._in_database.advance = unheard  # type: ignore[method-assign]  # a line that breaks
    async with running:
        await until(lambda: bool(lost))
        await open_doors(store, 4)
        await until(lambda: bool(view.acted))
    assert await view.written(engine) == [1, 2, 3, 4]


async def test_cancelled_at_any_moment_it_goes_on_without_a_gap_or_a_repeat(
    store: EventStore, engine: AsyncEngine
) -> None:
    view = Openings()
    await open_doors(store, *range(60))
    await projector(InMemoryEventStore(registry=REGISTRY), view, engine).run_once()
    for number in range(25):
        running = asyncio.ensure_future(projector(store, view, engine, batch_size=2).run_once())
        await asyncio.sleep(0.0015 * number)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await projector(store, view, engine).run_once()
    assert await view.written(engine) == list(range(60))


async def test_the_observer_hears_of_each_event(store: EventStore, engine: AsyncEngine) -> None:
    heard: list[Signal] = []
    await open_doors(store, 1, 2)
    await projector(store, Openings(), engine, observer=heard.append).run_once()
    kinds = [signal.kind for signal in heard]
    assert kinds.count(SignalKind.HANDLED) == 2
    assert kinds.count(SignalKind.SAVED) == 1


async def test_a_database_that_is_broken_is_named_without_values(
    store: EventStore, engine: AsyncEngine
) -> None:
    await open_doors(store, 1)
    await projector(store, Openings(), engine).run_once()
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE event_checkpoints RENAME COLUMN epoch TO era"))
    with pytest.raises(CheckpointUnavailable, match="openings"):
        await SQLCheckpointStore(engine).load("openings")
