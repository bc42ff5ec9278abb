"""What appending to a SQLite file is made of, and what reading one is.

The store is watched through its driver, which lets a connection be of a class of one's own.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, ClassVar
from unittest.mock import patch
from uuid import uuid4

import msgspec

from dashtam_events import Repository, SQLiteEventStore, StreamId
from dashtam_events._clock import now
from dashtam_events.codec import EventCodec
from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import Append
from dashtam_events.store._rows import NO_METADATA, Scribe, Stored
from tests.benchmarks.parts.part import ROUNDS, Part, completed, least
from tests.benchmarks.workload import BENCH, FIELDS, Connection, ConnectionSynced, scratch

__all__ = ["appending_at_once", "reading_the_log", "rebuilding"]

_EVENTS = 1_000
_TASKS, _SAVES = 50, 20


class _Timed(sqlite3.Connection):
    """A connection that times what it is asked, in seconds: commits, and whatever else."""

    commits: ClassVar[list[float]] = []
    others: ClassVar[list[float]] = []

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        begun = perf_counter()
        cursor = super().execute(sql, *values)
        (self.commits if sql == "COMMIT" else self.others).append(perf_counter() - begun)
        return cursor

    def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
        begun = perf_counter()
        cursor = super().executemany(sql, *values)
        self.others.append(perf_counter() - begun)
        return cursor


class _Traced(sqlite3.Connection):
    """A connection that keeps what it is asked, with the values filled in."""

    asked: ClassVar[list[str]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.set_trace_callback(self.asked.append)


@asynccontextmanager
async def _opened(
    folder: Path, connection: type[sqlite3.Connection]
) -> AsyncIterator[SQLiteEventStore]:
    """A store over connections of a class."""
    with patch.object(sqlite3, "connect", partial(sqlite3.connect, factory=connection)):
        async with SQLiteEventStore(folder / "ours.db", registry=BENCH) as store:
            yield store


def _made() -> ConnectionSynced:
    return ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values


async def _appending_at_once() -> list[Part]:
    with scratch() as folder:
        async with _opened(folder, _Timed) as store:
            rounds = [await _at_once(store) for _ in range(ROUNDS)]
    (whole, looped, others, committed, saves) = min(rounds)
    looping = [*_in_the_loop(), Part("a future, and its task woken", await _woken())]
    return completed(
        [
            *completed(looping, "the rest of the loop's work", looped),
            Part("statements in the thread: a savepoint, the head of the stream, the row", others),
            Part(f"a commit, flushed to disk, for each {saves:.0f} saves", committed),
        ],
        "the rest of the thread's work; the loop and the thread wake each other",
        whole,
    )


def _in_the_loop() -> list[Part]:
    """What the loop does for a save, by itself."""
    stream, event = StreamId("bench", uuid4()), _made()
    scribe, again = Scribe(BENCH, None, now), [None] * _EVENTS

    def checked(_: None) -> Append:
        return Append(stream=stream, events=[event], expected=0, metadata=NO_METADATA)

    append = checked(None)
    drafts = scribe.drafts([append])
    stored = Stored(rows=(drafts[0].rows(0, 0, 0),), repeated=False)
    made, asked, encoded, drafted, told = least(
        (lambda _: _made(), again),
        (checked, again),
        (EventCodec(BENCH).encode, [event] * _EVENTS),
        (scribe.drafts, [[append]] * _EVENTS),
        (lambda _: scribe.results(drafts, stored), again),
    )
    return [
        Part("the event is made", made),
        Part("the arguments are checked", asked),
        Part("it is encoded", encoded),
        Part("a draft is made around it", drafted - encoded),
        Part("what was recorded is made", told),
    ]


async def _woken() -> float:
    """Microseconds for a future that the loop resolves, in as many tasks."""
    loop = asyncio.get_running_loop()

    async def one() -> None:
        for _ in range(_SAVES):
            future: asyncio.Future[None] = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future

    taken = []
    for _ in range(ROUNDS):
        begun = thread_time()
        await asyncio.gather(*(one() for _ in range(_TASKS)))
        taken.append(thread_time() - begun)
    return min(taken) / (_TASKS * _SAVES) * 1e6


async def _at_once(store: SQLiteEventStore) -> list[float]:
    """Microseconds an event: the whole, the loop, statements, commits; and saves to a commit."""

    async def one() -> None:
        stream = StreamId("bench", uuid4())
        for version in range(_SAVES):
            await store.append(stream, [_made()], expected=version)

    _Timed.commits.clear()
    _Timed.others.clear()
    looped, begun = thread_time(), perf_counter()
    await asyncio.gather(*(one() for _ in range(_TASKS)))
    seconds = [
        perf_counter() - begun,
        thread_time() - looped,
        sum(_Timed.others),
        sum(_Timed.commits),
    ]
    events = _TASKS * _SAVES
    return [*(each / events * 1e6 for each in seconds), events / len(_Timed.commits)]


async def _reading(
    work: Callable[[SQLiteEventStore, Connection], Awaitable[object]], *, folded: bool
) -> list[Part]:
    """The parts of work that reads all the events of one aggregate."""
    _Traced.asked = []
    with scratch() as folder:
        async with _opened(folder, _Traced) as store:
            connection = Connection.start()
            for _ in range(_EVENTS - 1):
                connection.sync()
            await Repository(store, Connection).save(connection)
            await work(store, connection)
            _Traced.asked.clear()
            await work(store, connection)
            asked = [sql for sql in _Traced.asked if sql.startswith("SELECT")]
            whole = await _least_awaited(lambda: work(store, connection))
            recorded = [one async for one in store.read_stream(connection.stream)]
        parts = [Part("rows are selected", _selected(folder / "ours.db", asked))]
    parts += _read(recorded[1:])
    if folded:
        (fold,) = least((lambda _: Connection.replay(connection.id, recorded), [None]))
        parts.append(Part("the fold", fold / _EVENTS))
    rest = "rows are checked, and come in pages from another thread, to be iterated over"
    return completed(parts, rest, whole)


async def _least_awaited(work: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(ROUNDS):
        begun = perf_counter()
        await work()
        taken.append(perf_counter() - begun)
    return min(taken) / _EVENTS * 1e6


def _selected(path: Path, asked: Sequence[str]) -> float:
    """What the store asked, by hand."""
    with closing(sqlite3.connect(path)) as file:
        (fetched,) = least((lambda _: [file.execute(sql).fetchall() for sql in asked], [None]))
    return fetched / _EVENTS


def _read(recorded: Sequence[RecordedEvent[Any]]) -> list[Part]:
    """The parts of what makes a row a recorded event."""
    codec = EventCodec(BENCH)
    encoded = [codec.encode(one.event) for one in recorded]
    read, decoded, made = least(
        (msgspec.json.Decoder(ConnectionSynced).decode, [one.data for one in encoded]),
        (codec.decode, encoded),
        (_recorded_again, recorded),
    )
    return [
        Part("JSON is read into the event", read),
        Part("its class is looked up, it is written again, and compared", decoded - read),
        Part("the recorded event is made", made),
    ]


def _recorded_again(one: RecordedEvent[Any]) -> RecordedEvent[Any]:
    return RecordedEvent(
        position=one.position,
        stream=one.stream,
        version=one.version,
        recorded_at=one.recorded_at,
        event=one.event,
        metadata=one.metadata,
    )


async def _rebuild(store: SQLiteEventStore, connection: Connection) -> None:
    await Repository(store, Connection).get(connection.id)


async def _read_log(store: SQLiteEventStore, _connection: Connection) -> None:
    async for _recorded in store.read_all():
        pass


def appending_at_once() -> list[Part]:
    """The parts of `append` by fifty tasks, which save one event at a time."""
    return asyncio.run(_appending_at_once())


def rebuilding() -> list[Part]:
    """The parts of `Repository.get`, for an aggregate of a thousand events."""
    return asyncio.run(_reading(_rebuild, folded=True))


def reading_the_log() -> list[Part]:
    """The parts of `read_all`, for a thousand events."""
    return asyncio.run(_reading(_read_log, folded=False))
