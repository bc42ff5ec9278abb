"""The read models of the page: two views, and the projectors that write them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dashtam_events.bus.session import real_savepoints
from dashtam_events.cli.story import DEMO_USER
from dashtam_events.recorded import Position
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions import SubscriptionState
from dashtam_events.subscriptions.sql import Projector, create_subscription_tables
from dashtam_events.views import (
    ConnectionSummary,
    ConnectionsView,
    SyncAttempt,
    SyncHistoryView,
    WorkflowStatistics,
)

__all__ = ["Views"]

_POLL = 0.5
_LOOK_AGAIN = 0.005
_LATEST = 8


class Views:
    """What the demo's user has, in tables; each query holds all that was appended before it."""

    def __init__(self, store: EventStore, engine: AsyncEngine) -> None:
        self._store = store
        self._engine = engine
        self._connections, self._syncs = ConnectionsView(), SyncHistoryView()
        self._projectors = [
            Projector(store, view, engine, poll=_POLL) for view in (self._connections, self._syncs)
        ]

    @classmethod
    @asynccontextmanager
    async def following(cls, store: EventStore) -> "AsyncGenerator[Views, None]":
        """Views kept up with a store for as long as the context lasts.

        They hold nothing that the log does not: they are made anew at every start, in a file
        that goes with the process. A service keeps them, and goes on from their checkpoints.
        """
        with TemporaryDirectory(prefix="dashtam-events-views-") as folder:
            url = f"sqlite+aiosqlite:///{Path(folder) / 'views.db'}"
            engine = real_savepoints(create_async_engine(url))
            try:
                await create_subscription_tables(engine)
                views = cls(store, engine)
                connections, syncs = views._projectors
                # Before anybody asks: it makes the tables, too.
                await connections.run_once()
                await syncs.run_once()
                async with connections, syncs:
                    yield views
            finally:
                await engine.dispose()

    async def connections(self) -> tuple[ConnectionSummary, ...]:
        """The user's connections, in the order of their beginning."""
        await self._catch_up()
        return await self._connections.of_user(self._engine, DEMO_USER)

    async def latest_syncs(self) -> tuple[SyncAttempt, ...]:
        """The latest syncs and imports, newest first."""
        await self._catch_up()
        return await self._syncs.latest(self._engine, user_id=DEMO_USER, limit=_LATEST)

    async def sync_statistics(self) -> tuple[WorkflowStatistics, ...]:
        """How the syncs and the imports went."""
        await self._catch_up()
        return await self._syncs.statistics(self._engine, user_id=DEMO_USER)

    async def _catch_up(self) -> None:
        """Wait until the views hold what the store holds: so a writer reads their own writes.

        Raises:
            Exception: what ended a projector.
        """
        end = await self._store.last_position() or Position(0)
        for projector in self._projectors:
            while await _is_behind(projector, end):  # noqa: ASYNC110  # it is milliseconds
                await asyncio.sleep(_LOOK_AGAIN)


async def _is_behind(projector: Projector, end: Position) -> bool:
    health = await projector.health()
    if health.state is SubscriptionState.FAILED:
        await projector.finished()
    return (health.position or 0) < end
