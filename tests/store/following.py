"""What tests of several stores do to them."""

import asyncio

from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store import AppendResult, EventStore
from dashtam_events.testing._store_samples import a_stream, lit, stream_of

__all__ = ["cancel_appends", "follow"]


async def follow(store: EventStore, until: int, *, limit: int | None = None) -> list[RecordedEvent]:
    """The log up to so many events, as somebody sees it who waits for each of them."""
    seen: list[RecordedEvent] = []
    after: Position | None = None
    while len(seen) < until:
        await store.wait(after=after)
        async for recorded in store.read_all(after=after, limit=limit):
            seen.append(recorded)
            after = recorded.position
    return seen


async def cancel_appends(store: EventStore) -> None:
    """Cancel 200 appends one by one while they are written: each must be whole or absent."""
    streams = [a_stream() for _ in range(200)]
    tasks = [asyncio.create_task(store.append(stream, lit(3))) for stream in streams]
    for task in tasks[::2]:
        await asyncio.sleep(0.0002)
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for stream, outcome in zip(streams, outcomes, strict=True):
        count = len(await stream_of(store, stream))
        assert count == 3 if isinstance(outcome, AppendResult) else count in (0, 3)
