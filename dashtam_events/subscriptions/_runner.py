"""The loop under subscriptions and projections: read, deal with it, keep how far that was."""

import asyncio
import copy
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from itertools import count
from typing import ClassVar, Self

import attrs

from dashtam_events._clock import now
from dashtam_events.errors import BusClosed, SessionRequired, StoreBusy, StoreUnavailable
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._batches import (
    Batch,
    Item,
    Unreadable,
    read_again,
    starting_position,
)
from dashtam_events.subscriptions._elsewhere import cancelled_elsewhere
from dashtam_events.subscriptions._lately import lately
from dashtam_events.subscriptions._life import Living
from dashtam_events.subscriptions._log import Log, WholeLog
from dashtam_events.subscriptions._options import Options, Part, checked_name
from dashtam_events.subscriptions._parking import failed, unfit, waiting
from dashtam_events.subscriptions._telling import Teller
from dashtam_events.subscriptions.checkpoint import Checkpoint, CheckpointStore, ParkedEvent
from dashtam_events.subscriptions.errors import (
    CheckpointAhead,
    CheckpointConflict,
    CheckpointError,
    CheckpointUnavailable,
    InboxUnavailable,
    PartitionMismatch,
    ProjectionError,
    TooManyParked,
)
from dashtam_events.subscriptions.health import Health, SubscriptionState
from dashtam_events.subscriptions.retrying import FailureWindow

__all__ = ["UNAVAILABLE", "Runner", "Stopped", "is_for_good"]

UNAVAILABLE = (CheckpointUnavailable, InboxUnavailable, StoreBusy, StoreUnavailable)
"""What passes: it is waited for, whoever meets it, also a handler."""
# The SQLSTATEs of a schema, a table and a function that are not there.
_NO_TABLES = ("3F000", "42P01", "42883")
# None of these says anything about the event: it is neither tried again nor set aside for them.
_LEAVES_THE_BATCH = (*UNAVAILABLE, CheckpointError, ProjectionError, BusClosed, SessionRequired)


class Stopped(Exception):  # nothing went wrong: it leaves a loop within a loop
    """It was stopped while an event was waiting to be tried again."""


class Runner(Living):
    """Deals with the events of a store, a batch at a time, from where its checkpoint stands.

    Attributes:
        _is_fenced: whether all it does is in the transaction of its checkpoint.
    """

    _is_fenced: ClassVar[bool] = False

    def __init__(
        self, name: str, store: EventStore, checkpoints: CheckpointStore, options: Options
    ) -> None:
        super().__init__()
        self.name: str = checked_name(name)
        self._store = store
        self._checkpoints = checkpoints
        self._options = options
        self._log: Log = WholeLog(store=store, wanted=options.wanted, until=options.until)
        self._partition: int | None = None
        self._acquired: Checkpoint | None = None
        if options.part is not None:
            self._log, self._acquired = options.part.log, options.part.held
            self._partition = self._acquired.partition
        self._checkpoint: Checkpoint | None = None
        # The log was looked through up to here; nothing between the checkpoint and it is wanted.
        self._read_to: Position | None = None
        self._saved_at = 0.0
        self._parked_streams: frozenset[StreamId] = frozenset()
        self._failures = FailureWindow(options.parking)
        self._remembers = False
        self._teller = Teller(name, options.observer, self._partition)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self._state})"

    async def run(self) -> None:
        """Deal with what the store holds and with what is yet to come, until it is stopped.

        While the store or the checkpoints cannot be reached, or a handler says so of a store or
        an inbox, it waits and tries again. Cancelled, it ends at once, or after a few seconds
        where the database of the checkpoints does not answer or SQLite is being written; the
        events since the last checkpoint then come again.

        Raises:
            CheckpointAhead: events are missing in the store: the log ends before the checkpoint.
            CheckpointConflict: another runner moved the checkpoint; this one steps back.
            PartitionMismatch: it is one of a consumer group.
            SubscriptionTablesMissing: `create_subscription_tables` was not called.
            TooManyParked: too many events were set aside, lately or before it was started.
            WorkCancelled: the store or the checkpoints were, by somebody else.
            StoreUnavailable: the tables of the store are not there.
            RuntimeError: it is running already.
        """
        with self._alive():
            self._begin_anew()
            try:
                with cancelled_elsewhere(self.name):
                    await self._go_on()
            except Exception as error:
                self._teller.failed(error, self._farewell)
                raise

    @property
    def _farewell(self) -> str:
        part = self._partition
        return "it has ended" if part is None else f"partition {part} is given back"

    async def run_once(self) -> Position | None:
        """Deal with all that the store holds by now; returns the position that was reached.

        Raises what `run` raises, and what `run` waits for: `StoreBusy`, `StoreUnavailable`,
        `CheckpointUnavailable` and `InboxUnavailable`.
        """
        with self._alive(), cancelled_elsewhere(self.name):
            self._begin_anew()
            while not await self._step() and not self._stopping.is_set():
                pass
            return await self._keep_read_position()

    def _begin_anew(self) -> None:
        self._forget()

    def _forget(self) -> None:
        """Read again what is kept: also what was set aside, and whether that is too much."""
        self._checkpoint = None
        self._failures = FailureWindow(self._options.parking)
        self._remembers = False

    async def health(self) -> Health:
        """How it is. Raises what the store and the checkpoints raise."""
        position = self._read_to
        if self._checkpoint is None:
            stored = await self._checkpoints.load(self.name, self._partition or 0)
            position = None if stored is None else stored.position
        end = await self._store.last_position()
        return Health(
            state=self._state,
            position=position,
            lag_events=max(0, (end or 0) - (position or 0)),
            lag_seconds=await self._lag(position),
            parked_streams=len(self._parked_streams),
            last_error=self._teller.last_error,
        )

    async def _lag(self, position: Position | None) -> float | None:
        while True:
            ahead = await self._log.read(position, 1)
            for item in ahead.items:
                if isinstance(item, Unreadable):
                    return None
                return max(0.0, (now() - item.recorded_at).total_seconds())
            if ahead.is_last:
                return 0.0
            position = ahead.reached

    @abstractmethod
    async def _deal(self, batch: Batch) -> None:
        """Deal with a batch that has events, and move the checkpoint behind it."""

    @abstractmethod
    async def _redo(self, parked: ParkedEvent, recorded: RecordedEvent) -> None:
        """Deal with a parked event, and forget that it was parked."""

    async def _go_on(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                if await self._step():
                    await self._keep_read_position(lazily=True)
                    await self._wait()
                failures = 0
            except UNAVAILABLE as error:
                if is_for_good(error):
                    raise
                failures += 1
                self._forget()
                pause = self._options.retry.pause(failures)
                self._teller.failed(error, f"it tries again in {pause:.1f} s")
                await self._pause(pause)
        await self._keep_read_position()

    async def _wait(self) -> None:
        await self._unless_stopped(self._log.wait(self._read_to, self._options.poll))

    async def _step(self) -> bool:
        """Deal with a batch; True where there was nothing behind it."""
        if self._checkpoint is None:
            self._checkpoint = await self._begin()
            self._read_to = self._checkpoint.position
            self._check_end(await self._store.last_position())
            await self._look_for_parked()
        if self._parked_streams:
            await self._replay()
        await self._remember()
        batch = await self._log.read(self._read_to, self._options.batch_size)
        self._check_end(batch.reached)
        if batch.items:
            await self._deal(batch)
            # Memory and a handler that never suspend would let nobody else in, not even `stop`.
            await asyncio.sleep(0)
            if self._stopping.is_set():
                return True
        self._read_to = batch.reached
        return batch.is_last

    def _check_end(self, end: Position | None) -> None:
        """Go no further where the log ends before what was read of it."""
        if (self._read_to or 0) > (end or 0):
            raise CheckpointAhead(self.name, self._read_to or 0, end)

    async def _begin(self) -> Checkpoint:
        """The checkpoint as it is stored; the first time, where the subscription is to start."""
        part = self._options.part
        if part is None:
            return (await self._partitions(1))[0]
        if self._acquired is not None:
            acquired, self._acquired = self._acquired, None
            return acquired
        stored = await self._checkpoints.load(self.name, part.held.partition)
        if stored is None or stored.epoch != part.held.epoch:
            raise _outdated(part)
        return stored

    async def _partitions(self, count: int) -> tuple[Checkpoint, ...]:
        """The checkpoints as they are stored; the first time, where the subscription is to start.

        Raises:
            CheckpointAhead: it is to start behind a position that the log has not reached.
            PartitionMismatch: there are not as many as are wanted.
        """
        stored = await self._checkpoints.partitions(self.name)
        if not stored:
            position = await starting_position(self._store, self._options.start)
            last = await self._store.last_position()
            if (position or 0) > (last or 0):
                raise CheckpointAhead(self.name, position or 0, last)
            first = Checkpoint(
                subscription=self.name, position=position, version=self._options.version
            )
            await self._checkpoints.begin(first, partitions=count)
            stored = await self._checkpoints.partitions(self.name)
            if not stored:
                # Another rebuild has begun, and cleared away what this one has.
                raise CheckpointConflict(self.name, 0, position)
        if len(stored) != count:
            raise PartitionMismatch(self.name, len(stored), count)
        return stored

    def _confined(self, part: Part) -> Self:
        """The same for one partition."""
        other = copy.copy(self)
        options = attrs.evolve(self._options, part=part)
        Runner.__init__(other, self.name, self._store, self._checkpoints, options)
        return other

    @property
    def _known(self) -> Checkpoint:
        """The checkpoint as this runner left it."""
        assert self._checkpoint is not None  # noqa: S101  # a step begins with it
        return self._checkpoint

    def _moved(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint that was written."""
        self._checkpoint = checkpoint
        self._read_to = checkpoint.position
        self._saved_at = asyncio.get_running_loop().time()
        self._teller.saved(checkpoint.position)

    async def _keep_read_position(self, *, lazily: bool = False) -> Position | None:
        """Keep that nothing more is wanted up to here; `lazily`, only once in a while."""
        checkpoint, position = self._checkpoint, self._read_to
        if checkpoint is None or checkpoint.position == position:
            return position
        waited = asyncio.get_running_loop().time() - self._saved_at
        if not lazily or waited > self._options.poll:
            self._moved(await self._checkpoints.advance(checkpoint, position))
        return position

    async def _look_for_parked(self) -> None:
        self._parked_streams = await self._checkpoints.parked_streams(self._known)

    async def _remember(self) -> None:
        """Count what was set aside before the start: starting again forgives nothing."""
        if self._remembers or self._stopping.is_set():
            return
        if self._parked_streams:
            window = self._options.parking.window
            size, end = self._options.batch_size, self._known.position or 0
            latest = await lately(self._log, end, window, size=size)
            after = Position(latest[0] - 1) if latest else None
            parked = await self._checkpoints.parked(self.name, after=after)
            states = {each.position: each.state for _, each in parked}
            for position in latest:
                self._failures.add(states.get(position))
        self._remembers = True
        self._check_failures()

    async def _replay(self) -> None:
        """Try what was marked for it, and what waits for nothing any more."""
        size = self._options.batch_size
        while ready := await self._checkpoints.ready(self._known, limit=size):
            for parked in ready:
                if self._stopping.is_set():
                    return
                try:
                    await self._try_again(parked)
                except Stopped:
                    return
        await self._look_for_parked()

    async def _try_again(self, parked: ParkedEvent) -> None:
        item = await read_again(self._store, parked.stream, parked.version)
        if item is None:
            await self._checkpoints.settle(self._known, parked)
            return
        fallen = self._unfit(item)
        if fallen is None and not isinstance(item, Unreadable):
            recorded = item
            fallen = await self._attempt(item, lambda: self._redo(parked, recorded))
        if fallen is not None:
            attempts = parked.attempts + fallen.attempts
            await self._checkpoints.park_again(
                self._known, attrs.evolve(fallen, attempts=attempts, parked_at=parked.parked_at)
            )

    def _refused(self, item: Item) -> ParkedEvent | None:
        """How an event is set aside that no handler shall see; None for all others."""
        if self._options.parking.stream_waits and item.stream in self._parked_streams:
            return waiting(item)
        return self._unfit(item)

    def _unfit(self, item: Item) -> ParkedEvent | None:
        """How an event is set aside for what it is; None for all that can be dealt with."""
        return unfit(item)

    async def _attempt(
        self, item: RecordedEvent, call: Callable[[], Awaitable[None]]
    ) -> ParkedEvent | None:
        """Deal with one event, again and again; how it is set aside where all was in vain.

        Raises:
            Stopped: there was no time to go on.
            CheckpointConflict: the lease has run out.
        """
        retry, part = self._options.retry, self._options.part
        for attempt in count(1):
            if part is not None and not part.is_held():
                raise _outdated(part)
            started = asyncio.get_running_loop().time()
            try:
                with cancelled_elsewhere(self.name):
                    await call()
            except _LEAVES_THE_BATCH:
                raise
            except Exception as error:  # noqa: BLE001  # whatever a handler raises is dealt with
                place = self._teller.note(error)
                if retry.gives_up(error, attempt):
                    return failed(item, place, attempt)
                pause = retry.pause(attempt)
                self._teller.retrying(item, pause, place)
                await self._pause(pause)
                if self._stopping.is_set():
                    raise Stopped from None
            else:
                taken = asyncio.get_running_loop().time() - started
                self._teller.handled(item, taken)
                return None
        return None

    async def _pause(self, seconds: float) -> None:
        """Wait after a failure, or until it is stopped."""
        self._state = SubscriptionState.RETRYING
        await self._unless_stopped(self._options.retry.sleep(seconds))
        self._state = SubscriptionState.RUNNING

    def _count(self, parked: ParkedEvent | None) -> None:
        """Take down how an event ended."""
        self._failures.add(None if parked is None else parked.state)
        if parked is not None:
            self._parked_streams |= {parked.stream}

    def _check_failures(self) -> None:
        seen = self._failures
        if seen.is_over:
            raise TooManyParked(self.name, seen.failed, seen.dealt, seen.waiting)


def is_for_good(error: Exception) -> bool:
    """Whether waiting would not help: tables that are not there do not come by it."""
    return isinstance(error, StoreUnavailable) and error.code in _NO_TABLES


def _outdated(part: Part) -> CheckpointConflict:
    held = part.held
    return CheckpointConflict(held.subscription, held.partition, held.position)
