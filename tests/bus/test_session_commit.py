"""Handlers that wait for the commit: told once, after the outermost one, and never without."""

import asyncio
import random
from contextvars import ContextVar
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from dashtam_events.bus import EventContext, InMemoryEventBus
from dashtam_events.bus.session import check_savepoints, real_savepoints
from dashtam_events.errors import BusClosed, SavepointsNotReal
from dashtam_events.event import DomainEvent
from tests.bus.ledger import Account, TransferBooked, create_ledger, hearing, notes, write, writing

request_id: ContextVar[str] = ContextVar("request_id", default="none")


class Heard(list[str]):
    """A bus and what its only handler heard."""

    def __init__(self) -> None:
        super().__init__()
        self.bus = InMemoryEventBus()
        self.bus.subscribe(TransferBooked, self.hear)

    async def hear(self, event: TransferBooked, context: EventContext) -> None:
        await asyncio.sleep(0)
        assert context.session is None
        self.append(event.note)

    async def publish(self, note: str, session: AsyncSession | None) -> None:
        await self.bus.publish(TransferBooked(note=note), session=session)

    async def settled(self) -> list[str]:
        """What was heard when nothing is under way any more."""
        await asyncio.sleep(0)
        if self.bus._under_way:
            await asyncio.wait(self.bus._under_way)
        return list(self)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def session(engine: AsyncEngine) -> Any:
    await create_ledger(engine)
    async with AsyncSession(engine) as session:
        yield session


async def test_they_hear_of_it_after_the_commit_and_once(
    heard: Heard, session: AsyncSession
) -> None:
    await write(session, "own")
    await heard.publish("one", session)
    await heard.publish("two", session)
    assert await heard.settled() == []
    await session.commit()
    assert await heard.settled() == ["one", "two"]
    await write(session, "more")
    await session.commit()
    await session.rollback()
    assert await heard.settled() == ["one", "two"]


@pytest.mark.parametrize("end", ["rollback", "close", "reset", "invalidate"])
async def test_they_hear_of_nothing_that_was_not_committed(
    heard: Heard, session: AsyncSession, end: str
) -> None:
    await write(session, "own")
    await heard.publish("gone", session)
    await getattr(session, end)()
    await write(session, "later")
    await session.commit()
    assert await heard.settled() == []


async def test_a_commit_that_fails_tells_them_nothing(heard: Heard, session: AsyncSession) -> None:
    async with AsyncSession(session.bind) as other, other.begin():
        other.add(Account(id=1))
    await write(session, "own")
    await heard.publish("gone", session)
    session.add(Account(id=1))
    with pytest.raises(Exception, match="accounts"):
        await session.commit()
    await session.rollback()
    assert await heard.settled() == []


async def test_what_is_published_in_a_savepoint_shares_its_fate(
    heard: Heard, session: AsyncSession
) -> None:
    async with session.begin_nested():
        await heard.publish("kept", session)
    undone = await session.begin_nested()
    await write(session, "undone")
    await heard.publish("undone", session)
    await undone.rollback()
    await heard.publish("outside", session)
    assert await heard.settled() == []
    await session.commit()
    assert sorted(await heard.settled()) == ["kept", "outside"]


async def test_a_released_savepoint_inside_one_that_is_undone_tells_nothing(
    heard: Heard, session: AsyncSession
) -> None:
    outer = await session.begin_nested()
    async with session.begin_nested():
        await heard.publish("undone", session)
    await outer.rollback()
    await session.commit()
    assert await heard.settled() == []


async def test_a_released_savepoint_waits_for_the_outermost_commit(
    heard: Heard, session: AsyncSession
) -> None:
    async with session.begin_nested():
        await heard.publish("gone", session)
    await session.rollback()
    assert await heard.settled() == []


@pytest.mark.parametrize("transactional", [False, True])
async def test_whatever_the_savepoints_they_hear_of_what_was_committed(
    engine: AsyncEngine, *, transactional: bool
) -> None:
    """What was committed is looked up in the database."""
    await create_ledger(engine)
    heard, choose = Heard(), random.Random(7)
    if transactional:
        heard.bus.subscribe(TransferBooked, writing("handler"), transactional=True)
    count = iter(range(10**6))

    async def some(session: AsyncSession, depth: int) -> None:
        for _ in range(choose.randrange(4)):
            note = str(next(count))
            if choose.random() < 0.6:
                await write(session, note)
                await heard.publish(note, session)
            elif depth < 3:
                savepoint = await session.begin_nested()
                await some(session, depth + 1)
                await (savepoint.commit() if choose.random() < 0.6 else savepoint.rollback())

    for _ in range(100):
        async with AsyncSession(engine) as session:
            for _ in range(choose.randrange(1, 3)):
                await some(session, 0)
                await (session.commit() if choose.random() < 0.6 else session.rollback())
    committed = [note for note in await notes(engine) if note != "handler"]
    assert len(committed) > 50
    assert sorted(await heard.settled(), key=int) == sorted(committed, key=int)
    assert (await notes(engine)).count("handler") == (len(committed) if transactional else 0)


@pytest.mark.parametrize("begun", [False, True], ids=["no session", "no transaction"])
async def test_where_there_is_no_transaction_they_run_at_once(
    heard: Heard, session: AsyncSession, *, begun: bool
) -> None:
    await heard.publish("now", session if begun else None)
    assert heard == ["now"]
    assert not session.in_transaction()


async def test_they_wait_for_the_transaction_that_a_transactional_handler_began(
    heard: Heard, session: AsyncSession
) -> None:
    heard.bus.subscribe(TransferBooked, writing("first"), transactional=True)
    await heard.publish("later", session)
    assert await heard.settled() == []
    await session.commit()
    assert await heard.settled() == ["later"]


async def test_they_run_concurrently_and_one_that_fails_harms_nobody(
    session: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    bus, met, heard = InMemoryEventBus(), asyncio.Barrier(2), list[str]()

    async def meet(_event: DomainEvent) -> None:
        await met.wait()
        heard.append("met")

    async def also_meet(event: DomainEvent) -> None:
        await meet(event)

    async def fail(_event: DomainEvent) -> None:
        raise LookupError

    async def hang(_event: DomainEvent) -> None:
        await asyncio.Event().wait()

    for handler in (fail, meet, also_meet):
        bus.subscribe(TransferBooked, handler)
    bus.subscribe(TransferBooked, hang, timeout=0.01)
    await write(session, "own")
    await bus.publish(TransferBooked(), session=session)
    await session.commit()
    await bus.aclose()
    assert heard == ["met", "met"]
    failed = [vars(each)["error_type"] for each in caplog.records]
    assert failed == ["LookupError", "TimeoutError"]


async def test_they_see_the_context_variables_and_metadata_of_the_publisher(
    session: AsyncSession,
) -> None:
    bus, seen = InMemoryEventBus(), list[Any]()

    async def look(_event: DomainEvent, context: EventContext) -> None:
        await asyncio.sleep(0)
        seen.append((request_id.get(), context.metadata.ip_address))

    bus.subscribe(TransferBooked, look)
    await write(session, "own")
    request_id.set("at publish")
    await bus.publish(TransferBooked(), session=session, metadata={"ip_address": "192.0.2.7"})
    request_id.set("at commit")
    await session.commit()
    await bus.aclose()
    assert seen == [("at publish", "192.0.2.7")]


async def test_closing_the_bus_waits_for_them(session: AsyncSession) -> None:
    bus, heard, go_on = InMemoryEventBus(), list[str](), asyncio.Event()

    async def slow(_event: DomainEvent) -> None:
        await go_on.wait()
        heard.append("slow")

    bus.subscribe(TransferBooked, slow)
    await write(session, "own")
    await bus.publish(TransferBooked(), session=session)
    await session.commit()
    closing = asyncio.ensure_future(bus.aclose())
    await asyncio.sleep(0.02)
    assert not closing.done()
    go_on.set()
    await closing
    assert heard == ["slow"]


async def test_a_commit_after_the_bus_was_closed_is_logged(
    session: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()
    await write(session, "own")
    await heard.publish("late", session)
    await heard.bus.aclose()
    await session.commit()
    assert await heard.settled() == []
    (record,) = caplog.records
    assert record.msg == "event_not_delivered"
    assert vars(record)["event_type"] == "TransferBooked"
    with pytest.raises(BusClosed):
        await heard.publish("later", session)


async def test_two_buses_may_wait_for_one_commit(session: AsyncSession) -> None:
    first, second = Heard(), Heard()
    await write(session, "own")
    await first.publish("one", session)
    await second.publish("two", session)
    await session.commit()
    assert (await first.settled(), await second.settled()) == (["one"], ["two"])


async def test_fifty_publishers_at_once_get_their_own_metadata_and_session(
    engine: AsyncEngine,
) -> None:
    await create_ledger(engine)
    bus, wrong = InMemoryEventBus(), list[str]()
    sessions: dict[str, AsyncSession] = {}

    async def check(event: TransferBooked, context: EventContext) -> None:
        await asyncio.sleep(0)
        same = context.metadata.correlation_id == event.note
        if not same or context.session is not sessions[event.note]:
            wrong.append(event.note)

    async def publisher(number: int) -> None:
        async with AsyncSession(engine) as session:
            sessions[str(number)] = session
            for _ in range(20):
                event = TransferBooked(note=str(number))
                await bus.publish(event, session=session, metadata={"correlation_id": str(number)})
                await asyncio.sleep(0)

    bus.subscribe(TransferBooked, check, transactional=True)
    await asyncio.gather(*(publisher(number) for number in range(50)))
    assert wrong == []


async def test_the_savepoints_of_such_an_engine_are_real(engine: AsyncEngine) -> None:
    await check_savepoints(engine)
    assert real_savepoints(engine) is engine
    await check_savepoints(engine)


async def test_the_savepoints_of_sqlite_are_not_real_by_themselves(tmp_path: Any) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}")
    with pytest.raises(SavepointsNotReal, match=r"sqlite: .*real_savepoints\(engine\)"):
        await check_savepoints(engine)
    real_savepoints(engine, begin="DEFERRED")  # also when connections are in its pool already
    await check_savepoints(engine)
    await engine.dispose()


async def test_they_leave_nothing_on_the_session_that_was_not_committed(
    session: AsyncSession,
) -> None:
    bus = InMemoryEventBus()
    bus.subscribe(TransferBooked, hearing([]))
    for _ in range(3):
        async with session.begin_nested():
            await bus.publish(TransferBooked(), session=session)
        await session.rollback()
    watch = session.sync_session.info["dashtam_events.watch"]
    assert watch._awaiting == {}
