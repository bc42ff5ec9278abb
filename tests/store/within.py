"""What holds of a store inside a transaction of the caller's, on every database."""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
)

from dashtam_events.bus import EventContext, InMemoryEventBus
from dashtam_events.errors import DuplicateEvent, VersionConflict
from dashtam_events.store import Append, AppendResult, EventStore
from dashtam_events.testing._store_samples import LampLit, a_stream, lit, log_of, stream_of
from tests.store.following import follow

__all__ = ["Committing", "Joinable", "WithinTests"]


class Joinable(EventStore, Protocol):
    """A store that can join a transaction."""

    def within(self, transaction: Any) -> EventStore:
        """The store inside that transaction."""
        ...


class Committing:
    """A store of which every append is made within a transaction of its own."""

    def __init__(self, store: Joinable, engine: AsyncEngine) -> None:
        self._store, self._engine = store, engine

    async def append(self, stream: Any, events: Any, **options: Any) -> AppendResult:
        async with self._engine.begin() as connection:
            return await self._store.within(connection).append(stream, events, **options)

    async def append_many(self, appends: Iterable[Append]) -> tuple[AppendResult, ...]:
        async with self._engine.begin() as connection:
            return await self._store.within(connection).append_many(appends)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class WithinTests:
    """Give it a `store`, and an `engine` on its database."""

    async def test_an_append_stands_with_the_callers_commit(
        self, store: Joinable, engine: AsyncEngine
    ) -> None:
        """A session's own writes and the append become visible together; those who wait wake."""
        async with AsyncSession(engine) as session:
            await session.execute(text("CREATE TABLE mine (n integer)"))
            inside = store.within(session)
            result = await inside.append(a_stream(), lit(2), expected=0, attachments={"note": b"x"})
            assert await log_of(inside) == list(result.recorded)
            assert await inside.last_position() == result.position
            assert await inside.position_of(result.recorded[0].event.event_id) is not None
            assert await inside.read_attachment(result.stream, "note") is not None
            assert await log_of(store) == []
            assert await store.read_attachment(result.stream, "note") is None
            waiting = asyncio.create_task(store.wait(after=None, timeout=60))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await session.commit()
        async with asyncio.timeout(30):
            assert await waiting
        assert await log_of(store) == list(result.recorded)
        assert await inside.wait(after=None, timeout=0)
        async with engine.begin() as connection:
            await connection.execute(text("DROP TABLE mine"))

    @pytest.mark.parametrize("first", [True, False], ids=["first", "after other work"])
    async def test_an_append_falls_with_the_callers_rollback(
        self, store: Joinable, engine: AsyncEngine, first: bool
    ) -> None:
        stream = a_stream()
        async with AsyncSession(engine) as session:
            if not first:
                await session.execute(text("SELECT 1"))
            await store.within(session).append(stream, lit(2), attachments={"note": b"x"})
            await session.rollback()
        assert await log_of(store) == []
        assert await store.read_attachment(stream, "note") is None
        assert (await store.append(a_stream(), lit())).version == 1

    async def test_a_savepoint_that_is_rolled_back_takes_its_appends(
        self, store: Joinable, engine: AsyncEngine
    ) -> None:
        stream = a_stream()
        async with AsyncSession(engine) as session, session.begin():
            inside = store.within(session)
            await inside.append(stream, lit(), expected=0)
            savepoint = await session.begin_nested()
            await inside.append(stream, lit(3), expected=1, attachments={"note": b"x"})
            await savepoint.rollback()
            await inside.append(stream, lit(), expected=1)
        assert [recorded.version for recorded in await stream_of(store, stream)] == [1, 2]
        assert await store.read_attachment(stream, "note") is None

    async def test_a_refused_append_leaves_the_transaction_as_it_was(
        self, store: Joinable, engine: AsyncEngine
    ) -> None:
        stream, known = a_stream(), lit()
        await store.append(stream, known)
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(text("CREATE TABLE mine (n integer)"))
            inside = store.within(session)
            with pytest.raises(VersionConflict):
                await inside.append_many(
                    [
                        Append(stream=a_stream(), events=lit()),
                        Append(stream=stream, events=lit(), expected=0),
                    ]
                )
            with pytest.raises(DuplicateEvent):
                await inside.append(a_stream(), known)
            again = await inside.append(stream, known)
            assert again.version == 1
            await inside.append(stream, lit(), expected=1)
        assert len(await log_of(store)) == 2
        async with engine.begin() as connection:
            await connection.execute(text("DROP TABLE mine"))

    async def test_the_same_append_again_is_the_same_in_a_later_transaction(
        self, store: Joinable, engine: AsyncEngine
    ) -> None:
        stream, events = a_stream(), lit(2)
        results = []
        for _ in range(2):
            async with engine.begin() as connection:
                inside = store.within(connection)
                results += [await inside.append(stream, events, expected=0) for _ in range(2)]
        assert results == [results[0]] * 4
        assert len(await log_of(store)) == 2

    async def test_a_scoped_session_serves_too(self, store: Joinable, engine: AsyncEngine) -> None:
        scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: None)
        await store.within(scoped).append(a_stream(), lit())
        assert await log_of(store) == []
        await scoped.commit()
        assert len(await log_of(store)) == 1
        await scoped.close()

    async def test_anything_else_is_no_transaction(self, store: Joinable) -> None:
        with pytest.raises(TypeError, match="session"):
            store.within(object())

    async def test_what_is_published_and_what_is_appended_stand_together(
        self, store: Joinable, engine: AsyncEngine
    ) -> None:
        """A handler that fails takes the append with it; else both are there after the commit."""
        heard: list[int] = []

        async def write(event: LampLit, context: EventContext) -> None:
            assert context.session is not None
            assert len(await log_of(store.within(context.session))) == event.number
            if event.number > 1:
                raise LookupError("a handler fails")

        async def hear(event: LampLit) -> None:
            heard.append(event.number)

        bus = InMemoryEventBus()
        bus.subscribe(LampLit, write, transactional=True)
        bus.subscribe(LampLit, hear)
        first, second = LampLit(number=1), LampLit(number=2)
        await _say(first, store, engine, bus)
        with pytest.raises(LookupError):
            await _say(second, store, engine, bus)
        await bus.aclose()
        assert heard == [1]
        assert [recorded.event for recorded in await log_of(store)] == [first]

    async def test_a_reader_misses_nothing_of_transactions_that_wrote_before_they_append(
        self, store: Joinable, engine: AsyncEngine
    ) -> None:
        """Some transactions commit late, some never: whoever follows sees no hole."""
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE mine (n integer)"))
        following = asyncio.create_task(follow(store, until=3 * 4 * 3 + 3 * 6))
        await asyncio.gather(
            *(_append_late(store, engine, number) for number in range(4)),
            *(_append_directly(store) for _ in range(3)),
        )
        async with asyncio.timeout(60):
            seen = await following
        assert seen == await log_of(store)
        async with engine.begin() as connection:
            await connection.execute(text("DROP TABLE mine"))


async def _say(said: LampLit, store: Joinable, engine: AsyncEngine, bus: InMemoryEventBus) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await store.within(session).append(a_stream(), [said])
        await bus.publish(said, session=session)


async def _append_directly(store: EventStore) -> None:
    stream = a_stream()
    for version in range(6):
        await store.append(stream, lit(), expected=version)
        await asyncio.sleep(0.002)


async def _append_late(store: Joinable, engine: AsyncEngine, number: int) -> None:
    stream, version = a_stream(), 0
    for turn in range(6):
        async with AsyncSession(engine) as session:
            await session.execute(text("INSERT INTO mine VALUES (:n)"), {"n": number})
            await asyncio.sleep(0.001 * number)
            await store.within(session).append(stream, lit(3), expected=version)
            if turn % 2:
                await session.rollback()
            else:
                await session.commit()
                version += 3
