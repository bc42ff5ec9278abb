"""What a save to PostgreSQL is made of.

The store is watched through its driver, and the server says how long its functions took.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

import asyncpg
import attrs

from dashtam_events import Repository
from dashtam_events.codec import EventCodec
from dashtam_events.store.postgres import PostgresEventStore
from tests.benchmarks.parts.part import Part, Stopwatch, completed, least
from tests.benchmarks.postgres import limit
from tests.benchmarks.postgres.server import address, new_schema
from tests.benchmarks.workload import BENCH, FIELDS, Connection, ConnectionSynced

__all__ = ["appending"]

_TURNS, _SAVES = 7, 60
_BYTES = 400
# A connection learns when it is made that functions are to be timed.
_WATCH = "ALTER ROLE CURRENT_USER SET track_functions = 'pl'"
_UNWATCH = "ALTER ROLE CURRENT_USER RESET track_functions"
# Connections tell the server of their calls when they end, at the latest.
_IN_FUNCTIONS = """
SELECT coalesce(sum(calls), 0)::integer, coalesce(sum(total_time) * 1000, 0)
FROM pg_stat_user_functions WHERE funcname = 'append' AND starts_with(schemaname, $1)
"""
_COMMIT = "SELECT pg_notify('parts', '1'), pg_logical_emit_message(true, 'parts', $1::bytea)"


@attrs.frozen(kw_only=True)
class _Turn:
    """What a save took in one turn, in microseconds, and what like it took beside it."""

    made: float
    saved: float
    asked: float
    trip: float
    commit: float
    in_ours: float
    in_by_hand: float


async def _appending(per_save: int) -> list[Part]:
    async with _functions_timed() as connection:
        turns = [await _turn(connection, per_save) for _ in range(_TURNS)]
    names = attrs.fields_dict(_Turn)
    best = _Turn(**{name: min(getattr(turn, name) for turn in turns) for name in names})
    one = ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values
    (encoded,) = least((EventCodec(BENCH).encode, [one] * 1_000))
    parts = [
        Part("the event is made and applied to its aggregate", best.made / per_save),
        Part("it is encoded", encoded),
        *(Part(name, cost / per_save) for name, cost in _asked(best)),
    ]
    rest = "the store's task and its turns of the loop; what was recorded is handed back"
    return completed(parts, rest, (best.made + best.saved) / per_save)


def _asked(turn: _Turn) -> Iterator[tuple[str, float]]:
    """What the time between the call of the driver and its answer is made of, for a save."""
    yield "a round trip, as of SELECT 1", turn.trip
    yield "the commit: flushed to disk, and its notification given out", turn.commit - turn.trip
    yield "the function by hand: lock, head, positions, rows", turn.in_by_hand
    yield "what the function of the store does more", turn.in_ours - turn.in_by_hand
    yield "its arguments are written, its answer is read", turn.asked - turn.commit - turn.in_ours


async def _turn(connection: Any, per_save: int) -> _Turn:
    schema, made, saved, asked = new_schema("parts"), Stopwatch(), Stopwatch(), Stopwatch()
    before = await _in_functions(connection, "by_hand", 0)
    await limit.append(_SAVES, per_save)
    async with PostgresEventStore(address(), registry=BENCH, schema=schema) as store:
        aggregate = Connection.start()
        await Repository(store, Connection).save(aggregate)
        with _fetches_timed(asked):
            for _ in range(_SAVES):
                with made.running():
                    for _ in range(per_save):
                        aggregate.sync()
                with saved.running():
                    await Repository(store, Connection).save(aggregate)
    after = await _in_functions(connection, "by_hand", before.calls + _SAVES + 1)
    ours = await _in_functions(connection, schema, _SAVES + 1)
    return _Turn(
        made=made.middle,
        saved=saved.middle,
        asked=asked.middle,
        trip=await _trip(connection),
        commit=await _commit(connection, per_save),
        in_ours=ours.spent / ours.calls,
        in_by_hand=(after.spent - before.spent) / (after.calls - before.calls),
    )


async def _trip(connection: Any) -> float:
    watch = Stopwatch()
    for _ in range(_SAVES):
        with watch.running():
            await connection.fetch("SELECT 1")
    return watch.middle


async def _commit(connection: Any, per_save: int) -> float:
    """A round trip that writes as many bytes to the log of the database as so many events are."""
    watch, data = Stopwatch(), bytes(per_save * _BYTES)
    for _ in range(_SAVES):
        with watch.running():
            await connection.fetch(_COMMIT, data)
    return watch.middle


@contextmanager
def _fetches_timed(watch: Stopwatch) -> Iterator[None]:
    """What is asked over asyncpg meanwhile, from the call to the answer."""
    fetch = asyncpg.Connection.fetch

    async def timed(connection: Any, sql: str, *values: Any) -> Any:
        with watch.running():
            return await fetch(connection, sql, *values)

    with patch.object(asyncpg.Connection, "fetch", timed):
        yield


@asynccontextmanager
async def _functions_timed() -> AsyncIterator[Any]:
    """A connection; the server times the functions of those that are made meanwhile."""
    connection = await asyncpg.connect(address())
    await connection.execute(_WATCH)
    try:
        yield connection
    finally:
        await connection.execute(_UNWATCH)
        await connection.close()


@attrs.frozen
class _Spent:
    calls: int
    spent: float


async def _in_functions(connection: Any, schema: str, calls: int) -> _Spent:
    """The calls of the functions and the microseconds in them, once there are so many."""
    while True:
        found = _Spent(*await connection.fetchrow(_IN_FUNCTIONS, schema))
        if found.calls >= calls:
            return found
        await asyncio.sleep(0.02)


def appending(per_save: int) -> list[Part]:
    """The parts of `Repository.save` with so many events."""
    return asyncio.run(asyncio.wait_for(_appending(per_save), timeout=120))
