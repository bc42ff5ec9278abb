"""How cost grows: what one item costs as there is more of everything around it."""

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import attrs

from dashtam_events import (
    Append,
    DomainEvent,
    InMemoryEventBus,
    Repository,
    SQLiteEventStore,
    StreamId,
)
from dashtam_events.sse import ServerSentEvent, SSEHub
from tests.benchmarks.workload import (
    BENCH,
    FIELDS,
    Connection,
    ConnectionStarted,
    ConnectionSynced,
    timed,
)

__all__ = ["CURVES", "Curve", "Growth", "Point", "measured"]

_SAVES, _LOADED, _ONE_IN = 200, 100, 10_000
_PAGE = 1_000
_READ = r"""
import asyncio, re, sys
from pathlib import Path
from dashtam_events import SQLiteEventStore
from tests.benchmarks.workload import BENCH

async def main():
    async with SQLiteEventStore(sys.argv[1], registry=BENCH) as store:
        async for _ in store.read_all():
            pass

asyncio.run(main())
# What `resource` tells is never less than the parent had.
(peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(int(peak) / 1024)
"""


@attrs.frozen
class Point:
    """What one item costs, where there are `size` of what the curve is about."""

    size: int
    cost: float


@attrs.frozen(kw_only=True)
class Curve:
    """One question: `sample` does the work at a size and returns the cost of an item.

    `most` is how many times as much an item may cost at the largest size as at the smallest.
    """

    name: str
    along: str
    unit: str = "µs"
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    sample: Callable[[int], float]
    most: float = 2.0
    rounds: int = 3


@attrs.frozen(kw_only=True)
class Growth:
    """The answer: medians by size."""

    name: str
    along: str
    unit: str
    points: tuple[Point, ...]
    most: float

    @property
    def growth(self) -> float:
        """How many times as much an item costs at the largest size as at the smallest."""
        return self.points[-1].cost / self.points[0].cost

    @property
    def met(self) -> bool:
        """True where it stays within its bound."""
        return self.growth <= self.most


def measured(curve: Curve, *, quick: bool) -> Growth:
    """The medians of a few rounds at each size."""
    sizes = curve.quick if quick else curve.sizes
    points = [
        Point(size, statistics.median([curve.sample(size) for _ in range(curve.rounds)]))
        for size in sizes
    ]
    return Growth(
        name=curve.name, along=curve.along, unit=curve.unit, points=tuple(points), most=curve.most
    )


class _Filled:
    """Files with so many events in them, each made once and kept to the end of the program."""

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None
        self._made: set[int] = set()

    def __call__(self, events: int) -> Path:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="growth-")
        path = Path(self._folder.name, f"{events}.db")
        if events not in self._made:
            self._made.add(events)
            asyncio.run(_fill(path, events))
        return path


_filled = _Filled()


async def _fill(path: Path, events: int) -> None:
    """Streams of a hundred events; one event in ten thousand is of another type."""
    async with SQLiteEventStore(path, registry=BENCH, synchronous="NORMAL") as store:
        for begun in range(0, events, _PAGE):
            page: list[DomainEvent] = [_synced() for _ in range(min(_PAGE, events - begun))]
            if begun % _ONE_IN == 0:
                page[0] = ConnectionStarted(provider_slug="schwab")
            parts = [page[first : first + 100] for first in range(0, len(page), 100)]
            await store.append_many(
                [Append(stream=StreamId("bench", uuid4()), events=part) for part in parts]
            )


def _synced() -> ConnectionSynced:
    return ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values


def _at(events: int, work: Callable[[SQLiteEventStore], Awaitable[float]]) -> float:
    path = _filled(events)

    async def run() -> float:
        async with SQLiteEventStore(path, registry=BENCH) as store:
            return await work(store)

    return asyncio.run(run())


async def _append(store: SQLiteEventStore) -> float:
    stream = StreamId("bench", uuid4())
    with timed(_SAVES) as cost:
        for version in range(_SAVES):
            await store.append(stream, [_synced()], expected=version)
    return cost[0]


async def _load(store: SQLiteEventStore) -> float:
    connection = await _saved(store, _LOADED)
    with timed(20) as cost:
        for _ in range(20):
            await Repository(store, Connection).get(connection.id)
    return cost[0]


async def _saved(store: SQLiteEventStore, length: int) -> Connection:
    connection = Connection.start()
    for _ in range(length - 1):
        connection.sync()
    await Repository(store, Connection).save(connection)
    return connection


def _rebuild(length: int) -> float:
    async def run(store: SQLiteEventStore) -> float:
        connection = await _saved(store, length)
        with timed(length) as cost:
            await Repository(store, Connection).get(connection.id)
        return cost[0]

    return _at(0, run)


async def _rare(store: SQLiteEventStore) -> float:
    found = 0
    with timed(1) as cost:
        async for _recorded in store.read_all(types=[ConnectionStarted]):
            found += 1
    return cost[0] / found


def _publish(handlers: int) -> float:
    async def run() -> float:
        bus, one = InMemoryEventBus(), _synced()
        for _ in range(handlers):
            bus.subscribe(ConnectionSynced, _handler())
        times = max(10_000 // handlers, 10)
        with timed(times * handlers) as cost:
            for _ in range(times):
                await bus.publish(one)
        return cost[0]

    return asyncio.run(run())


def _handler() -> Callable[[ConnectionSynced], Awaitable[None]]:
    async def handler(event: ConnectionSynced) -> None:
        pass

    return handler


def _fan_out(clients: int) -> float:
    async def run() -> float:
        hub, user, times = SSEHub(), uuid4(), max(20_000 // clients, 10)
        one = ServerSentEvent(event_type="bench", user_id=user, data={"n": 1})
        async with AsyncExitStack() as stack:
            listening = [
                await stack.enter_async_context(hub.subscribe(user)) for _ in range(clients)
            ]
            with timed(times * clients) as cost:
                for _ in range(times):
                    await hub.publish(one)
                    for subscription in listening:
                        await anext(subscription)
        return cost[0]

    return asyncio.run(run())


def _peak_memory(events: int) -> float:
    command = [sys.executable, "-c", _READ, str(_filled(events))]
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return float(output)


_STORED = (1_000, 100_000, 1_000_000, 5_000_000)
_QUICK = (1_000, 10_000, 50_000)
CURVES = (
    Curve(
        name="append one event",
        along="events in the file",
        sizes=_STORED,
        quick=_QUICK,
        sample=lambda events: _at(events, _append),
    ),
    Curve(
        name="load an aggregate of 100 events",
        along="events in the file",
        sizes=_STORED,
        quick=_QUICK,
        sample=lambda events: _at(events, _load),
    ),
    Curve(
        name="find the one event in 10,000 of a type",
        along="events in the file",
        sizes=(100_000, 1_000_000, 5_000_000),
        quick=(20_000, 50_000),
        sample=lambda events: _at(events, _rare),
    ),
    Curve(
        name="rebuild an aggregate, an event",
        along="events of the stream",
        sizes=(100, 1_000, 10_000, 100_000),
        quick=(100, 1_000, 10_000),
        sample=_rebuild,
    ),
    Curve(
        name="publish, a handler",
        along="handlers",
        sizes=(1, 10, 100, 1_000),
        quick=(1, 10, 100),
        sample=_publish,
    ),
    Curve(
        name="tell a listener through a hub",
        along="listeners",
        sizes=(10, 100, 1_000, 2_000),
        quick=(10, 100, 1_000),
        sample=_fan_out,
    ),
    Curve(
        name="peak memory of reading the log",
        along="events in the file",
        unit="MiB",
        sizes=(1_000, 100_000, 1_000_000),
        quick=_QUICK,
        sample=_peak_memory,
        rounds=1,
        most=1.2,
    ),
)
