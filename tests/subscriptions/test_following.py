"""Following a store: nothing left out, nothing repeated, whatever is written meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dashtam_events.errors import FutureSchemaVersion
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store import EventStore, InMemoryEventStore, SQLiteEventStore
from dashtam_events.subscriptions import follow
from tests.subscriptions.houses import REGISTRY, DoorOpened, WindowOpened, open_doors, open_windows
from tests.subscriptions.poison import until


async def first(count: int, following: Any) -> list[RecordedEvent]:
    taken: list[RecordedEvent] = []
    async with asyncio.timeout(20), aclosing(following) as events:
        async for recorded in events:
            taken.append(recorded)  # it never ends by itself
            if len(taken) == count:
                break
    return taken


def numbers(taken: list[RecordedEvent]) -> list[int]:
    return [recorded.event.number for recorded in taken]  # type: ignore[attr-defined]  # both kinds have one


async def test_what_was_and_what_comes_in_one_iteration(store: EventStore) -> None:
    await open_doors(store, 1, 2)
    following = asyncio.ensure_future(first(4, follow(store)))
    await asyncio.sleep(0.02)
    await open_doors(store, 3)
    await open_doors(store, 4)
    assert numbers(await following) == [1, 2, 3, 4]


async def test_an_empty_store_is_waited_for(store: EventStore) -> None:
    following = asyncio.ensure_future(first(1, follow(store)))
    await asyncio.sleep(0.02)
    await open_doors(store, 1)
    assert numbers(await following) == [1]


async def test_it_goes_on_after_a_position(store: EventStore) -> None:
    await open_doors(store, 1, 2, 3)
    [seen] = await first(1, follow(store))
    assert numbers(await first(2, follow(store, after=seen.position))) == [2, 3]


async def test_more_than_a_page(store: EventStore) -> None:
    await open_doors(store, *range(600))
    assert numbers(await first(600, follow(store))) == list(range(600))


@pytest.mark.parametrize("count", [256, 512])
async def test_whole_pages_are_followed_by_what_comes(store: EventStore, count: int) -> None:
    await open_doors(store, *range(count))
    following = asyncio.ensure_future(first(count + 1, follow(store)))
    await asyncio.sleep(0.05)
    await open_doors(store, count)
    assert numbers(await following) == list(range(count + 1))


async def test_all_before_an_event_that_cannot_be_read_are_given(from_elsewhere: Path) -> None:
    async with SQLiteEventStore(from_elsewhere, registry=REGISTRY) as store:
        events = follow(store)
        assert numbers([await anext(events)]) == [1]
        with pytest.raises(FutureSchemaVersion) as refused:
            await anext(events)
    assert refused.value.position == 2


async def test_filters_hold(store: EventStore) -> None:
    somebody = uuid4()
    await open_doors(store, 1)
    await open_windows(store, 2)
    await open_doors(store, 3, user_id=somebody)
    assert numbers(await first(1, follow(store, types=[WindowOpened]))) == [2]
    assert numbers(await first(1, follow(store, categories=["windows"]))) == [2]
    assert numbers(await first(1, follow(store, subject=somebody))) == [3]
    assert numbers(await first(2, follow(store, types=["DoorOpened"]))) == [1, 3]


async def test_writers_at_the_same_time(store: EventStore) -> None:
    """Twenty writers, and a filter that takes every other event: all of them, once each."""

    async def writer(base: int) -> None:
        for number in range(10):
            await open_windows(store, 0)
            await open_doors(store, base + number)

    following = asyncio.ensure_future(first(200, follow(store, types=[DoorOpened], poll=0.5)))
    await asyncio.gather(*(writer(base * 10) for base in range(20)))
    taken = await following
    assert sorted(numbers(taken)) == list(range(200))
    positions = [recorded.position for recorded in taken]
    assert positions == sorted(set(positions))


class Watched(InMemoryEventStore):
    """Notes from where it is read and waited on, and lets an append slip in while it is read."""

    def __init__(self) -> None:
        super().__init__(registry=REGISTRY)
        self.asked: list[Position | None] = []
        self.waits: list[Position | None] = []
        self.slip_in: list[int] = []

    async def read_all(self, **asked: Any) -> AsyncIterator[RecordedEvent]:
        self.asked.append(asked["after"])
        found = [recorded async for recorded in super().read_all(**asked)]
        while self.slip_in:
            await open_doors(self, self.slip_in.pop())
        for recorded in found:
            yield recorded

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        self.waits.append(after)
        return await super().wait(after=after, timeout=timeout)


async def test_what_is_committed_while_nothing_matches_is_not_skipped() -> None:
    store = Watched()
    await open_windows(store, 1, 2, 3)
    store.slip_in = [4]
    taken = await first(1, follow(store, types=[DoorOpened]))
    assert numbers(taken) == [4]


async def test_what_did_not_match_is_not_read_again() -> None:
    store = Watched()
    await open_windows(store, *range(50))
    end = await store.last_position()
    following = asyncio.ensure_future(first(1, follow(store, types=[DoorOpened])))
    await asyncio.sleep(0.02)
    await open_doors(store, 1)
    await following
    assert store.asked == [None, end]
    assert store.waits == [end]


async def test_a_wake_up_that_fails_to_come_is_made_good_by_polling() -> None:
    class Deaf(InMemoryEventStore):
        async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
            await asyncio.sleep(timeout or 0)
            return False

    store = Deaf(registry=REGISTRY)
    following = asyncio.ensure_future(first(1, follow(store, poll=0.02)))
    await asyncio.sleep(0.01)
    await open_doors(store, 1)
    assert numbers(await following) == [1]


async def test_cancelling_leaves_nothing_behind(store: EventStore) -> None:
    # A store may begin to listen when it is first waited for, and goes on.
    await store.wait(after=None, timeout=0.01)
    before = asyncio.all_tasks()
    following = asyncio.ensure_future(first(1, follow(store)))
    await asyncio.sleep(0.02)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    await until(lambda: asyncio.all_tasks() <= before)
    await open_doors(store, 1)
    assert numbers(await first(1, follow(store))) == [1]
