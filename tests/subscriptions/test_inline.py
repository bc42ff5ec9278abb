"""Inline projections: whoever appends, in whatever way it ends, the view is what the log says."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from dashtam_events.catalogue import (
    CATALOGUE,
    ProviderConnectionAttempted,
    ProviderConnectionExpired,
    ProviderConnectionFailed,
    ProviderConnectionSucceeded,
)
from dashtam_events.connection import ConnectionStatus, ProviderConnection
from dashtam_events.errors import VersionConflict
from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store import Append, EventStore, SQLiteEventStore
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions import (
    Checkpoint,
    CheckpointConflict,
    CheckpointUnavailable,
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
    upsert,
)
from dashtam_events.testing import CONTRACT_EVENTS, StoreContract
from dashtam_events.testing._store_samples import KeyHandedOver, LampPutOut
from dashtam_events.views import ConnectionsView
from tests import counts
from tests.subscriptions.houses import REGISTRY, DoorOpened, WindowOpened, open_doors
from tests.subscriptions.poison import EAGER
from tests.subscriptions.walls import DoubleOpenings, Openings

POISON = 13


class InlineOpenings(Openings):
    """With nothing to do outside; it fails at one number."""

    after_commit = Projection.after_commit

    def __init__(self) -> None:
        super().__init__()
        self.mistakes = {POISON}


class Lamps(Projection):
    """How far each stream is, by its less frequent events."""

    name = "lamps"
    types: ClassVar[Any] = (KeyHandedOver, LampPutOut)

    def define(self) -> None:
        self.lamps = self.table(
            "lamps", Column("stream", Text, primary_key=True), Column("events", Integer)
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await upsert(connection, self.lamps, stream=str(recorded.stream), events=recorded.version)


def store_on(engine: AsyncEngine, registry: EventRegistry) -> Any:
    """A store in the database of an engine, to be opened."""
    if engine.dialect.name == "sqlite":
        return SQLiteEventStore(str(engine.url.database), registry=registry)
    dsn = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return PostgresEventStore(dsn, registry=registry)


@pytest.fixture
async def store(engine: AsyncEngine) -> AsyncIterator[JoinableStore]:
    async with store_on(engine, REGISTRY) as store:
        yield store


@pytest.fixture
def view() -> InlineOpenings:
    return InlineOpenings()


@pytest.fixture
async def inline(
    store: JoinableStore, engine: AsyncEngine, view: InlineOpenings
) -> InlineProjections:
    inline = InlineProjections(store, engine, [view])
    await inline.catch_up()
    return inline


async def numbers_of(store: EventStore) -> list[int]:
    return [recorded.event.number async for recorded in store.read_all()]  # type: ignore[attr-defined]  # all of these have one


def doors(*numbers: int) -> list[DoorOpened]:
    return [DoorOpened(number=number) for number in numbers]


def a_house() -> StreamId:
    return StreamId("house", uuid4())


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
        with pytest.raises(ProjectionFailed, match="IntegrityError"):
            await open_doors(joined, 2, 3)
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


async def test_without_its_tables_it_says_which_projection_lacks_them(
    store: JoinableStore, engine: AsyncEngine
) -> None:
    with pytest.raises(CheckpointUnavailable, match="openings"):
        await open_doors(InlineProjections(store, engine, [InlineOpenings()]), 1)
    assert await numbers_of(store) == []


def test_projections_that_would_be_half_done_are_refused(tmp_path: Path) -> None:
    store = SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY)
    engine: Any = AsyncEngine.__new__(AsyncEngine)
    with pytest.raises(ValueError, match="name of its own"):
        InlineProjections(store, engine, [InlineOpenings(), InlineOpenings()])
    with pytest.raises(ValueError, match="after_commit"):
        InlineProjections(store, engine, [Openings()])


class Writer:
    """Does everything that an append can meet, by chance; knows which numbers must stand."""

    def __init__(
        self, seed: int, store: JoinableStore, engine: AsyncEngine, view: InlineOpenings
    ) -> None:
        self._chance = random.Random(seed)
        self._store, self._engine, self._view = store, engine, view
        self._inline = InlineProjections(store, engine, [view])
        self._stream, self._version, self._next = a_house(), 0, 1000 * (seed % 1000 + 1)
        self._last: list[DoorOpened] = []
        self.standing: list[int] = []

    def _events(self) -> list[DoorOpened]:
        count = self._chance.randint(1, 4)
        self._next += count
        return doors(*range(self._next - count, self._next))

    def _stands(self, events: list[DoorOpened]) -> None:
        self._last, self._version = events, self._version + len(events)
        self.standing += [event.number for event in events]

    async def run(self, steps: int) -> None:
        deeds = [
            self._append,
            self._append_past,
            self._repeat,
            self._conflict,
            self._fail,
            self._join,
            self._cancel,
        ]
        for _ in range(steps):
            await self._chance.choice(deeds)()
            await self._seen()

    async def _seen(self) -> None:
        """What stands was in the view when the append came back, once, and in order."""
        async with self._engine.connect() as connection:
            low, high = self._next - self._next % 1000, self._next
            journal = self._view.journal.c
            wanted = (
                self._view.journal.select()
                .with_only_columns(journal.number)
                .where(journal.number.between(low, high))
                .order_by(journal.position)
            )
            seen = list(await connection.scalars(wanted))
        assert seen == self.standing[: len(seen)]
        if not self._behind:
            assert seen == self.standing

    _behind = False

    async def _append(self) -> None:
        events = self._events()
        await self._inline.append(self._stream, events, expected=self._version)
        self._stands(events)
        self._behind = False

    async def _append_past(self) -> None:
        events = self._events()
        await self._store.append(self._stream, events, expected=self._version)
        self._stands(events)
        self._behind = True

    async def _repeat(self) -> None:
        if self._last:
            await self._inline.append(self._stream, self._last)
            self._behind = False

    async def _conflict(self) -> None:
        with pytest.raises(VersionConflict):
            await self._inline.append(self._stream, self._events(), expected=self._version + 7)

    async def _fail(self) -> None:
        with pytest.raises(ProjectionFailed):
            await self._inline.append(self._stream, [*self._events(), *doors(POISON)])

    async def _join(self) -> None:
        kept: list[list[DoorOpened]] = []
        async with AsyncSession(self._engine) as session:
            joined = InlineProjections(self._store, session, [self._view])
            for _ in range(2):
                events = self._events()
                savepoint = await session.begin_nested()
                await joined.append(self._stream, events)
                if self._chance.random() < 0.4:
                    await savepoint.rollback()
                else:
                    await savepoint.commit()
                    kept.append(events)
            if self._chance.random() < 0.4:
                await session.rollback()
                return
            await session.commit()
        for events in kept:
            self._stands(events)
            self._behind = False

    async def _cancel(self) -> None:
        events = self._events()
        appending = asyncio.create_task(self._inline.append(self._stream, events))
        await asyncio.sleep(self._chance.random() * 0.01)
        appending.cancel()
        with suppress(asyncio.CancelledError):
            await appending
        if await self._store.position_of(events[0].event_id) is not None:
            self._stands(events)
            self._behind = False


@counts.counted
async def test_many_writers_leave_the_view_that_a_rebuild_makes(
    store: JoinableStore, inline: InlineProjections, view: InlineOpenings, engine: AsyncEngine
) -> None:
    """By chance: appends, repeats, conflicts, failures, rollbacks, cancellations, and past it."""
    for seed in range(0, counts.of(short=1, full=30) * 10, 10):
        writers = [Writer(seed + n, store, engine, view) for n in range(4)]
        await asyncio.gather(*(writer.run(12) for writer in writers))
        await inline.catch_up()
        assert await view.written(engine) == await numbers_of(store)
        # It compares row by row.
        assert await rebuild(store, Openings(), engine) == await store.last_position()


Life = list[tuple[int, int, bool]]
KINDS: list[tuple[Any, ConnectionStatus, dict[str, str]]] = [
    (ProviderConnectionAttempted, ConnectionStatus.PENDING, {}),
    (ProviderConnectionSucceeded, ConnectionStatus.ACTIVE, {}),
    (ProviderConnectionFailed, ConnectionStatus.FAILED, {"reason": "timeout"}),
    (ProviderConnectionExpired, ConnectionStatus.EXPIRED, {}),
]


@pytest.fixture
async def bank(engine: AsyncEngine) -> AsyncIterator[JoinableStore]:
    async with store_on(engine, CATALOGUE) as store:
        yield store


@counts.counted
@settings(
    max_examples=counts.of(short=4, full=100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(life=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), max_size=8))
async def test_connections_are_shown_as_they_are_whatever_is_appended_and_rolled_back(
    bank: JoinableStore, engine: AsyncEngine, life: Life
) -> None:
    view, user = ConnectionsView(), uuid4()
    inline = InlineProjections(bank, engine, [view])
    await inline.catch_up()
    known = {"user_id": user, "provider_id": uuid4(), "provider_slug": "schwab"}
    connections, states = [uuid4() for _ in range(3)], dict[UUID, ConnectionStatus]()
    for what, which, stands in life:
        kind, state, more = KINDS[what]
        connection_id = connections[which]
        stream = StreamId(ProviderConnection.stream_category, connection_id)
        event = kind(connection_id=connection_id, **known, **more)
        async with AsyncSession(engine) as session:
            await InlineProjections(bank, session, [view]).append(stream, [event])
            await (session.commit() if stands else session.rollback())
        if stands:
            states[connection_id] = state
        shown = await view.of_user(engine, user)
        assert {each.connection_id: each.status for each in shown} == states
    await rebuild(bank, ConnectionsView(), engine)
