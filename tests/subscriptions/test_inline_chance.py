"""Inline projections by chance: whatever becomes of appends, the view is what the log says."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from dashtam_events.catalogue import (
    CATALOGUE,
    ProviderConnectionAttempted,
    ProviderConnectionExpired,
    ProviderConnectionFailed,
    ProviderConnectionSucceeded,
)
from dashtam_events.connection import ConnectionStatus, ProviderConnection
from dashtam_events.errors import VersionConflict
from dashtam_events.recorded import StreamId
from dashtam_events.subscriptions import ProjectionFailed
from dashtam_events.subscriptions.sql import InlineProjections, JoinableStore, rebuild, schema
from dashtam_events.views import ConnectionsView
from tests import counts
from tests.subscriptions.houses import DoorOpened
from tests.subscriptions.inlines import (
    POISON,
    InlineOpenings,
    a_house,
    doors,
    inline,
    numbers_of,
    store,
    store_on,
    view,
)
from tests.subscriptions.walls import Openings

__all__ = ["inline", "store", "view"]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cancelled is told how it ended, however long that takes."""
    monkeypatch.setattr(schema, "_CUT_LATER", (3.0, 60.0))
    monkeypatch.setattr(schema, "_CUT_AT_ONCE", (0.0, 60.0))


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
    for seed in range(0, counts.of(short=1, full=6) * 10, 10):
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
    max_examples=counts.of(short=4, full=25),
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
