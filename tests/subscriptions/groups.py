"""Groups in one process, and what shows in which order they dealt with it all."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.store import EventStore
from dashtam_events.subscriptions import (
    CheckpointStore,
    ConsumerGroup,
    current_lease,
)
from tests.subscriptions.houses import DoorOpened
from tests.subscriptions.poison import subscribed

LEASE = 20.0
"""Longer than a machine with much to do keeps anybody waiting."""
BEAT = 0.1
"""How often a member looks for the others."""


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members look for each other more often than they need to, and give back whatever it takes."""
    monkeypatch.setattr("dashtam_events.subscriptions.group._LONGEST_BEAT", BEAT)
    for module in ("group", "_holding"):
        monkeypatch.setattr(f"dashtam_events.subscriptions.{module}.FAREWELL_SECONDS", LEASE)


class Ledger:
    """A handler that takes down who dealt with what, and how many did at once.

    Each event takes so many seconds, and within `holding` until the end of that.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self._go_on = seconds, asyncio.Event()
        self._go_on.set()
        self.seen: list[tuple[str, int, str]] = []
        self.busy: dict[StreamId, str] = {}
        self.most_at_once = 0
        self.overlaps = 0

    async def __call__(self, recorded: RecordedEvent) -> None:
        lease = current_lease()
        assert lease is not None
        self.overlaps += recorded.stream in self.busy
        self.busy[recorded.stream] = lease.member
        self.most_at_once = max(self.most_at_once, len(self.busy))
        try:
            await asyncio.sleep(self.seconds)
            await self._go_on.wait()
        finally:
            self.busy.pop(recorded.stream, None)
        self.seen.append((str(recorded.stream), recorded.version, lease.member))

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Nobody is done with the event in hand."""
        self._go_on.clear()
        try:
            yield
        finally:
            self._go_on.set()

    @property
    def members(self) -> set[str]:
        return {member for _, _, member in self.seen}

    def versions(self) -> dict[str, list[int]]:
        found: defaultdict[str, list[int]] = defaultdict(list)
        for stream, version, _ in self.seen:
            found[stream].append(version)
        return dict(found)

    def check_once(self, streams: int, events: int) -> None:
        """Every stream from its first event to its last, each once, never two at a time."""
        in_order = list(range(1, events + 1))
        assert self.versions() == {f"house-{n}": in_order for n in range(streams)}
        assert self.overlaps == 0


def group(
    store: EventStore,
    checkpoints: CheckpointStore,
    handler: Any,
    member: str = "ann",
    *,
    partitions: int = 8,
    lease: float = LEASE,
    **options: Any,
) -> ConsumerGroup:
    subscription = subscribed(store, checkpoints, handler, **options)
    return ConsumerGroup(subscription, partitions=partitions, lease=lease, member=member)


async def append(store: EventStore, *, streams: int = 20, events: int = 1) -> None:
    """So many events more in each of so many streams."""
    for _ in range(events):
        for number in range(streams):
            await store.append(StreamId("house", str(number)), [DoorOpened(number=number)])


async def owners(checkpoints: CheckpointStore) -> list[str | None]:
    return [each.owner for each in await checkpoints.partitions("doors")]


async def shared(checkpoints: CheckpointStore, **shares: int) -> None:
    """Wait until each of these members holds so many partitions."""
    async with asyncio.timeout(20):
        while True:
            found = await owners(checkpoints)
            if {name: found.count(name) for name in shares} == shares:
                return
            await asyncio.sleep(0.02)
