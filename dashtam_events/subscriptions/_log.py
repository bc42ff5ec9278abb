"""What a runner reads: the whole log of a store, or a partition of it."""

import asyncio
from collections import deque
from typing import Protocol

import attrs

from dashtam_events.recorded import Position
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._batches import Batch, Filter, Item, read_batch
from dashtam_events.subscriptions.partitions import partition_of

__all__ = ["Log", "SharedLog", "WholeLog"]

_PAGES_KEPT = 8


class Log(Protocol):
    """Events in commit order, and the wait for more of them."""

    async def read(self, after: Position | None, size: int) -> Batch:
        """The next wanted events after a position, at most `size` of them.

        It is reached a position before that one only where the log ends there.
        """
        ...

    async def wait(self, after: Position | None, timeout: float) -> None:
        """Wait until the log may go on after a position, or for so many seconds."""
        ...


@attrs.frozen(kw_only=True)
class WholeLog:
    """All wanted events of a store, up to a position if one is given."""

    store: EventStore
    wanted: Filter
    until: Position | None = None

    async def read(self, after: Position | None, size: int) -> Batch:
        """The next wanted events after a position."""
        batch = await read_batch(self.store, after, self.wanted, size, self.until)
        if after is None or batch.reached != after:
            return batch
        last = await self.store.last_position()
        return attrs.evolve(batch, reached=last) if (last or 0) < after else batch

    async def wait(self, after: Position | None, timeout: float) -> None:
        """Wait until the store has more."""
        await self.store.wait(after=after, timeout=timeout)


@attrs.frozen(kw_only=True)
class _Page:
    """What was read after a position, sorted by partition."""

    after: int
    reached: Position | None
    is_last: bool
    items: dict[int, list[Item]]

    def holds(self, after: int) -> bool:
        """Whether what comes next after a position is in it."""
        return self.after <= after < (self.reached or 0)

    def of(self, partition: int, after: int, size: int) -> Batch:
        """The next events of a partition after a position."""
        items = [each for each in self.items.get(partition, ()) if each.position > after]
        if len(items) > size:
            ahead = items[size - 1].position
            return Batch(items=tuple(items[:size]), reached=ahead, is_last=False)
        # Only a log that ends is known to end before them.
        reached = self.reached if self.is_last else Position(max(after, self.reached or 0)) or None
        return Batch(items=tuple(items), reached=reached, is_last=self.is_last)


class SharedLog:
    """Reads a log once for all partitions that are near each other; belongs to one event loop.

    One page is read at a time. It begins where the hindmost stands of those who wait for it, so
    that partitions that were taken over, each at a position of its own, do not read the same
    events one after the other. However many partitions there are, one wait is enough for all.

    Args:
        log: what is read.
        partitions: into how many it is divided.
        page: how many events are read at once; a few pages are kept.
    """

    def __init__(self, log: Log, partitions: int, page: int) -> None:
        self._log, self._partitions, self._size = log, partitions, page
        self._pages: deque[_Page] = deque(maxlen=_PAGES_KEPT)
        self._reading = asyncio.Lock()
        self._asking: list[int] = []
        # Where the log was seen to end; None once it may have gone on.
        self._end: int | None = None
        self._waiting: asyncio.Task[None] | None = None

    def part(self, partition: int) -> Log:
        """The log of one partition."""
        return _Part(self, partition)

    async def read(self, partition: int, after: Position | None, size: int) -> Batch:
        """The next events of a partition."""
        at = after or 0
        self._asking.append(at)
        try:
            async with self._reading:
                if self._end == at:
                    return Batch(items=(), reached=after, is_last=True)
                page = self._kept(at) or await self._next(at)
        finally:
            self._asking.remove(at)
        return page.of(partition, at, size)

    def _kept(self, after: int) -> _Page | None:
        return next((page for page in self._pages if page.holds(after)), None)

    async def _next(self, at: int) -> _Page:
        near = (each for each in self._asking if at - self._size < each <= at)
        after = min(each for each in near if self._kept(each) is None)
        batch = await self._log.read(Position(after) or None, self._size)
        items: dict[int, list[Item]] = {}
        for item in batch.items:
            items.setdefault(partition_of(item.stream, self._partitions), []).append(item)
        page = _Page(after=after, reached=batch.reached, is_last=batch.is_last, items=items)
        if page.holds(page.after):
            self._pages.append(page)
        if batch.is_last:
            self._end = batch.reached or 0
        return page

    async def wait(self, after: Position | None, timeout: float) -> None:
        """Wait with all the others."""
        if self._end is None or (after or 0) < self._end:
            return
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._wait(self._end, timeout))
            self._waiting.add_done_callback(_heard)
        await asyncio.shield(self._waiting)

    async def _wait(self, end: int, timeout: float) -> None:
        try:
            await self._log.wait(Position(end) or None, timeout)
        finally:
            self._end = self._waiting = None

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._waiting is not None:
            self._waiting.cancel()


def _heard(task: "asyncio.Task[None]") -> None:
    """Those who waited have its error; there may be none of them left."""
    if not task.cancelled():
        task.exception()


@attrs.frozen
class _Part:
    log: SharedLog
    partition: int

    async def read(self, after: Position | None, size: int) -> Batch:
        return await self.log.read(self.partition, after, size)

    async def wait(self, after: Position | None, timeout: float) -> None:
        await self.log.wait(after, timeout)
