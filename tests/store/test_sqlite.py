"""The store in a SQLite file keeps the contract, commits together, and leaves nothing behind."""

import asyncio
import gc
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashtam_events.errors import (
    DuplicateEvent,
    StoreBusy,
    StoreClosed,
    StoreUnavailable,
    VersionConflict,
)
from dashtam_events.recorded import Position, StreamId
from dashtam_events.store import Append, AppendResult, SQLiteEventStore
from dashtam_events.store.sqlite import _session
from dashtam_events.testing import CONTRACT_EVENTS, StoreContract
from dashtam_events.testing._store_samples import LampPutOut, a_stream, lit, log_of
from tests.loops import quickest
from tests.store.following import cancel_appends

Open = Callable[..., SQLiteEventStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteEventStore]:
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS) as store:
        yield store


class TestSQLiteEventStore(StoreContract):
    @pytest.fixture
    async def store(self, path: Path) -> AsyncIterator[SQLiteEventStore]:
        async with SQLiteEventStore(path, registry=CONTRACT_EVENTS) as store:
            yield store


def _connection(store: SQLiteEventStore) -> sqlite3.Connection:
    """The connection that writes."""
    writer = store._session._writer
    assert writer is not None
    return writer._committer._connection


def _ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def test_everything_is_there_after_reopening(path: Path) -> None:
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS) as store:
        result = await store.append(a_stream(), lit(3), attachments={"note": b"kept"})
    async with SQLiteEventStore(str(path), registry=CONTRACT_EVENTS) as store:
        assert await log_of(store) == list(result.recorded)
        kept = await store.read_attachment(result.stream, "note")
        assert kept is not None
        assert kept.data == b"kept"


async def test_one_store_object_may_be_opened_again(path: Path) -> None:
    store = SQLiteEventStore(path, registry=CONTRACT_EVENTS)
    for count in (1, 2):
        async with store:
            await store.append(a_stream(), lit())
            assert len(await log_of(store)) == count


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    store = SQLiteEventStore(path, registry=CONTRACT_EVENTS)
    for _ in range(2):
        with pytest.raises(StoreClosed, match="async with"):
            await store.append(a_stream(), lit())
        with pytest.raises(StoreClosed):
            await log_of(store)
        with pytest.raises(StoreClosed):
            await store.wait(after=None)
        async with store:
            with pytest.raises(StoreUnavailable, match="open already"):
                await store.__aenter__()


async def test_a_store_belongs_to_the_loop_that_opened_it(store: SQLiteEventStore) -> None:
    def elsewhere() -> None:
        asyncio.run(store.append(a_stream(), lit()))

    failed: list[BaseException] = []

    def run() -> None:
        try:
            elsewhere()
        except RuntimeError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "event loop" in str(failed[0])


async def test_appends_that_wait_together_share_a_commit(
    store: SQLiteEventStore, path: Path
) -> None:
    """200 appends at once take far fewer transactions than 200."""
    sizes: list[int] = []
    asked = threading.Event()
    thread = store._session._writer
    assert thread is not None
    write = thread._committer.write

    def writing(jobs: Any) -> Any:
        sizes.append(len(jobs))
        asked.wait(60)
        return write(jobs)

    thread._committer.write = writing  # type: ignore[method-assign]  # watched
    appends = [asyncio.create_task(store.append(a_stream(), lit())) for _ in range(200)]
    await asyncio.sleep(0)
    asked.set()
    await asyncio.gather(*appends)
    assert sum(sizes) == 200
    assert len(sizes) < 50


async def test_more_appends_than_fit_into_one_commit(store: SQLiteEventStore) -> None:
    results = await asyncio.gather(*(store.append(a_stream(), lit()) for _ in range(1000)))
    assert [result.position for result in results] == list(range(1, 1001))


async def test_closing_writes_what_was_accepted(path: Path) -> None:
    store = SQLiteEventStore(path, registry=CONTRACT_EVENTS)
    async with store:
        tasks = [asyncio.create_task(store.append(a_stream(), lit())) for _ in range(50)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*tasks)
    assert all(isinstance(result, AppendResult) for result in results)
    assert _ask(path, "SELECT count(*) FROM events") == [(50,)]


async def test_closing_wakes_those_who_wait(path: Path) -> None:
    store = SQLiteEventStore(path, registry=CONTRACT_EVENTS)
    async with store:
        waiting = asyncio.create_task(store.wait(after=None))
        await asyncio.sleep(0.02)
    with pytest.raises(StoreClosed):
        await waiting


async def test_nothing_is_left_behind(path: Path) -> None:
    """No thread, task, connection or file beside the database outlives the store."""
    threads, tasks = set(threading.enumerate()), len(asyncio.all_tasks())
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS) as store:
        await asyncio.gather(*(store.append(a_stream(), lit(3)) for _ in range(20)))
        await asyncio.gather(*(log_of(store) for _ in range(10)))
        left = store.read_all()
        await anext(left)
        await store.wait(after=None)
        waiting = asyncio.create_task(store.wait(after=(await store.last_position())))
        await asyncio.sleep(0.06)
        waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert set(threading.enumerate()) <= threads
    assert len(asyncio.all_tasks()) == tasks
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    gc.collect()  # an open connection would warn, and a warning is an error here


async def test_reading_takes_no_more_threads_than_it_needs_and_four_at_the_most(
    store: SQLiteEventStore,
) -> None:
    def threads() -> int:
        return sum("reader" in thread.name for thread in threading.enumerate())

    assert threads() == 0
    for _ in range(3):
        await log_of(store)
    assert threads() == 1
    await asyncio.gather(*(log_of(store) for _ in range(50)))
    assert threads() == 4


async def test_a_question_that_is_given_up_leaves_its_thread_to_the_next(
    store: SQLiteEventStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.append(a_stream(), lit())
    for _ in range(10):
        given_up = [asyncio.create_task(log_of(store)) for _ in range(8)]
        await asyncio.sleep(0)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
    assert len(await log_of(store)) == 1
    assert not caplog.records  # the loop logs what it cannot raise


async def test_where_no_thread_can_be_started_a_question_fails_and_the_store_still_closes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS) as store:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                await log_of(store)
        async with asyncio.timeout(30):
            assert await log_of(store) == []


async def test_a_refused_append_leaves_nothing_in_memory(store: SQLiteEventStore) -> None:
    stream = a_stream()
    for _ in range(50):
        with pytest.raises(VersionConflict):
            await store.append(stream, lit(), expected=7)
    gc.collect()
    kept = [type(each) for each in gc.get_objects()]
    # The futures would hold the events, which hold what is personal.
    assert kept.count(VersionConflict) < 5
    assert kept.count(type(asyncio.get_running_loop().create_future())) < 10


async def test_a_clock_that_has_run_out_fails_its_append_alone(path: Path) -> None:
    times = iter([datetime(2026, 1, 1, tzinfo=UTC)])
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS, clock=times.__next__) as store:
        appends = [asyncio.ensure_future(store.append(a_stream(), lit())) for _ in range(3)]
        await asyncio.wait(appends, timeout=60)
        kept, *refused = [each.done() and (each.exception() or each.result()) for each in appends]
        assert isinstance(kept, AppendResult)
        assert [type(each) for each in refused] == [RuntimeError, RuntimeError]
        assert len(await log_of(store)) == 1


async def test_a_trigger_that_leaves_half_an_append_behind_harms_no_other(
    store: SQLiteEventStore, path: Path
) -> None:
    """Also where it is a single event: what was written before the trigger fails is undone."""
    guarded = a_stream()
    _ask(
        path,
        f"""CREATE TRIGGER guard AFTER INSERT ON events WHEN new.stream = '{guarded}'
        BEGIN SELECT RAISE(FAIL, 'guarded'); END""",
    )
    streams = (a_stream(), guarded, a_stream())
    before, refused, behind = await asyncio.gather(
        *(store.append(stream, lit()) for stream in streams), return_exceptions=True
    )
    assert isinstance(before, AppendResult)
    assert isinstance(refused, StoreUnavailable)
    assert isinstance(behind, AppendResult)
    assert [each.stream for each in await log_of(store)] == [streams[0], streams[2]]


async def test_polling_ends_with_the_last_who_waits(store: SQLiteEventStore) -> None:
    tasks = len(asyncio.all_tasks())
    for _ in range(3):
        assert not await store.wait(after=None, timeout=0.01)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks


async def test_leaving_while_cancelled_still_closes(path: Path) -> None:
    threads = set(threading.enumerate())

    async def use() -> None:
        async with SQLiteEventStore(path, registry=CONTRACT_EVENTS) as store:
            await store.append(a_stream(), lit())
            await asyncio.Event().wait()

    for pauses in range(0, 40, 3):
        task = asyncio.create_task(use())
        for _ in range(pauses):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert set(threading.enumerate()) <= threads


async def test_an_append_cancelled_before_its_turn_is_never_written(path: Path) -> None:
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS, busy_timeout=60) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            kept = asyncio.create_task(store.append(a_stream(), lit()))
            dropped = asyncio.create_task(store.append(a_stream(), lit()))
            await asyncio.sleep(0.05)
            dropped.cancel()
            await asyncio.gather(dropped, return_exceptions=True)
            other.execute("ROLLBACK")
        await kept
        assert len(await log_of(store)) == 1


async def test_an_append_cancelled_at_any_moment_is_whole_or_absent(
    store: SQLiteEventStore,
) -> None:
    await cancel_appends(store)


async def test_waiting_for_another_writer_is_bounded(path: Path) -> None:
    """By what each store was told: one gives up while another, which asked before it, waits on."""
    async with (
        SQLiteEventStore(path, registry=CONTRACT_EVENTS, busy_timeout=0.1) as store,
        SQLiteEventStore(path, registry=CONTRACT_EVENTS, busy_timeout=60) as patient,
    ):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(patient.append(a_stream(), lit()))
            await asyncio.sleep(0.1)
            calls = [store.append(a_stream(), lit()) for _ in range(3)]
            async with asyncio.timeout(20):
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(outcome) for outcome in outcomes} == {StoreBusy}
            assert await log_of(store) == []
            other.execute("ROLLBACK")
        await waiting
        await store.append(a_stream(), lit())
        assert len(await log_of(store)) == 2


async def test_an_append_wakes_without_polling(
    store: SQLiteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "_POLL_SECONDS", 60)
    waiting = asyncio.create_task(store.wait(after=None))
    await asyncio.sleep(0.05)
    await store.append(a_stream(), lit())
    async with asyncio.timeout(30):
        assert await waiting


async def test_an_append_that_fails_half_way_wakes_nobody(store: SQLiteEventStore) -> None:
    known = lit()
    last = (await store.append(a_stream(), known)).position
    with pytest.raises(DuplicateEvent):
        await store.append_many(
            [Append(stream=a_stream(), events=events) for events in (lit(5), [*lit(), *known])]
        )
    assert not await store.wait(after=last, timeout=0.01)
    assert (await store.append(a_stream(), lit())).position == last + 1


async def test_a_value_that_is_too_big_fails_alone(store: SQLiteEventStore) -> None:
    _connection(store).setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 3000)
    big = store.append(a_stream(), lit(), attachments={"note": b"x" * 4000})
    outcomes = await asyncio.gather(store.append(a_stream(), lit()), big, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [AppendResult, StoreUnavailable]
    assert len(await log_of(store)) == 1


async def test_after_an_error_of_the_engine_the_store_goes_on(store: SQLiteEventStore) -> None:
    """Everything that was to be committed together fails, with an error of ours."""
    _connection(store).set_authorizer(
        lambda action, table, *_: (
            sqlite3.SQLITE_DENY
            if (action, table) == (sqlite3.SQLITE_INSERT, "attachments")
            else sqlite3.SQLITE_OK
        )
    )
    with pytest.raises(StoreUnavailable) as raised:
        await store.append(a_stream(), lit(), attachments={"note": b"refused"})
    assert isinstance(raised.value.__cause__, sqlite3.Error)
    await store.append(a_stream(), lit())
    assert len(await log_of(store)) == 1


async def test_commits_of_others_wake_those_who_wait(path: Path) -> None:
    async with (
        SQLiteEventStore(path, registry=CONTRACT_EVENTS) as one,
        SQLiteEventStore(path, registry=CONTRACT_EVENTS) as two,
    ):
        last: Position | None = None

        async def trial() -> float:
            nonlocal last
            waiting = asyncio.create_task(one.wait(after=last, timeout=60))
            await asyncio.sleep(0.12)
            assert not waiting.done()
            begun = time.monotonic()
            result = await two.append(a_stream(), lit())
            assert await waiting
            took = time.monotonic() - begun
            assert await one.wait(after=last, timeout=0)
            last = result.position
            assert await one.last_position() == last
            return took

        assert await quickest(trial, 2) < 2


async def test_what_the_clock_raises_fails_one_append_alone(path: Path) -> None:
    calls = iter(range(100))

    def clock() -> datetime:
        if next(calls) == 1:
            raise ZeroDivisionError
        return datetime(2026, 1, 1, tzinfo=UTC)

    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS, clock=clock) as store:
        appends = [store.append(a_stream(), lit()) for _ in range(3)]
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            AppendResult,
            ZeroDivisionError,
            AppendResult,
        ]
        assert [recorded.position for recorded in await log_of(store)] == [1, 2]


async def test_a_time_cuts_a_stream_even_where_the_clock_stepped_back(path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    instants = iter(start + timedelta(minutes=minute) for minute in (1, 5, 2, 3))
    stream = a_stream()
    async with SQLiteEventStore(
        path, registry=CONTRACT_EVENTS, clock=lambda: next(instants)
    ) as store:
        for _ in range(4):
            await store.append(stream, lit())
        at = start + timedelta(minutes=3)
        read = [seen.version async for seen in store.read_stream(stream, until_time=at)]
    assert read == [1]


async def test_a_stream_whose_versions_were_meddled_with_is_not_continued_wrongly(
    store: SQLiteEventStore, path: Path
) -> None:
    """The head is what counts: no version can be skipped."""
    stream = a_stream()
    await store.append(stream, lit(3))
    with pytest.raises(VersionConflict) as raised:
        await store.append(stream, lit(), expected=5)
    assert raised.value.actual == 3


async def test_more_events_and_types_than_one_statement_takes(store: SQLiteEventStore) -> None:
    events = lit(1200)
    first = await store.append(a_stream(), events)
    assert await store.append(first.stream, events) == first
    await store.append(a_stream(), [LampPutOut()])
    many = [f"Unknown{number}" for number in range(1000)]
    found = [seen async for seen in store.read_all(types=[*many, "LampPutOut"])]
    assert [type(seen.event) for seen in found] == [LampPutOut]


async def test_filters_are_answered_by_an_index(store: SQLiteEventStore, path: Path) -> None:
    plans = {
        "SELECT position FROM events WHERE type = 'A' AND position > 5 ORDER BY position",
        "SELECT data FROM events WHERE subject = 'A' AND +type IN ('B') ORDER BY position",
        "SELECT max(version) FROM events WHERE stream = 'A'",
    }
    for sql in plans:
        steps = str(_ask(path, f"EXPLAIN QUERY PLAN {sql}"))
        assert "INDEX" in steps
        assert "TEMP B-TREE" not in steps


async def test_several_appends_share_one_instant(store: SQLiteEventStore) -> None:
    results = await store.append_many(
        [Append(stream=StreamId("lamp", str(number)), events=lit()) for number in range(3)]
    )
    assert len({result.recorded[0].recorded_at for result in results}) == 1


async def test_synchronous_is_full_or_normal(path: Path) -> None:
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS, synchronous="NORMAL") as store:
        await store.append(a_stream(), lit())
    with pytest.raises(ValueError, match="FULL or NORMAL"):
        SQLiteEventStore(path, registry=CONTRACT_EVENTS, synchronous="OFF")  # type: ignore[arg-type]  # the mistake


async def test_a_log_that_became_shorter_is_waited_for_where_it_ends_now(
    store: SQLiteEventStore, path: Path
) -> None:
    first, last = (await store.append(a_stream(), lit(2))).recorded
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM events WHERE position > ?", (first.position,))
    for after in (first.position, last.position):
        assert not await store.wait(after=after, timeout=0.2)
    waiting = asyncio.create_task(store.wait(after=first.position, timeout=60))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(30):
        await store.append(a_stream(), lit())
        assert await waiting
