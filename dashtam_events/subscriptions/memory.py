"""Checkpoints in the memory of one process: for tests, and for what may begin anew."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta

import attrs

from dashtam_events._clock import now
from dashtam_events.recorded import Position, StreamId
from dashtam_events.subscriptions.checkpoint import Checkpoint, ParkedEvent, ParkedState, Renewal
from dashtam_events.subscriptions.errors import CheckpointConflict

__all__ = ["InMemoryCheckpointStore"]


class InMemoryCheckpointStore:
    """Keeps every promise of `CheckpointStore` but durability.

    Args:
        clock: by which leases end.
    """

    def __init__(self, *, clock: Callable[[], datetime] = now) -> None:
        self._clock = clock
        self._checkpoints: dict[tuple[str, int], Checkpoint] = {}
        self._members: dict[str, dict[str, datetime]] = {}
        self._parked: dict[str, dict[Position, tuple[int, ParkedEvent]]] = {}

    async def load(self, subscription: str, partition: int = 0) -> Checkpoint | None:
        """The checkpoint of a partition; None where it never began."""
        return self._checkpoints.get((subscription, partition))

    async def partitions(self, subscription: str) -> tuple[Checkpoint, ...]:
        """The checkpoints of all partitions, in order; none where it never began."""
        kept = [each for each in self._checkpoints.values() if each.subscription == subscription]
        return tuple(sorted(kept, key=lambda each: each.partition))

    async def begin(self, checkpoint: Checkpoint, *, partitions: int = 1) -> Checkpoint:
        """Keep a first checkpoint for each partition, unless there are some."""
        name = checkpoint.subscription
        if (name, 0) not in self._checkpoints:
            for number in range(partitions):
                self._checkpoints[name, number] = attrs.evolve(checkpoint, partition=number)
        return self._checkpoints[name, 0]

    async def renew(
        self, subscription: str, member: str, held: Collection[Checkpoint], *, lease: float
    ) -> Renewal:
        """Say that a member is alive, and prolong its leases. See `CheckpointStore.renew`."""
        time = self._clock()
        until = time + timedelta(seconds=lease)
        members = self._members.setdefault(subscription, {})
        members[member] = until
        for gone in [name for name, end in members.items() if end <= time]:
            del members[gone]
        renewed = [each for each in held if self._is_held(each)]
        for each in renewed:
            stored = self._checkpoints[_key(each)]
            self._checkpoints[_key(each)] = attrs.evolve(stored, lease_until=until)
        return Renewal(
            partitions=frozenset(each.partition for each in renewed), members=frozenset(members)
        )

    async def acquire(
        self, subscription: str, member: str, *, limit: int, lease: float
    ) -> tuple[Checkpoint, ...]:
        """Take partitions that nobody holds. See `CheckpointStore.acquire`."""
        time = self._clock()
        until = time + timedelta(seconds=lease)
        free = [each for each in await self.partitions(subscription) if _is_free(each, time)]
        taken = [
            attrs.evolve(each, owner=member, epoch=each.epoch + 1, lease_until=until)
            for each in free[:limit]
        ]
        self._checkpoints.update((_key(each), each) for each in taken)
        return tuple(taken)

    async def release(self, checkpoint: Checkpoint) -> None:
        """Give a partition back; nothing, where it is no longer held."""
        if self._is_held(checkpoint):
            stored = self._checkpoints[_key(checkpoint)]
            freed = attrs.evolve(stored, owner=None, lease_until=None)
            self._checkpoints[_key(checkpoint)] = freed

    async def leave(self, subscription: str, member: str) -> None:
        """Forget a member, and give back all that it owns."""
        for each in await self.partitions(subscription):
            if each.owner == member:
                await self.release(each)
        self._members.get(subscription, {}).pop(member, None)

    async def advance(
        self, checkpoint: Checkpoint, to: Position | None, *, park: Iterable[ParkedEvent] = ()
    ) -> Checkpoint:
        """Move a checkpoint on, and set events aside. See `CheckpointStore.advance`."""
        stored = self._current(checkpoint)
        if stored.position != checkpoint.position:
            raise _conflict(checkpoint)
        rows = self._parked.setdefault(checkpoint.subscription, {})
        rows.update((each.position, (checkpoint.partition, each)) for each in park)
        moved = self._checkpoints[_key(checkpoint)] = attrs.evolve(stored, position=to)
        return moved

    async def ready(self, checkpoint: Checkpoint, *, limit: int) -> tuple[ParkedEvent, ...]:
        """Parked events that are to be tried now. See `CheckpointStore.ready`."""
        found: list[ParkedEvent] = []
        seen: set[StreamId] = set()
        for each in self._of(checkpoint):
            is_first = each.stream not in seen
            seen.add(each.stream)
            if each.state is ParkedState.REPLAY or (each.state is ParkedState.WAITING and is_first):
                found.append(each)
        return tuple(found[:limit])

    async def parked_streams(self, checkpoint: Checkpoint) -> frozenset[StreamId]:
        """The streams of which an event is set aside."""
        return frozenset(each.stream for each in self._of(checkpoint))

    async def settle(self, checkpoint: Checkpoint, parked: ParkedEvent) -> bool:
        """Forget a parked event that was dealt with; False where it is gone already."""
        self._current(checkpoint)
        rows = self._parked.get(checkpoint.subscription, {})
        return rows.pop(parked.position, None) is not None

    async def park_again(self, checkpoint: Checkpoint, parked: ParkedEvent) -> None:
        """Write down how a parked event failed again; nothing, where it is gone."""
        self._current(checkpoint)
        rows = self._parked.get(checkpoint.subscription, {})
        if parked.position in rows:
            rows[parked.position] = (checkpoint.partition, parked)

    async def parked(
        self,
        subscription: str | None = None,
        *,
        after: Position | None = None,
        limit: int | None = None,
    ) -> tuple[tuple[str, ParkedEvent], ...]:
        """Each parked event with the subscription that parked it."""
        names = sorted(self._parked) if subscription is None else [subscription]
        found = [
            (name, each)
            for name in names
            for position, (_, each) in sorted(self._parked.get(name, {}).items())
            if after is None or position > after
        ]
        return tuple(found[:limit])

    async def replay(self, subscription: str, positions: Collection[Position] | None = None) -> int:
        """Mark failed events to be tried again. See `CheckpointStore.replay`."""
        rows = self._parked.get(subscription, {})
        marked = 0
        for position, (partition, each) in rows.items():
            if each.state is ParkedState.FAILED and (positions is None or position in positions):
                rows[position] = (partition, attrs.evolve(each, state=ParkedState.REPLAY))
                marked += 1
        return marked

    async def drop(self, subscription: str, positions: Collection[Position] | None = None) -> int:
        """Forget parked events without dealing with them. See `CheckpointStore.drop`."""
        rows = self._parked.get(subscription, {})
        dropped = [each for each in rows if positions is None or each in positions]
        for position in dropped:
            del rows[position]
        return len(dropped)

    def _of(self, checkpoint: Checkpoint) -> list[ParkedEvent]:
        rows = sorted(self._parked.get(checkpoint.subscription, {}).items())
        return [each for _, (partition, each) in rows if partition == checkpoint.partition]

    def _is_held(self, checkpoint: Checkpoint) -> bool:
        stored = self._checkpoints.get(_key(checkpoint))
        known = (checkpoint.epoch, checkpoint.owner)
        return stored is not None and (stored.epoch, stored.owner) == known

    def _current(self, checkpoint: Checkpoint) -> Checkpoint:
        """What is stored, where the runner may still write."""
        stored = self._checkpoints.get(_key(checkpoint))
        known = (checkpoint.epoch, checkpoint.version)
        if stored is None or (stored.epoch, stored.version) != known:
            raise _conflict(checkpoint)
        return stored


def _key(checkpoint: Checkpoint) -> tuple[str, int]:
    return checkpoint.subscription, checkpoint.partition


def _is_free(checkpoint: Checkpoint, time: datetime) -> bool:
    end = checkpoint.lease_until
    return checkpoint.owner is None or end is None or end <= time


def _conflict(checkpoint: Checkpoint) -> CheckpointConflict:
    return CheckpointConflict(checkpoint.subscription, checkpoint.partition, checkpoint.position)
