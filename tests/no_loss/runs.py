"""Runs: some write and some read at the same time, and the history of it is made."""

import asyncio
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from time import monotonic
from typing import Any

import attrs

from dashtam_events.recorded import StreamId
from dashtam_events.store import EventStore
from tests.no_loss.history import Call, Entry, History
from tests.no_loss.readers import READERS, Notes, Read
from tests.no_loss.writers import MakeWriter, Writer

__all__ = ["Load", "Open", "run"]

Open = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens a store; where other processes do so too, it can be sent to them."""


@attrs.frozen(kw_only=True)
class Load:
    """What a run is made of.

    `writers` and `appends` are those of all processes together: of this one, where `stores` are
    open, and of so many `processes` beside it, each with a store of its own.
    """

    open: Open
    writers: int = 8
    appends: int = 200
    seed: int = 0
    stores: int = 1
    processes: int = 0
    make_writer: MakeWriter = Writer
    readers: Sequence[Read] = READERS
    patience: float = 60.0

    @property
    def turns(self) -> int:
        """How often each writer appends."""
        return -(-self.appends // self.writers)

    def shares(self) -> list["Load"]:
        """What each process writes: this one first."""
        processes = min(1 + self.processes, self.writers)
        return [self._share(part, processes) for part in range(processes)]

    def _share(self, part: int, parts: int) -> "Load":
        writers = self.writers // parts + (part < self.writers % parts)
        return attrs.evolve(
            self,
            writers=writers,
            appends=self.turns * writers,
            seed=self.seed * parts + part,
            readers=(),
        )


async def run(load: Load, processes: Executor | None = None) -> History:
    """Let writers and readers loose, until everybody has seen everything or waited too long.

    The last of several stores is only read: it has to hear of new events from elsewhere.
    """
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(load.open()) for _ in range(load.stores)]
        notes = [Notes(read.__name__) for read in load.readers]
        reading = [
            asyncio.create_task(read(stores[-1 - nth % len(stores)], note))
            for nth, (read, note) in enumerate(zip(load.readers, notes, strict=True))
        ]
        try:
            calls = await _written(load, stores[:-1] or stores, processes)
            log = await _log(stores[-1])
            await _until_seen(log, notes, load.patience)
        finally:
            await _stop(reading)
        return History(
            calls=tuple(calls),
            readings=tuple(note.reading() for note in notes),
            log=log,
            streams=await _streams(stores[-1], calls),
            patience=load.patience,
        )


async def _written(
    load: Load, stores: Sequence[EventStore], processes: Executor | None
) -> list[Call]:
    ours, *theirs = load.shares()
    loop = asyncio.get_running_loop()
    elsewhere = [loop.run_in_executor(processes, _write_beside_others, share) for share in theirs]
    calls = await _write(ours, stores)
    for share in await asyncio.gather(*elsewhere):
        calls += share
    return calls


def _write_beside_others(share: Load) -> list[Call]:
    """What another process does."""

    async def write() -> list[Call]:
        async with share.open() as store:
            return await _write(share, [store])

    return asyncio.run(write())


async def _write(share: Load, stores: Sequence[EventStore]) -> list[Call]:
    writers = [
        share.make_writer(
            f"{share.seed}_{nth}", stores[nth % len(stores)], random.Random(f"{share.seed}/{nth}")
        )
        for nth in range(share.writers)
    ]
    async with asyncio.TaskGroup() as group:
        for writer in writers:
            group.create_task(writer.write(share.turns))
    return [call for writer in writers for call in writer.calls]


async def _log(store: EventStore) -> tuple[Entry, ...]:
    return tuple([Entry.of(recorded) async for recorded in store.read_all()])


async def _streams(store: EventStore, calls: Sequence[Call]) -> dict[StreamId, tuple[Entry, ...]]:
    return {
        stream: tuple([Entry.of(recorded) async for recorded in store.read_stream(stream)])
        for stream in {part.stream for call in calls for part in call.parts}
    }


async def _until_seen(log: Sequence[Entry], notes: Sequence[Notes], patience: float) -> None:
    """Let each reader come to the end of the log, unless it sees nothing new for too long."""
    over = monotonic()
    for note in notes:
        last = max((entry.position for entry in log if note.wants(entry)), default=0)
        while (note.after or 0) < last and note.count <= len(log):
            if monotonic() - max(over, note.saw_last) > 1.5 * patience:
                break
            await asyncio.sleep(0.005)


async def _stop(reading: Sequence[asyncio.Task[None]]) -> None:
    """End those who read; raises where one of them has failed."""
    for task in reading:
        task.cancel()
    for ended in await asyncio.gather(*reading, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
