"""The rows of the table that need no server of a database."""

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType

from tests.benchmarks import earlier, limit, ours
from tests.benchmarks.harness import Row
from tests.benchmarks.importing import import_time
from tests.benchmarks.postgres.rows import postgres_rows
from tests.benchmarks.sse_rows import sse_rows
from tests.benchmarks.workload import counts_processor_time

__all__ = ["rows"]


def rows(scale: int) -> list[Row]:
    """All rows, each sample about `scale` times a hundred milliseconds of work at the most."""
    return [
        *_sqlite_rows(scale),
        *postgres_rows(scale),
        *_codec_rows(scale),
        *_bus_rows(scale),
        *sse_rows(scale),
        *_object_rows(scale),
    ]


def _sqlite_rows(scale: int) -> list[Row]:
    events = 1_000 * scale
    return [
        Row(
            name="SQLite append, 10 events a save",
            limit=lambda: limit.append(10 * scale, 10),
            rival=lambda: _rival().append(10 * scale, 10),
            ours=lambda: asyncio.run(ours.append(10 * scale, 10)),
            target=2,
            note="Ours does not block the event loop: a thread of its own writes.",
        ),
        Row(
            name="SQLite append, 1 event a save",
            limit=lambda: limit.append(50 * scale, 1),
            rival=lambda: _rival().append(50 * scale, 1),
            ours=lambda: asyncio.run(ours.append(50 * scale, 1)),
            target=2,
        ),
        Row(
            name="SQLite append, 50 tasks at once",
            limit=lambda: asyncio.run(limit.concurrent(50, 4 * scale)),
            ours=lambda: asyncio.run(ours.concurrent(50, 4 * scale)),
            target=1.5,
            note="By hand a thread commits what waits, too, and each save is that of a task. The "
            "rival would block the loop for the length of each save, one after the other.",
        ),
        Row(
            name="rebuild an aggregate of 1,000 events",
            limit=lambda: limit.rebuild(1_000),
            rival=lambda: _rival().rebuild(1_000),
            ours=lambda: asyncio.run(ours.rebuild(1_000)),
            target=2.5,
        ),
        Row(
            name="read the whole log, decoded",
            limit=lambda: limit.read_log(events),
            rival=lambda: _rival().read_log(events),
            ours=lambda: asyncio.run(ours.read_log(events)),
            target=2.5,
            note="Ours gives each event with its position, stream, version, time and metadata.",
        ),
    ]


def _codec_rows(scale: int) -> list[Row]:
    times = 5_000 * scale
    return [
        Row(
            name="encode one event",
            limit=lambda: limit.encode(times),
            rival=lambda: _rival().encode(times // 10),
            ours=lambda: ours.encode(times),
            target=2,
            note="Ours checks the type of each value, and refuses what could not be read back.",
        ),
        Row(
            name="decode one event",
            limit=lambda: limit.decode(times),
            rival=lambda: _rival().decode(times // 10),
            ours=lambda: ours.decode(times),
            target=2,
            note="Ours coerces nothing: what it reads would be written as the very same bytes.",
        ),
        Row(
            name="decode an event from before a field was added",
            limit=lambda: limit.decode(times, earlier.grown_by_hand),
            ours=lambda: ours.decode(times, earlier.GROWN),
            target=4,
            note="The field has a default. Ours writes again what was there, in the order in which "
            "it was there.",
        ),
        Row(
            name="decode an event through an upcaster",
            limit=lambda: limit.decode(times, earlier.upcast_by_hand),
            ours=lambda: ours.decode(times, earlier.UPCAST),
            target=4,
            note="By hand the dict is converted, and nothing is compared.",
        ),
    ]


def _bus_rows(scale: int) -> list[Row]:
    times = 5_000 * scale
    one, four = _handlers(1), _handlers(4)
    return [
        Row(
            name="publish to 4 handlers",
            limit=_in_loop(lambda: limit.publish(four, times)),
            rival=_in_loop(lambda: _rival().publish(four, times // 5)),
            ours=_in_loop(lambda: ours.publish(four, times)),
            target=3,
            note="The rival is blinker. With it, and by hand, a handler that fails keeps the "
            "event from those behind it; with ours it harms nobody.",
        ),
        Row(
            name="publish to 1 handler",
            limit=_in_loop(lambda: limit.publish(one, times)),
            rival=_in_loop(lambda: _rival().publish(one, times // 5)),
            ours=_in_loop(lambda: ours.publish(one, times)),
            target=3,
        ),
    ]


def _object_rows(scale: int) -> list[Row]:
    events, times = 200 * scale, 5_000 * scale
    rival_imported = "eventsourcing.application, eventsourcing.sqlite"
    imported_by_hand = "attrs, msgspec, uuid_utils.compat, datetime, decimal, sqlite3, uuid"
    return [
        Row(
            name="construct an event",
            limit=lambda: limit.construct(times),
            rival=lambda: _rival().construct(times // 10),
            ours=lambda: ours.construct(times),
            target=1.2,
            note="Ours refuses naive datetimes. The rival's event has no id but its place in its "
            "aggregate.",
        ),
        Row(
            name="memory of a decoded event",
            unit="B",
            limit=lambda: limit.memory(events),
            rival=lambda: _rival().memory(events),
            ours=lambda: ours.memory(events),
            target=1.1,
        ),
        Row(
            name="import, above asyncio",
            unit="ms",
            limit=lambda: import_time(imported_by_hand),
            rival=lambda: import_time(rival_imported),
            # The guard is told what ours adds to that: a package more shows in it the most.
            ours=lambda: import_time(
                "dashtam_events", behind=imported_by_hand if counts_processor_time() else ""
            ),
            target=120,
            against="absolute",
            note="By hand it is what the other rows import by hand: attrs, msgspec, uuid-utils and "
            "some modules of the standard library, the heaviest of them `sqlite3`.",
            far=1.15,
        ),
    ]


def _rival() -> ModuleType:
    """It is not there where only ours and the limit are looked at, as by the tests."""
    from tests.benchmarks import rival

    return rival


def _in_loop(sample: Callable[[], Awaitable[float]]) -> Callable[[], float]:
    async def run() -> float:
        return await sample()

    return lambda: asyncio.run(run())


def _handlers(count: int) -> list[Callable[[object], Awaitable[None]]]:
    def another() -> Callable[[object], Awaitable[None]]:
        async def handler(event: object) -> None:
            pass

        return handler

    return [another() for _ in range(count)]
