"""When each process wants to be woken next, read from the log once and kept in memory."""

from collections.abc import Iterable
from datetime import datetime
from heapq import heapify, heappop, heappush
from uuid import UUID

from dashtam_events.processes.events import (
    DeadlineCancelled,
    DeadlineReached,
    DeadlineSet,
    ProcessEnded,
)
from dashtam_events.recorded import RecordedEvent
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._batches import Filter, read_batch

__all__ = ["Agenda", "read_agenda"]

_WANTED = Filter(types=(DeadlineSet, DeadlineCancelled, DeadlineReached, ProcessEnded))
_SIZE = 500


class Agenda:
    """The earliest deadline of each process that has one."""

    def __init__(self, earliest: Iterable[tuple[UUID, datetime]] = ()) -> None:
        self._earliest = dict(earliest)
        self._heap: list[tuple[datetime, UUID]] = []
        self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(due_at, process_id) for process_id, due_at in self._earliest.items()]
        heapify(self._heap)

    def note(self, process_id: UUID, due_at: datetime | None) -> None:
        """Keep when a process wants to be woken; None: it does not."""
        if self._earliest.get(process_id) == due_at:
            return
        if due_at is None:
            del self._earliest[process_id]
            return
        self._earliest[process_id] = due_at
        # An earlier entry of the process stays in the heap until it is met, or there are too many.
        heappush(self._heap, (due_at, process_id))
        if len(self._heap) > 2 * len(self._earliest) + _SIZE:
            self._rebuild()

    @property
    def next_due(self) -> datetime | None:
        """The earliest of all deadlines; None where there is none."""
        while self._heap:
            due_at, process_id = self._heap[0]
            if self._earliest.get(process_id) == due_at:
                return due_at
            heappop(self._heap)
        return None

    def first_due(self, now: datetime) -> UUID | None:
        """The process that is to be woken first, where its time has come."""
        due_at = self.next_due
        return self._heap[0][1] if due_at is not None and due_at <= now else None


async def read_agenda(store: EventStore, category: str) -> Agenda:
    """The agenda as the log has it. An event that cannot be read is passed over.

    The process that it belongs to cannot be loaded either. So is a stream whose id is no UUID: it
    is that of no process.
    """
    deadlines: dict[UUID, dict[str, datetime]] = {}
    after = None
    while True:
        batch = await read_batch(store, after, _WANTED, _SIZE)
        for item in batch.items:
            if isinstance(item, RecordedEvent) and item.stream.category == category:
                process_id = _process_of(item)
                if process_id is not None:
                    _follow(deadlines, process_id, item)
        if batch.is_last:
            return Agenda(
                (process_id, min(named.values())) for process_id, named in deadlines.items()
            )
        after = batch.reached


def _process_of(recorded: RecordedEvent) -> UUID | None:
    try:
        return UUID(recorded.stream.id)
    except ValueError:
        return None


def _follow(
    deadlines: dict[UUID, dict[str, datetime]], process_id: UUID, recorded: RecordedEvent
) -> None:
    event = recorded.event
    named = deadlines.setdefault(process_id, {})
    if isinstance(event, DeadlineSet):
        named[event.name] = event.due_at
    elif isinstance(event, DeadlineCancelled | DeadlineReached):
        named.pop(event.name, None)
    else:
        named.clear()
    if not named:
        del deadlines[process_id]
