"""How far a subscription has come, what it had to set aside, and the protocol that keeps both."""

from collections.abc import Collection, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import attrs

from dashtam_events.recorded import Position, StreamId

__all__ = ["Checkpoint", "CheckpointStore", "ParkedEvent", "ParkedState", "Renewal"]


@attrs.frozen(kw_only=True)
class Checkpoint:
    """How far a partition of a subscription has come; a subscription has one partition, or more.

    `position` is that of the last event dealt with, None before the first. `version` is that of
    the tables which the events are written into. `owner` holds the partition until `lease_until`
    (aware), and `epoch` counts the owners there were: whoever writes names the epoch that they
    know, so that a former owner can write no more.
    """

    subscription: str
    partition: int = 0
    position: Position | None = None
    version: int = 1
    epoch: int = 0
    owner: str | None = None
    lease_until: datetime | None = None


@attrs.frozen(kw_only=True)
class Renewal:
    """What a member of a group learns when it renews.

    `partitions` are those of its own that it holds for another lease; `members` are the names of
    all that are alive, its own among them.
    """

    partitions: frozenset[int]
    members: frozenset[str]


class ParkedState(StrEnum):
    """Why an event is set aside.

    `FAILED`: it could not be dealt with, and stays until somebody replays or drops it. `REPLAY`:
    somebody asked for it to be tried again. `WAITING`: an earlier event of its stream is set
    aside; it comes when it is the first of them.
    """

    FAILED = "failed"
    REPLAY = "replay"
    WAITING = "waiting"


@attrs.frozen(kw_only=True)
class ParkedEvent:
    """An event that a subscription set aside; nothing of what the event holds is in here.

    `version` is that of its stream. `error_type` and `place` name the class of the error and
    where it was raised (for an event that cannot be read, where in it), None where it only
    waits; `attempts` counts how often it was tried.
    """

    position: Position
    stream: StreamId
    version: int
    event_type: str
    state: ParkedState
    parked_at: datetime
    error_type: str | None = None
    place: str | None = None
    attempts: int = 0


class CheckpointStore(Protocol):
    """Keeps checkpoints and parked events, and who holds which partition.

    Each method is atomic. Those that take a checkpoint write only where its owner's epoch and
    its version are still the ones stored. When a lease ends is judged by one clock for all: that
    of the database, where it has one.
    """

    async def load(self, subscription: str, partition: int = 0) -> Checkpoint | None:
        """The checkpoint of a partition; None where it never began."""
        ...

    async def partitions(self, subscription: str) -> tuple[Checkpoint, ...]:
        """The checkpoints of all partitions, in order; none where it never began."""
        ...

    async def begin(self, checkpoint: Checkpoint, *, partitions: int = 1) -> Checkpoint:
        """Keep a first checkpoint for each partition, unless there are some.

        Returns that of the first partition as it is stored; how many there are is for ever.
        """
        ...

    async def renew(
        self, subscription: str, member: str, held: Collection[Checkpoint], *, lease: float
    ) -> Renewal:
        """Say that a member is alive, and prolong its leases to so many seconds from now.

        A partition that has another owner by now, or a later epoch, is left alone, and so is one
        that is being written at this moment.

        Raises:
            CheckpointUnavailable: whether it was written is not known; so do the next three.
        """
        ...

    async def acquire(
        self, subscription: str, member: str, *, limit: int, lease: float
    ) -> tuple[Checkpoint, ...]:
        """Take partitions that nobody owns, or whose lease has run out; at most so many.

        The epoch of each is one more than before: what a former owner writes is refused.
        """
        ...

    async def release(self, checkpoint: Checkpoint) -> None:
        """Give a partition back for others to take; nothing, where it is no longer held."""
        ...

    async def leave(self, subscription: str, member: str) -> None:
        """Forget a member, and give back all that it owns."""
        ...

    async def advance(
        self, checkpoint: Checkpoint, to: Position | None, *, park: Iterable[ParkedEvent] = ()
    ) -> Checkpoint:
        """Move a checkpoint on from where it is known to be, and set events aside with it.

        Raises:
            CheckpointConflict: it is stored elsewhere; nothing was written.
            CheckpointUnavailable: whether it was written is not known.
        """
        ...

    async def ready(self, checkpoint: Checkpoint, *, limit: int) -> tuple[ParkedEvent, ...]:
        """Parked events that are to be tried now, in the order of their positions.

        They are those marked for it, and those that wait and are the first of their stream.
        """
        ...

    async def parked_streams(self, checkpoint: Checkpoint) -> frozenset[StreamId]:
        """The streams of which an event is set aside."""
        ...

    async def settle(self, checkpoint: Checkpoint, parked: ParkedEvent) -> bool:
        """Forget a parked event that was dealt with; False where it is gone already."""
        ...

    async def park_again(self, checkpoint: Checkpoint, parked: ParkedEvent) -> None:
        """Write down how a parked event failed again; nothing, where it is gone."""
        ...

    async def parked(
        self,
        subscription: str | None = None,
        *,
        after: Position | None = None,
        limit: int | None = None,
    ) -> tuple[tuple[str, ParkedEvent], ...]:
        """Each parked event with the subscription that parked it.

        They come by subscription and in the order of their positions; `after` is a position of
        the one subscription that is asked for.
        """
        ...

    async def replay(self, subscription: str, positions: Collection[Position] | None = None) -> int:
        """Mark failed events (None: all of them) to be tried again; returns how many.

        The subscription tries them when it next looks: at once with its next events, and within
        its `poll` at the latest. Events that wait behind them follow by themselves.
        """
        ...

    async def drop(self, subscription: str, positions: Collection[Position] | None = None) -> int:
        """Forget parked events (None: all of them) without dealing with them; returns how many.

        What waits behind a dropped event is dealt with.
        """
        ...
