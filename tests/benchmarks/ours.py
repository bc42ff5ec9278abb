"""Ours: the public interface, as a service uses it."""

import asyncio
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from uuid import uuid4

from dashtam_events import EventRegistry, InMemoryEventBus, Repository, SQLiteEventStore, StreamId
from dashtam_events.codec import EventCodec
from tests.benchmarks.workload import (
    BENCH,
    FIELDS,
    REBUILDS,
    Connection,
    ConnectionStarted,
    ConnectionSynced,
    scratch,
    timed,
)

__all__ = [
    "append",
    "concurrent",
    "construct",
    "decode",
    "encode",
    "memory",
    "publish",
    "read_log",
    "rebuild",
]


async def append(saves: int, per_save: int) -> float:
    """`Repository.save`, one a batch of events."""
    with scratch() as folder:
        async with SQLiteEventStore(folder / "ours.db", registry=BENCH) as store:
            repository = Repository(store, Connection)
            connection = Connection.start()
            connection.sync()
            await repository.save(connection)
            with timed(saves * per_save) as cost:
                for _ in range(saves):
                    for _ in range(per_save):
                        connection.sync()
                    await repository.save(connection)
    return cost[0]


async def concurrent(tasks: int, saves: int) -> float:
    """Many tasks, each saving one event at a time to its own stream."""

    async def one(store: SQLiteEventStore) -> None:
        stream = StreamId("bench", uuid4())
        for version in range(saves):
            await store.append(stream, [ConnectionSynced(**FIELDS)], expected=version)  # type: ignore[arg-type]  # a dict of mixed values

    with scratch() as folder:
        async with SQLiteEventStore(folder / "ours.db", registry=BENCH) as store:
            with timed(tasks * saves) as cost:
                await asyncio.gather(*(one(store) for _ in range(tasks)))
    return cost[0]


async def rebuild(events: int, times: int = REBUILDS) -> float:
    """`Repository.get` of one aggregate."""
    with scratch() as folder:
        async with SQLiteEventStore(folder / "ours.db", registry=BENCH) as store:
            repository = Repository(store, Connection)
            connection = Connection.start()
            for _ in range(events):
                connection.sync()
            await repository.save(connection)
            await store.last_position()  # a connection to read over is open, as by hand
            with timed(events * times) as cost:
                for _ in range(times):
                    again = await repository.get(connection.id)
    assert again.syncs == events
    return cost[0]


async def read_log(events: int) -> float:
    """`read_all`, from the beginning to the end."""
    with scratch() as folder:
        async with SQLiteEventStore(folder / "ours.db", registry=BENCH) as store:
            made = [ConnectionStarted(provider_slug="schwab")]
            made += [ConnectionSynced(**FIELDS) for _ in range(events - 1)]  # type: ignore[misc, arg-type]  # a dict of mixed values
            await store.append(StreamId("bench", uuid4()), made)
            await store.last_position()  # a connection to read over is open, as by hand
            seen = 0
            with timed(events) as cost:
                async for _recorded in store.read_all():
                    seen += 1
    assert seen == events
    return cost[0]


def encode(times: int) -> float:
    """`EventCodec.encode`."""
    codec = EventCodec(BENCH)
    one = ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values
    codec.encode(one)
    with timed(times) as cost:
        for _ in range(times):
            codec.encode(one)
    return cost[0]


def decode(times: int, registry: EventRegistry = BENCH) -> float:
    """`EventCodec.decode`, by the classes of a registry."""
    codec = EventCodec(registry)
    encoded = EventCodec(BENCH).encode(ConnectionSynced(**FIELDS))  # type: ignore[arg-type]  # a dict of mixed values
    codec.decode(encoded)
    with timed(times) as cost:
        for _ in range(times):
            codec.decode(encoded)
    return cost[0]


def construct(times: int) -> float:
    """An event with its own id and time."""
    with timed(times) as cost:
        for _ in range(times):
            ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values
    return cost[0]


async def publish(handlers: list[Callable[[object], Awaitable[None]]], times: int) -> float:
    """`InMemoryEventBus.publish` to handlers that never suspend."""
    bus = InMemoryEventBus()
    for handler in handlers:
        bus.subscribe(ConnectionSynced, handler)
    one = ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values
    with timed(times) as cost:
        for _ in range(times):
            await bus.publish(one)
    return cost[0]


def memory(events: int) -> float:
    """Bytes of a decoded event."""
    codec = EventCodec(BENCH)
    encoded = [codec.encode(ConnectionSynced(**FIELDS)) for _ in range(events)]  # type: ignore[arg-type]  # a dict of mixed values
    codec.decode(encoded[0])
    tracemalloc.start()
    kept = [codec.decode(one) for one in encoded]
    used, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (used - sys.getsizeof(kept)) / events
