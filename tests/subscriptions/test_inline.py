"""Inline projections: whoever appends, in whatever way it ends, the view is what the log says."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    create_async_engine,
)

from dashtam_events.bus.session import real_savepoints
from dashtam_events.errors import StoreBusy, StoreUnavailable, VersionConflict
from dashtam_events.recorded import RecordedEvent
from dashtam_events.registry import EventRegistry
from dashtam_events.store import Append, EventStore, SQLiteEventStore
from dashtam_events.subscriptions import (
    Checkpoint,
    CheckpointConflict,
    Parking,
    PartitionMismatch,
    ProjectionFailed,
    ProjectionOutdated,
)
from dashtam_events.subscriptions.sql import (
    InlineProjections,
    JoinableStore,
    Projection,
    Projector,
    SQLCheckpointStore,
    _catching_up,
    create_subscription_tables,
    rebuild,
)
from dashtam_events.testing import CONTRACT_EVENTS, StoreContract
from tests.subscriptions.houses import REGISTRY, DoorOpened, WindowOpened, open_doors
from tests.subscriptions.inlines import (
    POISON,
    InlineOpenings,
    Lamps,
    a_house,
    doors,
    inline,
    numbers_of,
    store,
    store_on,
    view,
)
from tests.subscriptions.poison import EAGER
from tests.subscriptions.walls import DoubleOpenings, Openings

__all__ = ["inline", "store", "view"]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
class TestContract(StoreContract):
    """With a projection at its side a store is what it was without."""

    @pytest.fixture
    async def store(self, engine: AsyncEngine) -> AsyncIterator[EventStore]:
        async with store_on(engine, CONTRACT_EVENTS) as store:
            inline = InlineProjections(store, engine, [Lamps()])
            await inline.catch_up()
            yield inline


async def test_a_read_after_the_append_sees_the_view(
    inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    for number in range(3):
        await open_doors(inline, number)
        assert await view.written(engine) == list(range(number + 1))


async def test_an_append_that_is_repeated_is_written_once(
    inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    stream, events = a_house(), doors(1, 2)
    first = await inline.append(stream, events, expected=0)
    assert await inline.append(stream, events, expected=0) == first
    assert await inline.append_many([Append(stream=stream, events=events)]) == (first,)
    assert await view.written(engine) == [1, 2]


async def test_history_is_written_when_it_catches_up(
    store: JoinableStore,
    view: InlineOpenings,
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_catching_up, "_BATCH", 7)
    await open_doors(store, *range(20, 50))
    inline = InlineProjections(store, engine, [view])
    await inline.catch_up()
    assert await view.written(engine) == list(range(20, 50))
    await inline.catch_up()
    await open_doors(inline, 1)
    assert await view.written(engine) == [*range(20, 50), 1]


async def test_what_was_appended_past_it_is_written_with_the_next_append(
    store: JoinableStore,
    inline: InlineProjections,
    view: InlineOpenings,
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_catching_up, "_BATCH", 7)
    await open_doors(store, *range(20, 50))
    assert await view.written(engine) == []
    await open_doors(inline, 1)
    assert await view.written(engine) == [*range(20, 50), 1]


async def test_an_error_undoes_the_append_and_says_what_failed(
    inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    await open_doors(inline, 1)
    with pytest.raises(ProjectionFailed, match="applying DoorOpened raised ValueError") as raised:
        await inline.append(a_house(), doors(2, POISON), attachments={"note": b"x"})
    assert (raised.value.projection, raised.value.position) == ("openings", 3)
    assert "secret" not in str(raised.value)
    assert await numbers_of(inline) == await view.written(engine) == [1]
    await open_doors(inline, 3)
    assert await numbers_of(inline) == await view.written(engine) == [1, 3]


async def test_a_conflict_leaves_the_view_as_it_was(
    inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    stream = a_house()
    await inline.append(stream, doors(1))
    with pytest.raises(VersionConflict):
        await inline.append(stream, doors(2), expected=0)
    assert await view.written(engine) == [1]


async def test_in_the_callers_session_it_stands_and_falls_with_the_transaction(
    store: JoinableStore, inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    for ends in ("commit", "rollback"):
        async with AsyncSession(engine) as session:
            joined = InlineProjections(store, session, [view])
            await open_doors(joined, 1)
            shown = await session.scalar(text("SELECT count(*) FROM openings_journal"))
            assert (shown, len(await numbers_of(joined))) == (
                (1, 1) if ends == "commit" else (2, 2)
            )
            await getattr(session, ends)()
    assert await numbers_of(inline) == await view.written(engine) == [1]


async def test_in_the_callers_session_an_error_undoes_no_more_than_the_append(
    store: JoinableStore, inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    stream = a_house()
    async with AsyncSession(engine) as session, session.begin():
        joined = InlineProjections(store, session, [view])
        await joined.append(stream, doors(1))
        with pytest.raises(ProjectionFailed):
            await joined.append(stream, doors(2, POISON))
        with pytest.raises(VersionConflict):
            await joined.append(stream, doors(2), expected=3)
        savepoint = await session.begin_nested()
        await joined.append(stream, doors(3))
        await savepoint.rollback()
        await joined.append(stream, doors(4), expected=1)
    assert await numbers_of(inline) == await view.written(engine) == [1, 4]


async def test_an_error_of_sql_undoes_no_more_than_the_append_either(
    store: JoinableStore, engine: AsyncEngine
) -> None:
    class Strict(InlineOpenings):
        async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
            await super().apply(connection, recorded)
            if recorded.version == 2:
                await super().apply(connection, recorded)

    view = Strict()
    await InlineProjections(store, engine, [view]).catch_up()
    async with engine.begin() as connection:
        joined = InlineProjections(store, connection, [view])
        await open_doors(joined, 1)
        with pytest.raises(
            ProjectionFailed, match=r"raised (Integrity|UniqueViolation)Error"
        ) as caught:
            await open_doors(joined, 2, 3)
        # Its own would quote the values of the statement.
        assert caught.value.__cause__ is caught.value.__context__ is None
        await open_doors(joined, 4)
    assert await view.written(engine) == [1, 4]


async def test_a_projector_of_that_name_and_it_never_write_an_event_twice(
    store: JoinableStore, inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    """They race: the projector steps back, or finds that there is nothing left for it."""
    stepped_back = 0

    async def project() -> None:
        nonlocal stepped_back
        for _ in range(15):
            try:
                await Projector(store, Openings(), engine, batch_size=2).run_once()
            except CheckpointConflict:
                stepped_back += 1
            await asyncio.sleep(0.001)

    async def write() -> None:
        for number in range(20, 45):
            await open_doors(inline if number % 3 else store, number)
            await asyncio.sleep(0.002)

    await asyncio.gather(project(), write())
    await inline.catch_up()
    assert await numbers_of(store) == await view.written(engine) == list(range(20, 45))


async def test_a_rebuild_while_others_append_finds_no_difference(
    inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    async def write() -> None:
        for number in range(20, 40):
            await open_doors(inline, number)

    writing = asyncio.ensure_future(write())
    while not writing.done():
        await rebuild(inline, Openings(), engine, batch_size=10)
    await writing
    assert await view.written(engine) == list(range(20, 40))


async def test_tables_of_another_version_refuse_the_append(
    store: JoinableStore, inline: InlineProjections, engine: AsyncEngine
) -> None:
    class Next(DoubleOpenings):
        after_commit = Projection.after_commit

    newer = InlineProjections(store, engine, [Next()])
    with pytest.raises(ProjectionOutdated):
        await newer.catch_up()
    with pytest.raises(ProjectionOutdated):
        await open_doors(newer, 1)
    assert await numbers_of(store) == []
    await rebuild(store, Next(), engine, compare=False)
    await open_doors(newer, 2)
    with pytest.raises(ProjectionOutdated):
        await open_doors(inline, 3)
    assert await Next().written(engine) == await numbers_of(store) == [2]


async def test_what_a_projector_has_parked_refuses_the_append_until_it_is_replayed(
    store: JoinableStore, inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    await open_doors(store, POISON)
    with pytest.raises(ProjectionFailed, match="raised ValueError"):
        await open_doors(inline, 1)
    poisoned = Openings()
    poisoned.mistakes = {POISON}
    projector = Projector(store, poisoned, engine, retry=EAGER, parking=Parking(limit=1.0))
    await projector.run_once()
    with pytest.raises(ProjectionFailed, match="parked"):
        await open_doors(inline, 2)
    poisoned.mistakes = view.mistakes = set()
    await SQLCheckpointStore(engine).replay("openings")
    await projector.run_once()
    await open_doors(inline, 3)
    assert await numbers_of(store) == await view.written(engine) == [POISON, 3]


async def test_what_a_consumer_group_writes_refuses_the_append(
    store: JoinableStore, view: InlineOpenings, engine: AsyncEngine
) -> None:
    await create_subscription_tables(engine)
    await SQLCheckpointStore(engine).begin(Checkpoint(subscription="openings"), partitions=2)
    inline = InlineProjections(store, engine, [view])
    with pytest.raises(PartitionMismatch):
        await open_doors(inline, 1)
    assert await numbers_of(store) == []


async def test_an_event_that_nobody_knows_refuses_the_append(
    store: JoinableStore, inline: InlineProjections, engine: AsyncEngine
) -> None:
    class Everything(Lamps):
        types = None

    await inline.append(a_house(), [WindowOpened(number=1)])
    async with store_on(engine, EventRegistry([DoorOpened])) as narrow:
        everything = InlineProjections(narrow, engine, [Everything()])
        with pytest.raises(ProjectionFailed, match="WindowOpened is not in the registry"):
            await everything.catch_up()


async def test_a_file_that_others_hold_is_a_busy_store(tmp_path: Path) -> None:
    path, view = tmp_path / "test.db", InlineOpenings()
    url = f"sqlite+aiosqlite:///{path}"
    engine = real_savepoints(create_async_engine(url, connect_args={"timeout": 0.1}))
    async with SQLiteEventStore(path, registry=REGISTRY) as store:
        inline = InlineProjections(store, engine, [view])
        await inline.catch_up()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy):
                await open_doors(inline, 1)
            async with AsyncSession(engine) as session:
                with pytest.raises(StoreBusy):
                    await open_doors(InlineProjections(store, session, [view]), 1)
            other.execute("ROLLBACK")
        await open_doors(inline, 2)
        assert await view.written(engine) == [2]
    await engine.dispose()


async def test_a_database_that_is_away_is_an_unavailable_store(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'test.db'}")
    async with SQLiteEventStore(tmp_path / "test.db", registry=REGISTRY) as store:
        with pytest.raises(StoreUnavailable, match="OperationalError"):
            await open_doors(InlineProjections(store, engine, []), 1)
    await engine.dispose()


def test_projections_that_would_be_half_done_are_refused(tmp_path: Path) -> None:
    store = SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY)
    engine: Any = AsyncEngine.__new__(AsyncEngine)
    with pytest.raises(ValueError, match="name of its own"):
        InlineProjections(store, engine, [InlineOpenings(), InlineOpenings()])
    with pytest.raises(ValueError, match="after_commit"):
        InlineProjections(store, engine, [Openings()])
