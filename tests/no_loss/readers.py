"""Those who read the log while it grows, each in another way, and what they take down."""

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store import EventStore
from dashtam_events.subscriptions import InMemoryCheckpointStore, Subscription, follow
from dashtam_events.testing._store_samples import LampPutOut
from tests.no_loss.history import Entry, Reading

__all__ = ["NEVER", "READERS", "Notes", "Read"]

# Longer than anybody may wait: where a wake-up is lost, no poll must make up for it.
NEVER = 600.0


class Notes:
    """What one reader has seen so far."""

    def __init__(self, reader: str) -> None:
        self.reader = reader
        self.types: frozenset[str] | None = None
        self._seen: list[Entry] = []
        self._times: list[float] = []
        self._ends: list[int] = []
        self._began = monotonic()
        self._wanted, self._grown = 0, asyncio.Event()

    def saw(self, recorded: RecordedEvent) -> None:
        """Take down an event."""
        self._seen.append(Entry.of(recorded))
        self._times.append(monotonic())
        if len(self._seen) == self._wanted:
            self._grown.set()

    def came_to_the_end(self) -> None:
        """Take down that there was no more just now."""
        self._ends.append(len(self._seen))

    @property
    def after(self) -> Position | None:
        """Behind what to read on."""
        return Position(self._seen[-1].position) if self._seen else None

    @property
    def count(self) -> int:
        """How many events it has seen."""
        return len(self._seen)

    @property
    def saw_last(self) -> float:
        """When it last saw something."""
        return self._times[-1] if self._times else self._began

    def wants(self, entry: Entry) -> bool:
        return self.types is None or entry.type in self.types

    async def grow(self, by: int) -> None:
        """Wait until so many more events were seen."""
        self._wanted = len(self._seen) + by
        self._grown.clear()
        await self._grown.wait()

    def reading(self) -> Reading:
        """All of it, for the history."""
        return Reading(
            reader=self.reader,
            seen=tuple(self._seen),
            times=tuple(self._times),
            began=self._began,
            ended=monotonic(),
            types=self.types,
            ends=tuple(self._ends),
        )


Read = Callable[[EventStore, Notes], Coroutine[Any, Any, None]]
"""Reads until it is cancelled."""


async def wait_and_read(store: EventStore, notes: Notes) -> None:
    """Wait for more and read it to the end, for ever."""
    while True:
        await store.wait(after=notes.after, timeout=NEVER)
        async for recorded in store.read_all(after=notes.after):
            notes.saw(recorded)
        notes.came_to_the_end()
        await asyncio.sleep(0)


async def page(store: EventStore, notes: Notes) -> None:
    """Read small pages, wait only where one is not full."""
    while True:
        found = [recorded async for recorded in store.read_all(after=notes.after, limit=7)]
        for recorded in found:
            notes.saw(recorded)
        if len(found) < 7:
            notes.came_to_the_end()
            await store.wait(after=notes.after, timeout=NEVER)
        await asyncio.sleep(0)


async def poll(store: EventStore, notes: Notes) -> None:
    """Wait for nothing: look every few milliseconds."""
    while True:
        async for recorded in store.read_all(after=notes.after):
            notes.saw(recorded)
        notes.came_to_the_end()
        await asyncio.sleep(0.005)


async def follow_all(store: EventStore, notes: Notes) -> None:
    """Iterate over the endless log."""
    async for recorded in follow(store, poll=NEVER):
        notes.saw(recorded)
        await asyncio.sleep(0)


async def follow_some(store: EventStore, notes: Notes) -> None:
    """Want one type of event, and pass over the rest."""
    notes.types = frozenset({LampPutOut.__name__})
    async for recorded in follow(store, types=[LampPutOut], poll=NEVER):
        notes.saw(recorded)
        await asyncio.sleep(0)


async def subscribe(store: EventStore, notes: Notes) -> None:
    """Subscribe; stop after some events, and go on from the checkpoint by another subscription."""
    checkpoints = InMemoryCheckpointStore()

    async def handle(recorded: RecordedEvent) -> None:
        notes.saw(recorded)
        await asyncio.sleep(0)

    while True:
        async with Subscription(
            "notes", store, handle, checkpoints=checkpoints, batch_size=20, poll=NEVER
        ):
            await notes.grow(150)


READERS: tuple[Read, ...] = (wait_and_read, page, poll, follow_all, follow_some, subscribe)
"""All of these read in every run."""
