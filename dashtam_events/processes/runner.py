"""What runs the processes of one class: brings them events, wakes them, executes their commands."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Self, TypeVar
from uuid import UUID

from dashtam_events._clock import now as _now
from dashtam_events.errors import AggregateNotFound, StoreBusy, StoreUnavailable, VersionConflict
from dashtam_events.processes._agenda import Agenda, read_agenda
from dashtam_events.processes.command import Executor, IssuedCommand
from dashtam_events.processes.events import CommandIssued, DeadlineReached
from dashtam_events.processes.process import ProcessManager
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.repository import Repository
from dashtam_events.store.protocol import EventStore, MetadataLike
from dashtam_events.subscriptions import (
    BEGINNING,
    Checkpoint,
    CheckpointStore,
    Start,
    Subscription,
)
from dashtam_events.subscriptions._elsewhere import cancelled_elsewhere
from dashtam_events.subscriptions._options import Part
from dashtam_events.subscriptions.health import Observer
from dashtam_events.subscriptions.retrying import Parking, Retry

__all__ = ["ProcessRunner"]

_C = TypeVar("_C")
_SNAPSHOT_EVERY = 50


class ProcessRunner(Subscription):
    """A subscription whose handler is a process manager.

    An event is reacted to once: what was decided is appended to the stream of the process, all
    of it or nothing, where nobody else was faster. The commands are then read from there and
    executed one after the other, those of a process in order; one that was under way when
    everything died is executed again, with the same id. So are deadlines: a process that is to
    be woken has it in its stream, once, and reacts to that.

    A deadline comes when all is dealt with that was stored before it: an answer that came in
    time is heard first. It is late by as long as the runner is away or behind. The deadlines are
    read from the log at the start, and kept in memory: one for each process.

    An event that cannot be reacted to and a command that cannot be executed are tried again and
    parked as with every subscription; the later commands and deadlines of that process wait
    behind a command that is parked, and dropping it gives it up. A deadline that is dropped
    does not come again.

    As with every subscription, nothing is parked because a store is busy or away, whether the
    runner meets that or `execute` raises it: all wait until it is over, and `run_once` raises it.
    What was executed then is noted and not executed again.

    The store must know `PROCESS_EVENTS`. Run one at a time under a name; a `ConsumerGroup` of one
    partition has others stand by and take over.

    Args:
        process: the class of the processes.
        store: what is read, and where the processes have their streams.
        execute: awaited with each `IssuedCommand`.
        checkpoints: where the progress is kept.
        name: under which the checkpoint is kept; by default the category of the processes.
        clock: tells the time (aware) that deadlines are compared with.
        start: as for `Subscription`, and so are the rest.
        batch_size: how many events are read at once.
        poll: seconds after which the clock is looked at again too, should it have been set.
        retry: how often an event or a command is tried.
        parking: when failures are too many; the events of a stream always wait.
        observer: told of what happens, for metrics.

    Raises:
        TypeError: the class declares no stream.
        ValueError: `parking` lets the later events of a stream go on, or the clock tells a naive
            time.
    """

    def __init__(
        self,
        process: type[ProcessManager[_C]],
        store: EventStore,
        execute: Executor[_C],
        *,
        checkpoints: CheckpointStore,
        name: str | None = None,
        clock: Callable[[], datetime] = _now,
        start: Start | Position | datetime = BEGINNING,
        batch_size: int = 100,
        poll: float = 5.0,
        retry: Retry = Retry(),  # noqa: B008  # frozen
        parking: Parking = Parking(),  # noqa: B008  # frozen
        observer: Observer | None = None,
    ) -> None:
        if not parking.stream_waits:
            raise ValueError("processes react in order: leave it at Parking(stream_waits=True)")
        if clock().utcoffset() is None:
            raise ValueError("the clock tells a naive time: have it tell one with a timezone")
        self._process: type[ProcessManager[Any]] = process
        snapshot_every = _SNAPSHOT_EVERY if process.snapshot_type is not None else None
        self._processes: Repository[ProcessManager[Any]] = Repository(
            store, process, snapshot_every=snapshot_every
        )
        super().__init__(
            name or process.stream_category,
            store,
            self._hear,
            checkpoints=checkpoints,
            start=start,
            types=(*process.heard_events(), CommandIssued, DeadlineReached),
            batch_size=batch_size,
            poll=poll,
            retry=retry,
            parking=parking,
            observer=observer,
        )
        self._execute = execute
        # What was executed and could not be noted.
        self._executed: set[UUID] = set()
        self._clock = clock
        self._agenda: Agenda | None = None
        self._looked_at: datetime | None = None
        self._appended = False

    @property
    def next_deadline(self) -> datetime | None:
        """The earliest deadline of all processes; None where none is set or it did not run."""
        return None if self._agenda is None else self._agenda.next_due

    async def run_once(self, *, now: datetime | None = None) -> Position | None:
        """Deal with all that the store holds by now, and with what follows from it.

        `now` (aware) is the instant up to which deadlines come; by default what the clock says.
        Returns the position that was reached. Raises what `run` raises, and what the store and
        the checkpoints raise.
        """
        with self._alive(), cancelled_elsewhere(self.name):
            self._begin_anew()
            while not self._stopping.is_set():
                self._appended = False
                if not await self._step():
                    continue
                await self._reach_deadlines(now)
                if not self._appended:
                    break
            return await self._keep_read_position()

    async def _partitions(self, count: int) -> tuple[Checkpoint, ...]:
        if count != 1:
            raise ValueError("deadlines are kept in one place: ConsumerGroup(..., partitions=1)")
        return await super()._partitions(count)

    def _confined(self, part: Part) -> Self:
        other = super()._confined(part)
        # One partition is the whole log: read by itself, no deadline overtakes an event.
        other._log, other._handler = self._log, other._hear
        return other

    def _begin_anew(self) -> None:
        super()._begin_anew()
        self._agenda = None

    async def _step(self) -> bool:
        # All that is stored by now is read in this step: no deadline up to now comes too early.
        self._looked_at = self._clock()
        return await super()._step()

    async def _wait(self) -> None:
        await self._reach_deadlines()
        timeout, due_at = self._options.poll, self.next_deadline
        if due_at is not None:
            timeout = min(timeout, max(0.0, (due_at - self._clock()).total_seconds()))
        await self._unless_stopped(self._log.wait(self._read_to, timeout))

    async def _hear(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        if not isinstance(event, CommandIssued | DeadlineReached):
            process_id = self._process.process_id(event)
            if process_id is not None:
                await self._decide(process_id, recorded)
        elif recorded.stream.category != self._process.stream_category:
            return
        elif isinstance(event, CommandIssued):
            await self._carry_out(event, recorded)
        else:
            await self._decide(UUID(recorded.stream.id), recorded)

    async def _decide(self, process_id: UUID, recorded: RecordedEvent) -> None:
        process = await self._load_process(process_id)
        if process.receive(recorded):
            await self._save_process(process, metadata=recorded.metadata.following(recorded.event))
        self._note(process_id, process)

    async def _carry_out(self, event: CommandIssued, recorded: RecordedEvent) -> None:
        process_id, command_id = UUID(recorded.stream.id), event.command_id
        process = await self._processes.get(process_id)
        if command_id in process.process_state.waiting:
            metadata = recorded.metadata.following(event)
            command = self._process.command_of(event)
            # What it writes may be for a process again.
            self._appended = True
            if command_id not in self._executed:
                await self._execute(
                    IssuedCommand(
                        id=command_id, process_id=process_id, command=command, metadata=metadata
                    )
                )
                self._executed.add(command_id)
            await self._processes.execute(
                process_id, lambda process: process.note_executed(command_id), metadata=metadata
            )
        self._executed.discard(command_id)

    async def _reach_deadlines(self, now: datetime | None = None) -> None:
        """Take note of every deadline that is due."""
        if self._agenda is None:
            self._agenda = await read_agenda(self._store, self._process.stream_category)
        now = now or self._looked_at or self._clock()
        while self._agenda is not None and not self._stopping.is_set():
            process_id = self._agenda.first_due(now)
            if process_id is None:
                return
            await self._reach(process_id, now)

    async def _reach(self, process_id: UUID, now: datetime) -> None:
        try:
            process = await self._load_process(process_id)
            if process.reach_deadlines(now):
                await self._save_process(process)
        except VersionConflict:
            return
        except (StoreBusy, StoreUnavailable):
            raise
        except Exception as error:  # noqa: BLE001  # one process that cannot be read holds up none
            then = f"process {process_id} is woken at no deadline until the runner starts again"
            self._teller.failed(error, then)
            self._note(process_id, None)
        else:
            self._note(process_id, process)

    async def _load_process(self, process_id: UUID) -> ProcessManager[Any]:
        try:
            return await self._processes.get(process_id)
        except AggregateNotFound:
            return self._process.blank(process_id)

    async def _save_process(
        self, process: ProcessManager[Any], metadata: MetadataLike = None
    ) -> None:
        try:
            await self._processes.save(process, metadata=metadata)
        except (StoreBusy, StoreUnavailable):
            # Whether its deadlines are stored is not known: they are read again.
            self._agenda = None
            raise
        self._appended = True

    def _note(self, process_id: UUID, process: ProcessManager[Any] | None) -> None:
        """Keep when a process is to be woken next; None: nobody can wake it."""
        deadlines = () if process is None else process.deadlines.values()
        if self._agenda is not None:
            self._agenda.note(process_id, min(deadlines, default=None))
