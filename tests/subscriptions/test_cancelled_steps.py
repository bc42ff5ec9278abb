"""A cancellation ends a step at the database soon: also a slow one, also where none answers."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import ConsumerGroup
from dashtam_events.subscriptions.sql import (
    InlineProjections,
    JoinableStore,
    Projector,
    SQLCheckpointStore,
    create_subscription_tables,
    schema,
)
from tests.databases import new_database, plain_address
from tests.faults.cutting import Cutter, cutting
from tests.subscriptions.houses import REGISTRY, open_doors
from tests.subscriptions.inlines import (
    InlineOpenings,
    a_house,
    doors,
    inline,
    numbers_of,
    store,
    store_on,
    view,
)
from tests.subscriptions.poison import subscribed, until
from tests.subscriptions.walls import Openings

__all__ = ["inline", "store", "view"]

FOREVER = 60.0
SOON = 20.0
"""Before anything ends by itself, also where the machine has much to do."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is cut as soon as elsewhere, or sooner, and is not given up for being slow."""
    monkeypatch.setattr(schema, "_CUT_AT_ONCE", (0.0, FOREVER))
    monkeypatch.setattr(schema, "_CUT_LATER", (0.3, FOREVER))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer is given up sooner than elsewhere."""
    monkeypatch.setattr(schema, "_CUT_AT_ONCE", (0.0, 0.3))
    monkeypatch.setattr("dashtam_events.subscriptions._holding.FAREWELL_SECONDS", 0.3)
    monkeypatch.setattr("dashtam_events.subscriptions.group.FAREWELL_SECONDS", 0.3)


silent = pytest.mark.usefixtures("impatient")


class Slow(Openings):
    """It dwells on one event, which is written by then."""

    def __init__(self, seconds: float = FOREVER) -> None:
        super().__init__()
        self.seconds, self.slow_at = seconds, 2
        self.dwells = asyncio.Event()
        self.silence: Cutter | None = None

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await super().apply(connection, recorded)
        if getattr(recorded.event, "number", None) == self.slow_at:
            self.dwells.set()
            if self.silence is not None:
                self.silence.fall_silent()
            await asyncio.sleep(self.seconds)


class SlowInline(InlineOpenings, Slow):
    pass


async def three_doors() -> InMemoryEventStore:
    store = InMemoryEventStore(registry=REGISTRY)
    await open_doors(store, 1, 2, 3)
    return store


async def cancelled(work: Coroutine[Any, Any, object], ready: Awaitable[object]) -> None:
    """Cancel something that would go on for ever; it ends."""
    running = asyncio.ensure_future(work)
    await ready
    running.cancel()
    await ended(running)


async def ended(running: "asyncio.Future[Any]") -> None:
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(SOON):
            await running


async def test_a_slow_batch_is_undone_and_comes_again(engine: AsyncEngine) -> None:
    store, view = await three_doors(), Slow()
    projector = Projector(store, view, engine)
    await cancelled(projector.run(), view.dwells.wait())
    assert await view.written(engine) == []
    view.slow_at = 0
    await projector.run_once()
    assert await view.written(engine) == [1, 2, 3]


async def test_an_append_with_a_slow_projection_is_undone(
    store: JoinableStore, engine: AsyncEngine
) -> None:
    view = SlowInline()
    inline = InlineProjections(store, engine, [view])
    await inline.catch_up()
    async with asyncio.timeout(SOON):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inline.append(a_house(), doors(1, 2)), 0.2)
    assert await numbers_of(store) == await view.written(engine) == []
    await inline.append(a_house(), doors(3))
    assert await numbers_of(store) == await view.written(engine) == [3]


async def test_in_a_session_it_is_undone_with_the_session(
    store: JoinableStore, inline: InlineProjections, engine: AsyncEngine
) -> None:
    view = SlowInline()
    async with AsyncSession(engine) as session:
        joined = InlineProjections(store, session, [view])
        await joined.append(a_house(), doors(1))
        appending = joined.append(a_house(), doors(2))
        await cancelled(appending, view.dwells.wait())
        await session.rollback()
    assert await numbers_of(store) == await view.written(engine) == []
    await inline.append(a_house(), doors(3))
    assert await numbers_of(store) == [3]


async def test_a_commit_that_is_under_way_is_not_cut(postgres: URL) -> None:
    async with new_database(postgres) as url:
        engine, store, view = create_async_engine(url), await three_doors(), Slow(seconds=0.0)
        await Projector(InMemoryEventStore(registry=REGISTRY), view, engine).run_once()
        await _let_commits_wait(engine)
        async with engine.connect() as holder:
            await holder.execute(text("SELECT pg_advisory_lock(1)"))
            running = asyncio.ensure_future(Projector(store, view, engine, batch_size=3).run())
            await _is_waited_for(holder)
            running.cancel()
            await asyncio.wait([running], timeout=0.2)
            assert not running.done()
            await holder.execute(text("SELECT pg_advisory_unlock(1)"))
        await ended(running)
        assert await view.written(engine) == [1, 2, 3]
        await engine.dispose()


async def _a_moment_after(view: Slow) -> None:
    await view.dwells.wait()
    await asyncio.sleep(0.05)


async def _is_waited_for(holder: AsyncConnection) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    async with asyncio.timeout(SOON):
        while not await holder.scalar(waiting):  # noqa: ASYNC110  # a lock rings no bell
            await asyncio.sleep(0.005)


async def _let_commits_wait(engine: AsyncEngine) -> None:
    waits = "BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END"
    async with engine.begin() as connection:
        function = f"CREATE FUNCTION dwell() RETURNS trigger LANGUAGE plpgsql AS '{waits}'"
        await connection.execute(text(function))
        trigger = (
            "CREATE CONSTRAINT TRIGGER dwells AFTER INSERT ON openings "
            "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dwell()"
        )
        await connection.execute(text(trigger))


@asynccontextmanager
async def falling_silent(postgres: URL) -> AsyncGenerator[tuple[Cutter, AsyncEngine, AsyncEngine]]:
    """A server behind a proxy, an engine that leads through it, and one that does not."""
    dsn = plain_address(postgres)
    async with new_database(postgres) as url, cutting(dsn) as (cutter, address):
        through = make_url(address).set(drivername="postgresql+asyncpg", database=url.database)
        engine = create_async_engine(through.set(query={}), connect_args={"ssl": False})
        direct = create_async_engine(url)
        await create_subscription_tables(direct)
        yield cutter, engine, direct
        await engine.dispose()
        await direct.dispose()


@silent
async def test_a_subscription_whose_database_fell_silent(postgres: URL) -> None:
    async with falling_silent(postgres) as (cutter, engine, _):
        silent = asyncio.Event()

        async def handle(_recorded: RecordedEvent) -> None:
            cutter.fall_silent()
            silent.set()

        async def asked() -> None:
            await silent.wait()
            await asyncio.sleep(0.1)

        running = subscribed(await three_doors(), SQLCheckpointStore(engine), handle).run()
        await cancelled(running, asked())


@silent
@pytest.mark.parametrize(
    "seconds", [FOREVER, 0.0], ids=["before the rollback", "before the commit"]
)
async def test_a_projector_whose_database_fell_silent(postgres: URL, seconds: float) -> None:
    async with falling_silent(postgres) as (cutter, engine, direct):
        store, view = await three_doors(), Slow(seconds)
        view.slow_at, view.silence = 3, cutter
        running = Projector(store, view, engine).run()
        await cancelled(running, _a_moment_after(view))
        await cutter.close()
        again = Openings()
        await Projector(store, again, direct).run_once()
        assert await again.written(direct) == [1, 2, 3]


@silent
async def test_an_append_whose_database_fell_silent(postgres: URL) -> None:
    async with (
        falling_silent(postgres) as (cutter, engine, direct),
        store_on(direct, REGISTRY) as s,
    ):
        store: JoinableStore = s
        view = SlowInline()
        view.silence = cutter
        inline = InlineProjections(store, engine, [view])
        await inline.catch_up()
        appending = inline.append(a_house(), doors(1, 2))
        await cancelled(appending, _a_moment_after(view))
        await cutter.close()
        assert await numbers_of(store) == await view.written(direct) == []


@silent
async def test_a_group_whose_database_fell_silent(postgres: URL) -> None:
    async with falling_silent(postgres) as (cutter, engine, _):
        handled: list[int] = []

        async def handle(recorded: RecordedEvent) -> None:
            handled.append(recorded.position)
            cutter.fall_silent()

        subscription = subscribed(await three_doors(), SQLCheckpointStore(engine), handle)
        group = ConsumerGroup(subscription, partitions=2, lease=1.0)

        async def overdue() -> None:
            await until(lambda: bool(handled))
            await asyncio.sleep(1.2)

        await cancelled(group.run(), overdue())
