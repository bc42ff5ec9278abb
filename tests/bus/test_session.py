"""Handlers in the publisher's session: one after the other, each in a savepoint."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
)

from dashtam_events.bus import EventContext, InMemoryEventBus
from dashtam_events.bus.session import SessionScope
from dashtam_events.errors import SessionRequired, TransactionContractViolation
from dashtam_events.event import DomainEvent
from tests.bus.ledger import Account, TransferBooked, create_ledger, hearing, notes, write, writing
from tests.loops import pass_time


@pytest.fixture
async def bus() -> Any:
    bus = InMemoryEventBus()
    yield bus
    await bus.aclose()


@pytest.fixture
async def session(engine: AsyncEngine) -> Any:
    await create_ledger(engine)
    async with AsyncSession(engine) as session:
        yield session


def subscribe(bus: InMemoryEventBus, *handlers: Any, on_error: Any = None) -> None:
    for handler in handlers:
        bus.subscribe(TransferBooked, handler, transactional=True, on_error=on_error)


def failures(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [vars(each) for each in caplog.records if each.msg == "event_handler_failed"]


async def test_what_handlers_write_is_committed_with_the_rest_in_their_order(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    subscribe(bus, writing("first"), writing("second"))
    await write(session, "own")
    await bus.publish(TransferBooked(), session=session)
    assert session.in_transaction()
    await session.commit()
    assert await notes(engine) == ["own", "first", "second"]


async def test_what_handlers_write_goes_with_a_rollback(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    subscribe(bus, writing("first"))
    await write(session, "own")
    await bus.publish(TransferBooked(), session=session)
    await session.rollback()
    assert await notes(engine) == []


async def test_a_handler_that_comes_first_begins_the_transaction_and_leaves_it_open(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    subscribe(bus, writing("first"))
    await bus.publish(TransferBooked(), session=session)
    await session.rollback()
    await bus.publish(TransferBooked(), session=session)
    await session.commit()
    assert await notes(engine) == ["first"]


async def test_transactional_handlers_run_one_at_a_time_in_the_publishers_task(
    bus: InMemoryEventBus, session: AsyncSession
) -> None:
    under_way, tasks = 0, []

    def handler() -> Any:
        async def handle(_event: DomainEvent) -> None:
            nonlocal under_way
            under_way += 1
            await asyncio.sleep(0.001)
            assert under_way == 1
            under_way -= 1
            tasks.append(asyncio.current_task())

        return handle

    subscribe(bus, *(handler() for _ in range(5)))
    await bus.publish(TransferBooked(), session=session)
    assert tasks == [asyncio.current_task()] * 5


async def test_a_failure_that_aborts_undoes_its_own_writes_and_stops(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    heard: list[str] = []
    failure = LookupError("no such account")
    subscribe(bus, writing("first"), writing("undone", failure), writing("never"))
    bus.subscribe(TransferBooked, hearing(heard))
    with pytest.raises(LookupError) as caught:
        await bus.publish(TransferBooked(), session=session)
    assert caught.value is failure
    await session.commit()
    await bus.aclose()
    assert await notes(engine) == ["first"]
    assert heard == []


async def test_a_failure_that_is_isolated_is_logged_and_the_next_has_its_turn(
    bus: InMemoryEventBus,
    engine: AsyncEngine,
    session: AsyncSession,
    caplog: pytest.LogCaptureFixture,
) -> None:
    subscribe(bus, writing("undone", LookupError("secret")), on_error="isolate")
    subscribe(bus, writing("next"))
    await bus.publish(TransferBooked(), session=session)
    await session.commit()
    assert await notes(engine) == ["next"]
    (failure,) = failures(caplog)
    assert failure["error_type"] == "LookupError"
    assert "writing" in failure["handler_name"]
    assert "secret" not in caplog.text


async def test_a_handler_may_say_itself_what_it_is(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    class Careless:
        transactional = True
        on_error = "isolate"

        async def __call__(self, _event: DomainEvent, context: EventContext) -> None:
            await write(context.session, "undone")
            raise LookupError

    bus.subscribe(TransferBooked, Careless())
    await bus.publish(TransferBooked(), session=session)
    with pytest.raises(SessionRequired):
        await bus.publish(TransferBooked())
    careful = Careless()
    bus.subscribe(TransferBooked, careful, on_error="abort")
    with pytest.raises(LookupError):
        await bus.publish(TransferBooked(), session=session)
    bus.subscribe(TransferBooked, careful, transactional=False)
    await session.commit()
    assert await notes(engine) == []


def test_on_error_is_one_of_two_words(bus: InMemoryEventBus) -> None:
    with pytest.raises(ValueError, match="'abort' or 'isolate'"):
        subscribe(bus, writing("first"), on_error="ignore")


async def commits(session: AsyncSession) -> None:
    await session.commit()


async def commits_in_silence(session: AsyncSession) -> None:
    try:
        await session.commit()
    except Exception:  # noqa: BLE001
        await write(session, "more")


async def commits_below(session: AsyncSession) -> None:
    await session.run_sync(lambda sync: sync.commit())


async def commits_from_within(session: AsyncSession) -> None:
    async with session.begin_nested():
        await session.commit()


async def rolls_back(session: AsyncSession) -> None:
    await session.rollback()


async def rolls_back_and_fails(session: AsyncSession) -> None:
    await session.rollback()
    raise LookupError


async def closes(session: AsyncSession) -> None:
    await session.close()


async def closes_and_goes_on(session: AsyncSession) -> None:
    await session.close()
    await write(session, "elsewhere")


async def ends_its_savepoint(session: AsyncSession) -> None:
    savepoint = session.get_nested_transaction()
    assert savepoint is not None
    await savepoint.rollback()


async def releases_its_savepoint(session: AsyncSession) -> None:
    savepoint = session.get_nested_transaction()
    assert savepoint is not None
    await savepoint.commit()


async def leaves_one_open(session: AsyncSession) -> None:
    await session.begin_nested()
    await write(session, "left")


async def commits_the_connection(session: AsyncSession) -> None:
    await write(session, "more")
    await (await session.connection()).commit()


async def commits_by_hand(session: AsyncSession) -> None:
    await write(session, "more")
    await session.execute(text("COMMIT"))


async def rolls_back_by_hand(session: AsyncSession) -> None:
    await write(session, "more")
    await session.execute(text("ROLLBACK"))


DEEDS = [
    commits,
    commits_in_silence,
    commits_below,
    commits_from_within,
    rolls_back,
    rolls_back_and_fails,
    closes,
    closes_and_goes_on,
    ends_its_savepoint,
    releases_its_savepoint,
    leaves_one_open,
]
BEHIND_ITS_BACK = [commits_the_connection, commits_by_hand, rolls_back_by_hand]


@pytest.mark.parametrize("on_error", ["abort", "isolate"])
@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
async def test_a_handler_that_ends_what_is_not_its_own_is_caught(
    bus: InMemoryEventBus, session: AsyncSession, deed: Any, on_error: Any
) -> None:
    heard: list[str] = []

    async def handler(_event: DomainEvent, context: EventContext) -> None:
        await deed(context.session)

    subscribe(bus, handler, on_error=on_error)
    subscribe(bus, hearing(heard, "the next"))
    bus.subscribe(TransferBooked, hearing(heard))
    await write(session, "own")
    with pytest.raises(TransactionContractViolation, match="handler: it ") as caught:
        await bus.publish(TransferBooked(), session=session)
    assert isinstance(caught.value, RuntimeError)
    await session.rollback()
    await bus.aclose()
    assert heard == []


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize("deed", BEHIND_ITS_BACK, ids=lambda deed: deed.__name__)
async def test_a_transaction_that_ends_on_the_connection_is_caught_too(
    bus: InMemoryEventBus, session: AsyncSession, deed: Any
) -> None:
    """SQLAlchemy itself warns of it when the session is given up."""

    async def handler(_event: DomainEvent, context: EventContext) -> None:
        await deed(context.session)

    subscribe(bus, handler, on_error="isolate")
    await write(session, "own")
    with pytest.raises(TransactionContractViolation, match="ended the transaction"):
        await bus.publish(TransferBooked(), session=session)
    await session.invalidate()


@pytest.mark.parametrize(
    "deed",
    [commits, commits_in_silence, commits_below, commits_from_within, rolls_back, closes],
    ids=lambda deed: deed.__name__,
)
async def test_a_commit_that_is_caught_has_committed_nothing(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession, deed: Any
) -> None:
    async def handler(_event: DomainEvent, context: EventContext) -> None:
        await write(context.session, "handler's")
        await deed(context.session)

    subscribe(bus, handler)
    await write(session, "own")
    with pytest.raises(TransactionContractViolation):
        await bus.publish(TransferBooked(), session=session)
    await session.rollback()
    assert await notes(engine) == []


async def test_after_a_commit_that_is_caught_the_publisher_may_still_commit_its_own(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    async def handler(_event: DomainEvent, context: EventContext) -> None:
        await write(context.session, "handler's")
        await commits_in_silence(context.session)  # type: ignore[arg-type]  # it is one

    subscribe(bus, handler)
    await write(session, "own")
    with pytest.raises(TransactionContractViolation):
        await bus.publish(TransferBooked(), session=session)
    await session.commit()
    assert await notes(engine) == ["own"]


async def test_savepoints_of_its_own_are_a_handlers_right(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    async def handler(_event: DomainEvent, context: EventContext) -> None:
        own: Any = context.session
        async with own.begin_nested():
            await write(own, "kept")
        undone = await own.begin_nested()
        await write(own, "undone")
        await undone.rollback()

    subscribe(bus, handler)
    await bus.publish(TransferBooked(), session=session)
    await session.commit()
    assert await notes(engine) == ["kept"]


@pytest.mark.parametrize("flushed", [True, False])
async def test_an_error_of_the_database_is_the_handlers_even_when_it_said_nothing(
    bus: InMemoryEventBus,
    engine: AsyncEngine,
    session: AsyncSession,
    caplog: pytest.LogCaptureFixture,
    *,
    flushed: bool,
) -> None:
    async def handler(_event: DomainEvent, context: EventContext) -> None:
        own: Any = context.session
        own.add(Account(id=1))
        if flushed:
            with suppress(SQLAlchemyError):
                await own.flush()

    session.add(Account(id=1))
    await session.flush()
    session.expunge_all()
    subscribe(bus, handler, on_error="isolate")
    subscribe(bus, writing("next"))
    await bus.publish(TransferBooked(), session=session)
    await session.commit()
    assert len(failures(caplog)) == 1
    assert await notes(engine) == ["next"]


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
async def test_an_error_that_broke_the_transaction_cannot_be_hidden(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    """PostgreSQL takes no more statements after one; SQLite goes on."""

    async def handler(_event: DomainEvent, context: EventContext) -> None:
        assert context.session is not None
        with suppress(SQLAlchemyError):
            await context.session.execute(text("SELECT * FROM nowhere"))

    subscribe(bus, handler, on_error="isolate")
    if engine.dialect.name == "sqlite":
        await bus.publish(TransferBooked(), session=session)
        return
    with pytest.raises(TransactionContractViolation, match="hid an error"):
        await bus.publish(TransferBooked(), session=session)
    await session.invalidate()


async def test_without_a_session_nobody_hears_and_the_publisher_is_told_what_to_write(
    bus: InMemoryEventBus,
) -> None:
    heard: list[str] = []
    bus.subscribe(TransferBooked, hearing(heard))
    subscribe(bus, hearing(heard))
    with pytest.raises(RuntimeError, match=r"publish\(event, session=session\)") as caught:
        await bus.publish(TransferBooked())
    assert isinstance(caught.value, SessionRequired)
    assert caught.value.event_type == "TransferBooked"
    assert heard == []


async def test_a_handler_may_need_no_session_for_some_events(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    told: list[Any] = []

    class Choosy:
        transactional = True

        def needs_session(self, event: TransferBooked) -> bool:
            return event.note == "needed"

        async def __call__(self, event: TransferBooked, context: EventContext) -> None:
            told.append(context.session)
            if event.note == "bad":
                raise LookupError

    choosy = Choosy()
    bus.subscribe(TransferBooked, choosy)
    await bus.publish(TransferBooked())
    await bus.publish(TransferBooked(), session=session)
    await bus.publish(TransferBooked(note="needed"), session=session)
    assert told == [None, session, session]
    with pytest.raises(SessionRequired):
        await bus.publish(TransferBooked(note="needed"))
    with pytest.raises(LookupError):
        await bus.publish(TransferBooked(note="bad"))
    bus.subscribe(TransferBooked, choosy, on_error="isolate")
    await bus.publish(TransferBooked(note="bad"))


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
async def test_what_is_to_outlive_a_transaction_comes_when_its_outermost_has_ended(
    session: AsyncSession, end: str
) -> None:
    done: list[str] = []

    def fail() -> None:
        done.append("first")
        raise LookupError

    scope = SessionScope.of(session)
    assert not scope.after_end(fail)
    await write(session, "own")
    async with session.begin_nested():
        assert scope.after_end(fail)
        assert scope.after_end(lambda: done.append("second"))
    assert done == []
    with pytest.raises(LookupError):
        await getattr(session, end)()
    assert done == ["first", "second"]
    await write(session, "next")
    await session.commit()
    assert done == ["first", "second"]


async def test_what_is_no_session_is_refused(bus: InMemoryEventBus) -> None:
    subscribe(bus, writing("first"))
    with pytest.raises(TypeError, match="AsyncSession"):
        await bus.publish(TransferBooked(), session="session")  # type: ignore[arg-type]


async def test_a_scoped_session_is_one(bus: InMemoryEventBus, engine: AsyncEngine) -> None:
    await create_ledger(engine)
    scoped = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
    subscribe(bus, writing("first"))
    await bus.publish(TransferBooked(), session=scoped)
    await scoped.commit()
    assert await notes(engine) == ["first"]
    await scoped.remove()


async def test_a_handler_that_takes_too_long_is_undone(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    async def slow(_event: DomainEvent, context: EventContext) -> None:
        await write(context.session, "slow")
        pass_time(60.0)
        await asyncio.Event().wait()

    bus.subscribe(TransferBooked, slow, transactional=True, timeout=60.0)
    with pytest.raises(TimeoutError):
        await bus.publish(TransferBooked(), session=session)
    await session.commit()
    assert await notes(engine) == []


async def test_cancelling_the_publisher_undoes_the_handler_under_way(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    reached = asyncio.Event()

    async def endless(_event: DomainEvent, context: EventContext) -> None:
        await write(context.session, "endless")
        reached.set()
        await asyncio.Event().wait()

    subscribe(bus, endless)
    publishing = asyncio.create_task(bus.publish(TransferBooked(), session=session))
    await reached.wait()
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    await session.commit()
    assert await notes(engine) == []


async def test_a_handler_may_publish_in_the_same_session(
    bus: InMemoryEventBus, engine: AsyncEngine, session: AsyncSession
) -> None:
    heard: list[str] = []

    async def pass_on(event: TransferBooked, context: EventContext) -> None:
        if event.note == "transfer":
            await bus.publish(TransferBooked(note="again"), session=context.session)

    subscribe(bus, pass_on, writing("written"))
    bus.subscribe(TransferBooked, hearing(heard))
    await bus.publish(TransferBooked(), session=session)
    assert heard == []
    await session.commit()
    await bus.aclose()
    assert await notes(engine) == ["written", "written"]
    assert heard == ["heard", "heard"]


async def test_an_outer_handler_is_still_watched_after_an_inner_one(
    bus: InMemoryEventBus, session: AsyncSession
) -> None:
    async def pass_on(event: TransferBooked, context: EventContext) -> None:
        if event.note == "transfer":
            await bus.publish(TransferBooked(note="again"), session=context.session)
            await commits_in_silence(context.session)  # type: ignore[arg-type]  # it is one

    subscribe(bus, pass_on)
    with pytest.raises(TransactionContractViolation, match="pass_on: it called commit"):
        await bus.publish(TransferBooked(), session=session)


async def test_isolated_failures_do_not_hide_behind_logging_levels(
    session: AsyncSession, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("tests.bus.own")
    bus = InMemoryEventBus(logger=logger)
    subscribe(bus, writing("undone", LookupError()), on_error="isolate")
    await bus.publish(TransferBooked(), session=session)
    assert [each.name for each in caplog.records if each.msg == "event_handler_failed"] == [
        "tests.bus.own"
    ]
