"""One reading of a log for all partitions of a member, wherever each of them stands."""

import asyncio
from typing import Any

from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import partition_of
from dashtam_events.subscriptions._batches import Batch, Filter
from dashtam_events.subscriptions._log import SharedLog, WholeLog
from tests.subscriptions.groups import append
from tests.subscriptions.houses import REGISTRY

PARTITIONS = 8


class Counted(InMemoryEventStore):
    """Counts how often it is read and waited for, and how many events it gives."""

    def __init__(self) -> None:
        super().__init__(registry=REGISTRY)
        self.reads = self.given = self.waits = 0

    async def read_all(self, **asked: Any) -> Any:
        self.reads += 1
        await asyncio.sleep(0)
        async for recorded in super().read_all(**asked):
            self.given += 1
            yield recorded

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        self.waits += 1
        return await super().wait(after=after, timeout=timeout)


def shared(store: InMemoryEventStore, page: int = 50) -> SharedLog:
    return SharedLog(WholeLog(store=store, wanted=Filter()), PARTITIONS, page)


async def everything(log: SharedLog, partition: int, after: Position | None = None) -> list[Any]:
    found: list[Any] = []
    part = log.part(partition)
    while True:
        batch = await part.read(after, 3)
        assert len(batch.items) <= 3
        found += batch.items
        after = batch.reached
        if batch.is_last:
            return found


async def test_each_event_comes_in_its_partition_and_in_order() -> None:
    store = Counted()
    await append(store, streams=20, events=10)
    log = shared(store)
    parts = await asyncio.gather(*(everything(log, number) for number in range(PARTITIONS)))
    for number, found in enumerate(parts):
        assert [each.position for each in found] == sorted(each.position for each in found)
        assert {partition_of(each.stream, PARTITIONS) for each in found} <= {number}
    assert sum(map(len, parts)) == 200


async def test_partitions_in_step_read_each_event_once() -> None:
    store = Counted()
    await append(store, streams=20, events=10)
    log = shared(store)
    await asyncio.gather(*(everything(log, number) for number in range(PARTITIONS)))
    assert store.given == 200


async def test_partitions_at_different_positions_share_what_lies_before_them() -> None:
    store = Counted()
    await append(store, streams=20, events=2)
    log = shared(store)
    places = [Position(30 - 4 * number) for number in range(PARTITIONS)]
    parts = await asyncio.gather(
        *(everything(log, number, places[number]) for number in range(PARTITIONS))
    )
    reads = store.reads
    wanted = [
        each.position
        async for each in store.read_all()
        if each.position > places[partition_of(each.stream, PARTITIONS)]
    ]
    assert sorted(each.position for found in parts for each in found) == wanted
    # The first to come did not know of the others.
    assert reads == 2


async def test_what_is_appended_after_the_end_was_seen_is_waited_for_and_read() -> None:
    store = Counted()
    await append(store, streams=1)
    log, number = shared(store), partition_of(StreamId("house", "0"), PARTITIONS)
    part = log.part(number)
    first = await part.read(None, 9)
    assert (len(first.items), first.is_last) == (1, True)
    assert (await part.read(first.reached, 9)).items == ()
    waiting = asyncio.gather(*(log.part(n).wait(first.reached, 60.0) for n in range(PARTITIONS)))
    await asyncio.sleep(0.01)
    await append(store, streams=1)
    async with asyncio.timeout(20):
        await waiting
    assert store.waits == 1
    [found] = (await part.read(first.reached, 9)).items
    assert isinstance(found, RecordedEvent)
    assert found.version == 2


async def test_who_is_behind_what_others_have_read_does_not_wait() -> None:
    store = Counted()
    await append(store, streams=1)
    log = shared(store)
    behind = (await log.part(0).read(None, 9)).reached
    await append(store, streams=1)
    log._end = None
    ahead = (await log.part(0).read(behind, 9)).reached
    waiting = asyncio.ensure_future(log.part(0).wait(ahead, 60.0))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        await log.part(1).wait(behind, 60.0)
    assert not waiting.done()
    log.close()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_who_stands_beyond_the_end_is_told_where_it_is() -> None:
    store = Counted()
    await append(store, streams=1)
    log = shared(store)
    both = await asyncio.gather(log.part(0).read(None, 9), log.part(1).read(Position(7), 9))
    assert both[1] == Batch(items=(), reached=Position(1), is_last=True)
