"""What it costs to write and to read, as more is stored."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from dashtam_events import Repository, SQLiteEventStore, StreamId
from tests.benchmarks.curves.filled import filled
from tests.benchmarks.growth import Curve
from tests.benchmarks.workload import (
    BENCH,
    FIELDS,
    Connection,
    ConnectionStarted,
    ConnectionSynced,
    scratch,
    timed,
)

__all__ = ["OF_STORE"]

_SAVES, _LOADED, _LOADS = 200, 100, 20


def _on(path: Path, work: Callable[[SQLiteEventStore], Awaitable[float]]) -> float:
    async def run() -> float:
        async with SQLiteEventStore(path, registry=BENCH) as store:
            return await work(store)

    return asyncio.run(run())


async def _append(store: SQLiteEventStore) -> float:
    stream = StreamId("bench", uuid4())
    made = [ConnectionSynced(**FIELDS) for _ in range(_SAVES + 1)]  # type: ignore[arg-type]  # a dict of mixed values
    await store.append(stream, made[:1])
    with timed(_SAVES) as cost:
        for version, one in enumerate(made[1:], start=1):
            await store.append(stream, [one], expected=version)
    return cost[0]


async def _saved(store: SQLiteEventStore, length: int) -> Connection:
    connection = Connection.start()
    for _ in range(length - 1):
        connection.sync()
    await Repository(store, Connection).save(connection)
    return connection


async def _load(store: SQLiteEventStore) -> float:
    connection = await _saved(store, _LOADED)
    with timed(_LOADS) as cost:
        for _ in range(_LOADS):
            await Repository(store, Connection).get(connection.id)
    return cost[0]


def _rebuild(length: int) -> float:
    async def run(store: SQLiteEventStore) -> float:
        connection = await _saved(store, length)
        with timed(length) as cost:
            await Repository(store, Connection).get(connection.id)
        return cost[0]

    with scratch() as folder:
        return _on(folder / "one.db", run)


async def _read(store: SQLiteEventStore, **chosen: Any) -> int:
    """How many events there are of those."""
    return len([recorded async for recorded in store.read_all(**chosen)])


async def _rare(store: SQLiteEventStore) -> float:
    await _read(store, limit=2)  # a connection is open, and both classes are known to the codec
    with timed(1) as cost:
        found = await _read(store, types=[ConnectionStarted])
    return cost[0] / found


async def _in_a_row(store: SQLiteEventStore) -> float:
    """As many as `_rare` finds, of whatever type, from the beginning of the log."""
    await _read(store, limit=2)
    found = await _read(store, types=[ConnectionStarted])
    with timed(found) as cost:
        await _read(store, limit=found)
    return cost[0]


_STORED = (0, 100_000, 1_000_000, 5_000_000)
_QUICK = (0, 10_000, 50_000)
OF_STORE = (
    Curve(
        name="append one event",
        along="events in the file",
        sizes=_STORED,
        quick=_QUICK,
        sample=lambda events: _on(filled(events), _append),
    ),
    Curve(
        name="load an aggregate of 100 events",
        along="events in the file",
        sizes=_STORED,
        quick=_QUICK,
        sample=lambda events: _on(filled(events), _load),
    ),
    Curve(
        name="find each event of a type that one in 10,000 has",
        along="events in the file",
        sizes=_STORED[1:],
        quick=(20_000, 50_000),
        sample=lambda events: _on(filled(events), _rare),
        plain=lambda events: _on(filled(events), _in_a_row),
        most=4,
        rounds=5,
    ),
    Curve(
        name="rebuild an aggregate, an event",
        along="events of the stream",
        sizes=(100, 1_000, 10_000, 100_000),
        quick=(100, 1_000, 10_000),
        sample=_rebuild,
    ),
)
