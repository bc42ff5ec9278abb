"""`python -m tests.benchmarks.parts`: where the time of encoding and of rebuilding goes."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from time import perf_counter
from typing import Any

import attrs
import msgspec

from dashtam_events import DomainEvent, Repository, SQLiteEventStore
from dashtam_events.codec import EventCodec
from dashtam_events.store._rows import Row, Scribe
from dashtam_events.store.sqlite import _reading
from tests.benchmarks.workload import BENCH, FIELDS, Connection, ConnectionSynced, scratch

__all__ = ["PARTS", "Part", "encoding", "rebuilding"]

_EVENTS, _ROUNDS = 1_000, 15


@attrs.frozen
class Part:
    """What is done, and how many microseconds of an event's time it takes."""

    name: str
    cost: float


def _least(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Microseconds an item, in the best of some rounds."""
    taken = []
    for _ in range(_ROUNDS):
        begun = perf_counter()
        kept = [work(item) for item in items]
        taken.append(perf_counter() - begun)
    return min(taken) / len(kept) * 1e6


async def _least_awaited(work: Callable[[], Awaitable[object]]) -> float:
    taken = []
    for _ in range(_ROUNDS):
        begun = perf_counter()
        await work()
        taken.append(perf_counter() - begun)
    return min(taken) / _EVENTS * 1e6


def encoding() -> list[Part]:
    """The parts of `EventCodec.encode`."""
    codec = EventCodec(BENCH)
    one: DomainEvent = ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values
    fields = ["event_id", "occurred_at", *FIELDS]
    struct = msgspec.defstruct("Struct", [(name, object) for name in fields], gc=False)
    values, dumps = [getattr(one, name) for name in fields], msgspec.json.Encoder().encode
    ones = [one] * _EVENTS
    written = _least(lambda _: dumps(struct(*values)), ones)
    checked = _least(codec._plan(ConnectionSynced).encode, ones)
    return [
        Part("JSON is written", written),
        Part("each field is taken out and looked at: type, zone, finite, text", checked - written),
        Part("the class is looked up", _least(codec.encode, ones) - checked),
    ]


async def _rebuilding() -> list[Part]:
    with scratch() as folder:
        async with SQLiteEventStore(folder / "ours.db", registry=BENCH) as store:
            repository = Repository(store, Connection)
            connection = Connection.start()
            for _ in range(_EVENTS - 1):
                connection.sync()
            await repository.save(connection)

            rebuilt = await _least_awaited(lambda: repository.get(connection.id))
        with closing(sqlite3.connect(folder / "ours.db")) as file:
            sql = f"SELECT {_reading._COLUMNS} FROM events ORDER BY version"
            rows = file.execute(sql).fetchall()
            selected = _least(lambda _: file.execute(sql).fetchall(), [None]) / _EVENTS
    recorded = [store._scribe.recorded(row) for row in rows]
    parts = [
        Part("rows are selected", selected),
        *_recorded(rows[1:], store._scribe),
        Part(
            "the fold",
            _least(lambda _: Connection.replay(connection.id, recorded), [None]) / _EVENTS,
        ),
    ]
    rest = rebuilt - sum(part.cost for part in parts)
    return [*parts, Part("pages, another thread, asynchronous iteration", rest)]


def _recorded(rows: Sequence[Row], scribe: Scribe) -> Iterator[Part]:
    """The parts of what makes a row an event."""
    decode = msgspec.json.Decoder(ConnectionSynced).decode
    plan, data = scribe._codec._plan(ConnectionSynced), [row[8] for row in rows]
    assert plan.read is not None
    decoded, strict = _least(decode, data), _least(plan.read, data)
    yield Part("JSON is read into the event", decoded)
    yield Part("it is written again, and compared to the byte", strict - decoded)
    yield Part(
        "the recorded event is made, and its row checked", _least(scribe.recorded, rows) - strict
    )


def rebuilding() -> list[Part]:
    """The parts of `Repository.get`, for an aggregate of a thousand events in a SQLite file."""
    return asyncio.run(_rebuilding())


PARTS = {
    "encode one event": encoding,
    "rebuild an aggregate of 1,000 events": rebuilding,
}
"""By the row of the table that they explain."""


def main() -> None:
    """Measure and print."""
    for name, parts in PARTS.items():
        print(f"{name}, µs an event")
        for part in parts():
            print(f"  {part.name:64} {part.cost:6.2f}")


if __name__ == "__main__":
    main()
