"""What it costs to tell of an event, as more are told: handlers, partitions, clients."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from time import process_time
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events import InMemoryEventBus, SQLiteEventStore
from dashtam_events.recorded import RecordedEvent
from dashtam_events.sse import ServerSentEvent, SSEHub
from dashtam_events.subscriptions import ConsumerGroup, Subscription
from dashtam_events.subscriptions.sql import SQLCheckpointStore, create_subscription_tables
from tests.benchmarks.curves.filled import filled
from tests.benchmarks.growth import Curve
from tests.benchmarks.postgres.server import address, new_schema
from tests.benchmarks.sse_servers import ours_from_a_hub
from tests.benchmarks.workload import BENCH, FIELDS, ConnectionSynced, timed

__all__ = ["OF_TELLING"]

_FOLLOWED, _MARK = 20_000, b"event: bench.told"


def _publish(handlers: int) -> float:
    async def run() -> float:
        bus, one = InMemoryEventBus(), ConnectionSynced(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values
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


@asynccontextmanager
async def _checkpoints() -> AsyncIterator[SQLCheckpointStore]:
    engine = create_async_engine(address().replace("postgresql:", "postgresql+asyncpg:"))
    await create_subscription_tables(engine)
    yield SQLCheckpointStore(engine)
    await engine.dispose()


def _follow(partitions: int) -> float:
    """One member has all the partitions; each keeps its checkpoint after each of its batches."""
    path = filled(_FOLLOWED)

    async def run() -> float:
        left, everything = _FOLLOWED, asyncio.Event()

        async def handle(_recorded: RecordedEvent) -> None:
            nonlocal left
            left -= 1
            if not left:
                everything.set()

        async with SQLiteEventStore(path, registry=BENCH) as store, _checkpoints() as kept:
            following = Subscription(new_schema("growth"), store, handle, checkpoints=kept)
            with timed(_FOLLOWED) as cost:
                async with ConsumerGroup(following, partitions=partitions):
                    await everything.wait()
        return cost[0]

    return asyncio.run(run())


def _fan_out(listeners: int) -> float:
    async def run() -> float:
        hub, user, times = SSEHub(), uuid4(), max(20_000 // listeners, 10)
        one = ServerSentEvent(event_type="bench.told", user_id=user, data={"n": 1})
        async with AsyncExitStack() as stack:
            listening = [
                await stack.enter_async_context(hub.subscribe(user)) for _ in range(listeners)
            ]
            with timed(times * listeners) as cost:
                for _ in range(times):
                    await hub.publish(one)
                    for subscription in listening:
                        await anext(subscription)
        return cost[0]

    return asyncio.run(run())


class _Client:
    """A connection to the endpoint without a network: it counts the events that it is sent."""

    def __init__(self) -> None:
        self.received = 0
        self._arrived = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """Say nothing, and stay connected."""
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        """Take a part of the answer."""
        self.received += message.get("body", b"").count(_MARK)
        self._arrived.set()

    async def has(self, events: int) -> None:
        """Wait until it was sent so many; none: until the answer has begun."""
        while self.received < events or not self._arrived.is_set():
            self._arrived.clear()
            await self._arrived.wait()


def _served(clients: int) -> float:
    """Processor time: the endpoint waits some milliseconds for events that come together."""

    async def run() -> float:
        endpoint, tell = ours_from_a_hub()
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
        listening = [_Client() for _ in range(clients)]
        times = max(2_000 // clients, 10)
        async with asyncio.TaskGroup() as group:
            streams = [
                group.create_task(endpoint(scope, each.receive, each.send)) for each in listening
            ]
            for each in listening:
                await each.has(0)
            begun = process_time()
            for number in range(1, times + 1):
                await tell(1)
                for each in listening:
                    await each.has(number)
            used = process_time() - begun
            for stream in streams:
                stream.cancel()
        return used / (times * clients) * 1e6

    return asyncio.run(run())


OF_TELLING = (
    Curve(
        name="publish, a handler",
        along="handlers",
        sizes=(1, 10, 100, 1_000),
        quick=(1, 10, 100),
        sample=_publish,
    ),
    Curve(
        name="follow the log in a consumer group, checkpoints in PostgreSQL, an event",
        along="partitions",
        sizes=(1, 4, 16, 64),
        quick=(1, 16, 64),
        sample=_follow,
        guarded=False,
    ),
    Curve(
        name="tell a listener through a hub",
        along="listeners",
        sizes=(10, 100, 1_000, 2_000),
        quick=(10, 100, 1_000),
        sample=_fan_out,
    ),
    Curve(
        name="tell a client through the endpoint",
        along="clients",
        sizes=(10, 100, 1_000, 2_000),
        quick=(10, 100, 1_000),
        sample=_served,
    ),
)
