"""A handler that hears of every event of a store, also of those that happened while it was away."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from uuid import UUID

from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._batches import (
    BEGINNING,
    Batch,
    Filter,
    Item,
    Start,
    Unreadable,
)
from dashtam_events.subscriptions._options import Options
from dashtam_events.subscriptions._runner import UNAVAILABLE, Runner, Stopped
from dashtam_events.subscriptions.checkpoint import CheckpointStore, ParkedEvent
from dashtam_events.subscriptions.health import Observer
from dashtam_events.subscriptions.retrying import Parking, Retry

__all__ = ["RecordedHandler", "Subscription"]

RecordedHandler = Callable[[RecordedEvent], Awaitable[None]]
"""What deals with one recorded event; it raises where it could not."""


class Subscription(Runner):
    """Calls a handler for every wanted event, at least once, those of a stream in order.

    The events come one after the other in commit order. The checkpoint is kept after each
    batch: where the process dies, the events since then come again, so a handler that must not
    act twice remembers `event_id`. Not more than a batch is in memory. Events that fail for good
    are set aside in the write that moves the checkpoint (see `Retry` and `Parking`), and so are
    those that cannot be read or that no class is registered for. Nothing is set aside because a
    store, an inbox or the checkpoints are busy or away (`StoreBusy`, `StoreUnavailable`,
    `InboxUnavailable`, `CheckpointUnavailable`), also where the handler meets that.

    Run it with `await subscription.run()`, for example in a task group, or with `async with`,
    which stops it at its end. Run one at a time under a name: another one that moves the
    checkpoint makes this one step back with `CheckpointConflict`. A `ConsumerGroup` runs it in
    many processes.

    Args:
        name: under which the checkpoint is kept, of 200 characters at most; another name begins
            anew.
        store: what to read.
        handler: awaited with each recorded event.
        checkpoints: where the progress is kept.
        start: where to begin if the name never ran: `BEGINNING`, `NOW`, behind a position, or
            with what was recorded at a time (aware, and not to come) or later.
        types: event classes or stored names, also those that no class is registered for; this
            and the next two must all hold.
        categories: those that the registered events declare; it ends with a ValueError where that
            is none of them.
        subject: whom an event declares to be about.
        batch_size: how many events are read at once, and come again at most.
        poll: seconds after which the store and the parked events are looked at again, should no
            wake-up come.
        retry: how often a failing handler is tried.
        parking: what happens around an event that is set aside, and when it is too much.
        observer: told of what happens, for metrics.
    """

    def __init__(
        self,
        name: str,
        store: EventStore,
        handler: RecordedHandler,
        *,
        checkpoints: CheckpointStore,
        start: Start | Position | datetime = BEGINNING,
        types: Collection[type[DomainEvent] | str] | None = None,
        categories: Collection[str] | None = None,
        subject: UUID | str | None = None,
        batch_size: int = 100,
        poll: float = 5.0,
        retry: Retry = Retry(),  # noqa: B008  # frozen
        parking: Parking = Parking(),  # noqa: B008  # frozen
        observer: Observer | None = None,
    ) -> None:
        options = Options(
            wanted=Filter(types=types, categories=categories, subject=subject),
            start=start,
            batch_size=batch_size,
            poll=poll,
            retry=retry,
            parking=parking,
            observer=observer,
        )
        super().__init__(name, store, checkpoints, options)
        self._handler = handler

    async def _deal(self, batch: Batch) -> None:
        parked: list[ParkedEvent] = []
        reached = self._known.position
        for item in batch.items:
            try:
                fallen = await self._handle(item)
            except Stopped:
                break
            except UNAVAILABLE:
                # Those before it are dealt with, or set aside, and do not come again.
                await self._save(reached, parked)
                raise
            self._count(fallen)
            parked += [] if fallen is None else [fallen]
            reached = item.position
            if self._stopping.is_set() or self._failures.is_over:
                break
        else:
            reached = batch.reached
        await self._save(reached, parked)
        self._check_failures()

    async def _handle(self, item: Item) -> ParkedEvent | None:
        refused = self._refused(item)
        if refused is not None or isinstance(item, Unreadable):
            return refused
        return await self._attempt(item, lambda: self._handler(item))

    async def _save(self, reached: Position | None, parked: list[ParkedEvent]) -> None:
        if reached == self._known.position:
            return
        self._moved(await self._checkpoints.advance(self._known, reached, park=parked))
        for each in parked:
            self._teller.parked(each)

    async def _redo(self, parked: ParkedEvent, recorded: RecordedEvent) -> None:
        await self._handler(recorded)
        await self._checkpoints.settle(self._known, parked)
