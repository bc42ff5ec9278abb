"""The limit: the same work by hand, on the same driver, with nothing around it."""

import asyncio
import sqlite3
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from uuid import UUID

import attrs
import msgspec
from uuid_utils.compat import uuid7

from dashtam_events._clock import now
from tests.benchmarks.workload import FIELDS, REBUILDS, scratch, timed

__all__ = [
    "Plain",
    "append",
    "concurrent",
    "construct",
    "decode",
    "decoder",
    "encode",
    "memory",
    "publish",
    "read_log",
    "rebuild",
    "rows",
]

_SCHEMA = """
    CREATE TABLE events (
        position INTEGER PRIMARY KEY, event_id BLOB NOT NULL UNIQUE, stream TEXT NOT NULL,
        version INTEGER NOT NULL, type TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (stream, version)
    ) STRICT
"""
_INSERT = "INSERT INTO events (event_id, stream, version, type, data) VALUES (?, ?, ?, ?, ?)"
_encoder = msgspec.json.Encoder()
_Row = tuple[bytes, str, int, str, bytes]
_Save = tuple[_Row, asyncio.Future[None]]


def _has_zone(_instance: object, attribute: "attrs.Attribute[datetime]", value: datetime) -> None:
    if value.tzinfo is None:
        raise ValueError(attribute.name)


@attrs.frozen(kw_only=True, slots=True)
class Plain:
    """The event that is measured, as one would write it by hand."""

    event_id: UUID
    occurred_at: datetime = attrs.field(validator=_has_zone)
    connection_id: UUID
    provider_slug: str
    balance: Decimal
    synced_at: datetime = attrs.field(validator=_has_zone)
    note: str


decoder = msgspec.json.Decoder(Plain)
"""Reads what was written by hand, or by ours, into a class that was written by hand."""


def _made() -> Plain:
    return Plain(event_id=uuid7(), occurred_at=now(), **FIELDS)  # type: ignore[arg-type]  # a dict of mixed values


def _open(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "limit.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(_SCHEMA)
    return connection


def rows(stream: str, after: int, count: int) -> list[_Row]:
    """Events of a stream, built and encoded: id, stream, version, type and data."""
    made = [_made() for _ in range(count)]
    return [
        (one.event_id.bytes, stream, after + 1 + i, "ConnectionSynced", _encoder.encode(one))
        for i, one in enumerate(made)
    ]


def append(saves: int, per_save: int) -> float:
    """Build, encode and insert, one transaction a save."""
    with scratch() as folder:
        connection = _open(folder)
        with timed(saves * per_save) as cost:
            for save in range(saves):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, rows("s", save * per_save, per_save))
                connection.execute("COMMIT")
        connection.close()
    return cost[0]


async def concurrent(tasks: int, saves: int) -> float:
    """Many tasks, each saving one event at a time; a thread commits what waits together."""

    async def one(writer: "_Writer", stream: str) -> None:
        for version in range(saves):
            await writer.save(rows(stream, version, 1)[0])

    with scratch() as folder:
        writer = _Writer(folder)
        with timed(tasks * saves) as cost:
            await asyncio.gather(*(one(writer, f"s{task}") for task in range(tasks)))
        writer.close()
    return cost[0]


class _Writer:
    """Takes whatever waits, commits it in one transaction, and tells everybody."""

    def __init__(self, folder: Path) -> None:
        self._connection, self._waiting = _open(folder), SimpleQueue[_Save | None]()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def save(self, row: _Row) -> asyncio.Future[None]:
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put((row, saved))
        return saved

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        connection = self._connection
        while (save := self._waiting.get()) is not None:
            saves = [save]
            while not self._waiting.empty():
                saves += filter(None, [self._waiting.get()])
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, [row for row, _ in saves])
            connection.execute("COMMIT")
            save[1].get_loop().call_soon_threadsafe(_tell, saves)


def _tell(saves: "list[_Save]") -> None:
    for _, saved in saves:
        saved.set_result(None)


def _filled(folder: Path, events: int) -> sqlite3.Connection:
    connection = _open(folder)
    connection.execute("BEGIN")
    connection.executemany(_INSERT, rows("s", 0, events))
    connection.execute("COMMIT")
    return connection


def rebuild(events: int, times: int = REBUILDS) -> float:
    """SELECT, decode, and fold into two variables."""
    with scratch() as folder:
        connection = _filled(folder, events)
        query = "SELECT version, data FROM events WHERE stream = ? ORDER BY version"
        with timed(events * times) as cost:
            for _ in range(times):
                syncs, balance = 0, None
                for _version, data in connection.execute(query, ("s",)):
                    one = decoder.decode(data)
                    syncs, balance = syncs + 1, one.balance
        connection.close()
    assert syncs == events
    assert balance is not None
    return cost[0]


def read_log(events: int) -> float:
    """SELECT and decode the whole table."""
    with scratch() as folder:
        connection = _filled(folder, events)
        with timed(events) as cost:
            query = "SELECT position, stream, version, data FROM events ORDER BY position"
            seen = 0
            for _position, _stream, _version, data in connection.execute(query):
                decoder.decode(data)
                seen += 1
        connection.close()
    assert seen == events
    return cost[0]


def encode(times: int) -> float:
    """`msgspec.json.encode` of the attrs instance."""
    one = _made()
    with timed(times) as cost:
        for _ in range(times):
            _encoder.encode(one)
    return cost[0]


def decode(times: int, read: Callable[[bytes], object] = decoder.decode) -> float:
    """`msgspec.json.decode` straight into a class that looks at its times, or another reading."""
    data = _encoder.encode(_made())
    with timed(times) as cost:
        for _ in range(times):
            read(data)
    return cost[0]


def construct(times: int) -> float:
    """A frozen slotted attrs class of the same fields, with an id and a time of its own."""
    with timed(times) as cost:
        for _ in range(times):
            Plain(event_id=uuid7(), occurred_at=now(), **FIELDS)  # type: ignore[arg-type]  # a dict of mixed values
    return cost[0]


async def publish(handlers: list[Callable[[object], Awaitable[None]]], times: int) -> float:
    """A function that looks up the handlers of a class, and awaits each in turn."""
    subscribed = {object: handlers}

    async def tell(event: object) -> None:
        for handler in subscribed[type(event)]:
            await handler(event)

    one = object()
    with timed(times) as cost:
        for _ in range(times):
            await tell(one)
    return cost[0]


def memory(events: int) -> float:
    """Bytes of a decoded event, without those of the classes and interned strings."""
    data = [row[4] for row in rows("s", 0, events)]
    tracemalloc.start()
    kept = [decoder.decode(one) for one in data]
    used, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (used - sys.getsizeof(kept)) / events
