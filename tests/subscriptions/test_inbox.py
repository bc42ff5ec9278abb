"""The inbox: whatever is repeated, reordered or cut off, each event has its effect once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)

from dashtam_events.bus.session import real_savepoints
from dashtam_events.errors import DashtamEventsError
from dashtam_events.subscriptions import InboxUnavailable
from dashtam_events.subscriptions.sql import Inbox, create_subscription_tables
from tests.databases import new_database, new_sqlite

Sessions = async_sessionmaker[AsyncSession]

METADATA = MetaData()
effects = Table("effects", METADATA, Column("id", Integer, primary_key=True), Column("n", Integer))
INBOX = Inbox("ledger")


@pytest.fixture
async def sessions(engine: AsyncEngine) -> Sessions:
    return await prepared(engine)


async def prepared(engine: AsyncEngine) -> Sessions:
    await create_subscription_tables(engine)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    return async_sessionmaker(engine)


class Crash(Exception):  # the process dies, as far as the database can tell
    """The transaction never comes to its commit."""


async def deal_with(
    sessions: Sessions, event_id: UUID, n: int, *, crash: bool = False, inbox: Inbox = INBOX
) -> bool:
    """What a consumer does with an event; whether it was the first time."""
    async with sessions.begin() as session:
        first = await inbox.claim(session, event_id)
        if first:
            await session.execute(insert(effects).values(n=n))
        if crash:
            raise Crash
    return first


async def had(sessions: Sessions) -> list[int]:
    async with sessions() as session:
        return sorted(await session.scalars(select(effects.c.n)))


async def test_an_event_is_claimed_once(sessions: Sessions) -> None:
    one, other = uuid4(), uuid4()
    assert await deal_with(sessions, one, 1)
    assert not await deal_with(sessions, one, 1)
    assert await deal_with(sessions, other, 2)
    assert await had(sessions) == [1, 2]


async def test_a_claim_is_gone_with_its_transaction(sessions: Sessions) -> None:
    event_id = uuid4()
    with pytest.raises(Crash):
        await deal_with(sessions, event_id, 1, crash=True)
    assert await had(sessions) == []
    assert await deal_with(sessions, event_id, 1)


async def test_it_is_seen_in_its_own_transaction_and_goes_with_a_savepoint(
    sessions: Sessions,
) -> None:
    event_id = uuid4()
    async with sessions.begin() as session:
        savepoint = await session.begin_nested()
        assert await INBOX.claim(session, event_id)
        assert not await INBOX.claim(session, event_id)
        await savepoint.rollback()
        assert await INBOX.claim(session, event_id)


async def test_each_consumer_claims_by_itself(sessions: Sessions) -> None:
    event_id = uuid4()
    assert await deal_with(sessions, event_id, 1)
    assert await deal_with(sessions, event_id, 2, inbox=Inbox("mail"))
    assert await had(sessions) == [1, 2]


async def test_of_many_at_once_one_has_the_effect(sessions: Sessions) -> None:
    ids = [uuid4() for _ in range(5)]
    claims = [deal_with(sessions, event_id, n) for n, event_id in enumerate(ids)] + [
        deal_with(sessions, event_id, n) for n, event_id in enumerate(ids)
    ]
    assert sum(await asyncio.gather(*claims)) == len(ids)
    assert await had(sessions) == list(range(5))


@pytest.mark.parametrize("commits", [True, False])
async def test_the_second_waits_for_the_end_of_the_first(sessions: Sessions, commits: bool) -> None:
    event_id = uuid4()
    async with sessions() as session:
        assert await INBOX.claim(session, event_id)
        second = asyncio.ensure_future(deal_with(sessions, event_id, 2))
        await asyncio.wait([second], timeout=0.2)
        assert not second.done()
        await (session.commit() if commits else session.rollback())
    assert await second is not commits


async def test_connections_and_scoped_sessions_will_do(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    event_id = uuid4()
    async with engine.begin() as connection:
        assert await INBOX.claim(connection, event_id)
    scoped = async_scoped_session(sessions, scopefunc=asyncio.current_task)
    assert not await INBOX.claim(scoped, event_id)
    await scoped.remove()


async def test_old_claims_are_forgotten_and_young_ones_kept(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of other consumers are not touched."""
    old, young, long_ago = uuid4(), uuid4(), datetime(2026, 1, 1, tzinfo=UTC)
    with monkeypatch.context() as patch:
        patch.setattr("dashtam_events.subscriptions.sql.inbox.now", lambda: long_ago)
        await deal_with(sessions, old, 1)
        await deal_with(sessions, old, 1, inbox=Inbox("mail"))
    await deal_with(sessions, young, 2)
    async with sessions.begin() as session:
        assert await INBOX.prune(session, before=long_ago) == 0
        assert await INBOX.prune(session, before=long_ago + timedelta(seconds=1)) == 1
    assert await deal_with(sessions, old, 1)
    assert not await deal_with(sessions, old, 1, inbox=Inbox("mail"))
    assert not await deal_with(sessions, young, 2)


async def test_a_database_that_fails_is_an_error_of_ours(
    engine: AsyncEngine, sessions: Sessions
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE event_inbox RENAME COLUMN consumer TO whose"))
    async with sessions() as session:
        with pytest.raises(InboxUnavailable, match="ledger: the inbox cannot be reached") as failed:
            await INBOX.claim(session, uuid4())
        await session.rollback()
        with pytest.raises(InboxUnavailable):
            await INBOX.prune(session, before=datetime.now(UTC))
    assert isinstance(failed.value, DashtamEventsError)
    assert "INSERT" not in str(failed.value)


async def test_on_sqlite_a_wait_that_is_too_long_is_refused(tmp_path: Any) -> None:
    async with (
        new_sqlite(tmp_path) as url,
        opened(url, connect_args={"timeout": 0.1}) as sessions,
        sessions() as holder,
    ):
        await INBOX.claim(holder, uuid4())
        with pytest.raises(InboxUnavailable):
            await deal_with(sessions, uuid4(), 1)


@asynccontextmanager
async def opened(url: URL, **options: Any) -> AsyncIterator[Sessions]:
    engine = real_savepoints(create_async_engine(url, **options))
    try:
        yield await prepared(engine)
    finally:
        await engine.dispose()


# How an event is delivered: which one, and whether the consumer dies before its commit.
deliveries = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20)


async def deliver(sessions: Sessions, given: list[tuple[int, bool]], *, together: bool) -> None:
    """Repeats, in any order, with crashes; then once more, as a sender does until it is heard."""
    ids = [uuid4() for _ in range(6)]
    tries: list[Callable[[], Awaitable[bool]]] = [
        lambda n=n, crash=crash: deal_with(sessions, ids[n], n, crash=crash)  # type: ignore[misc]  # bound at once
        for n, crash in given
    ]
    if together:
        await asyncio.gather(*(each() for each in tries), return_exceptions=True)
    else:
        for each in tries:
            await asyncio.gather(each(), return_exceptions=True)
    for n in {n for n, _ in given}:
        await deal_with(sessions, ids[n], n)
    assert await had(sessions) == sorted({n for n, _ in given})
    async with sessions.begin() as session:
        await session.execute(effects.delete())


@settings(deadline=None, max_examples=12)
@given(given_=deliveries, together=st.booleans())
def test_on_sqlite_every_event_has_its_effect_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[int, bool]], together: bool
) -> None:
    async def check() -> None:
        folder = tmp_path_factory.mktemp("inbox")
        async with new_sqlite(folder) as url, opened(url) as sessions:
            await deliver(sessions, given_, together=together)

    asyncio.run(check())


async def test_on_postgresql_every_event_has_its_effect_exactly_once(postgres: URL) -> None:
    async with new_database(postgres) as url, opened(url, pool_size=20) as sessions:
        for seed in range(20):
            given_ = chosen(seed)
            await deliver(sessions, given_, together=seed % 2 == 0)


def chosen(seed: int) -> list[tuple[int, bool]]:
    import random

    chance = random.Random(seed)
    return [(chance.randrange(6), chance.random() < 0.4) for _ in range(20)]
