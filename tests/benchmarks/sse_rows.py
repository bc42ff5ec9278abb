"""The rows of the table about Server-Sent Events: a frame, and telling many of it."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import msgspec

from dashtam_events.sse import ServerSentEvent, SSEHub
from tests.benchmarks.harness import Row
from tests.benchmarks.sse_servers import FIELDS
from tests.benchmarks.workload import timed

__all__ = ["TYPE", "encoded", "sse_rows"]

TYPE = "bench.told"
_LISTENERS = 100
_encoder = msgspec.json.Encoder()


def sse_rows(scale: int) -> list[Row]:
    """Both in one process, without a server; `sse_live` measures those."""
    frames, told = 4_000 * scale, 40 * scale
    return [
        Row(
            name="SSE, encode one event",
            limit=lambda: _encoded_by_hand(frames),
            rival=lambda: _encoded_by_rival(frames // 5),
            ours=lambda: encoded(frames),
            target=2.5,
            note="Ours refuses data that a browser or JSON could not carry. The rival makes JSON "
            "with Python's own module when its event is made, so that is in its figure.",
        ),
        Row(
            name="SSE, tell one of 100 listeners",
            limit=lambda: asyncio.run(_told_by_hand(told)),
            ours=lambda: asyncio.run(_told(told)),
            target=1.5,
            note="By hand each listener has an `asyncio.Queue`, which is what the rival's "
            "documentation shows: it has no hub of its own. Those are unbounded; ours cuts off a "
            "listener that falls behind.",
        ),
    ]


def _frame(event_id: UUID) -> bytes:
    data = _encoder.encode(FIELDS)
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (str(event_id).encode(), TYPE.encode(), data)


def _encoded_by_hand(times: int) -> float:
    ids = [uuid4() for _ in range(times)]
    with timed(times) as cost:
        for event_id in ids:
            _frame(event_id)
    return cost[0]


def _encoded_by_rival(times: int) -> float:
    """sse-starlette makes JSON of the data when its event is made, so that is in."""
    from sse_starlette.event import JSONServerSentEvent

    ids = [uuid4() for _ in range(times)]
    with timed(times) as cost:
        for event_id in ids:
            JSONServerSentEvent(FIELDS, event=TYPE, id=str(event_id), sep="\n").encode()
    return cost[0]


def _events(times: int) -> Iterator[ServerSentEvent]:
    """Events that were not encoded: each keeps the frame that it was encoded to."""
    user = uuid4()
    for _ in range(times):
        yield ServerSentEvent(event_type=TYPE, user_id=user, data=FIELDS)


def encoded(times: int) -> float:
    """`ServerSentEvent.encode`, microseconds an event."""
    made = list(_events(times))
    with timed(times) as cost:
        for one in made:
            one.encode()
    return cost[0]


async def _told_by_hand(times: int) -> float:
    queues: list[asyncio.Queue[bytes]] = [asyncio.Queue() for _ in range(_LISTENERS)]
    ids = [uuid4() for _ in range(times)]
    with timed(times * _LISTENERS) as cost:
        for event_id in ids:
            frame = _frame(event_id)
            for queue in queues:
                queue.put_nowait(frame)
            for queue in queues:
                await queue.get()
    return cost[0]


async def _told(times: int) -> float:
    hub, made = SSEHub(), list(_events(times))
    async with AsyncExitStack() as stack:
        listening = [
            await stack.enter_async_context(hub.subscribe(made[0].user_id))
            for _ in range(_LISTENERS)
        ]
        with timed(times * _LISTENERS) as cost:
            for one in made:
                await hub.publish(one)
                for listener in listening:
                    await anext(listener)
    return cost[0]
