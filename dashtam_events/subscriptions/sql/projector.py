"""What keeps a projection up to date: each event is written into it exactly once."""

import asyncio
import logging

from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from dashtam_events._told import log_told
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions._batches import Batch, Filter, Item, Unreadable
from dashtam_events.subscriptions._elsewhere import cancelled_elsewhere
from dashtam_events.subscriptions._options import Options
from dashtam_events.subscriptions._runner import Runner, Stopped
from dashtam_events.subscriptions.checkpoint import Checkpoint, ParkedEvent
from dashtam_events.subscriptions.errors import (
    CheckpointConflict,
    CheckpointError,
    ProjectionError,
    ProjectionOutdated,
)
from dashtam_events.subscriptions.health import ErrorPlace, Observer
from dashtam_events.subscriptions.retrying import Parking, Retry, Verdict, classify
from dashtam_events.subscriptions.sql.checkpoints import SQLCheckpointStore, Writes
from dashtam_events.subscriptions.sql.projection import Projection
from dashtam_events.subscriptions.sql.schema import (
    SUBSCRIPTION_METADATA,
    Source,
    create_missing,
)

__all__ = ["Projector"]

_LOGGER = logging.getLogger("dashtam_events.subscriptions")


def _classify(error: Exception) -> Verdict:
    """Permanent also where the database refused the statement or the values for what they are."""
    if isinstance(error, IntegrityError | DataError | ProgrammingError):
        return Verdict.PERMANENT
    return classify(error)


class Projector(Runner):
    """Writes the events of a store into a projection, exactly once, in commit order.

    What a batch leads to and the checkpoint behind it are one transaction, and the checkpoint is
    moved from where this projector left it, or not at all: two that run at once never both
    write; the loser steps back with `CheckpointConflict`. A batch in which an event fails is
    undone and goes on event by event; what fails for good is set aside with the checkpoint.

    It is run like a `Subscription`. Stopped, it commits what it has written of the batch in hand;
    where the projection has an `apply_batch` of its own, that is the whole batch. Tables that are
    missing are made when it begins.

    Args:
        store: what to read.
        projection: what is written.
        source: an engine; for SQLite one made with `real_savepoints`. Or a connection: then all
            is savepoints of its transaction, which the caller ends.
        name: under which the progress is kept, if not the projection's own name.
        batch_size: how many events share a transaction.
        poll: seconds after which the store and the parked events are looked at again, should no
            wake-up come.
        retry: how often a failing event is tried.
        parking: what happens around an event that is set aside, and when it is too much.
        observer: told of what happens, for metrics.
        until: do not go beyond this position.
        silent: never call `after_commit`.
    """

    _is_fenced = True

    def __init__(
        self,
        store: EventStore,
        projection: Projection,
        source: Source,
        *,
        name: str | None = None,
        batch_size: int = 100,
        poll: float = 5.0,
        retry: Retry = Retry(classify=_classify),  # noqa: B008  # frozen
        parking: Parking = Parking(),  # noqa: B008  # frozen
        observer: Observer | None = None,
        until: Position | None = None,
        silent: bool = False,
    ) -> None:
        options = Options(
            wanted=Filter(types=projection.types, categories=projection.categories),
            version=projection.version,
            batch_size=batch_size,
            poll=poll,
            retry=retry,
            parking=parking,
            observer=observer,
            until=until,
        )
        checkpoints = SQLCheckpointStore(source)
        super().__init__(name or projection.name, store, checkpoints, options)
        self._in_database = checkpoints
        self._projection = projection
        self._source = source
        self._silent = silent

    async def _partitions(self, count: int) -> tuple[Checkpoint, ...]:
        """Make what is missing; the checkpoints.

        Raises:
            PartitionMismatch: there are not as many as are wanted.
            ProjectionOutdated: the tables are those of another version.
        """
        await create_missing(self.name, self._source, SUBSCRIPTION_METADATA)
        stored = await super()._partitions(count)
        if stored[0].version != self._projection.version:
            name, version = self._projection.name, self._projection.version
            raise ProjectionOutdated(name, stored[0].version, version)
        await create_missing(self.name, self._source, self._projection.metadata)
        return stored

    async def _deal(self, batch: Batch) -> None:
        parked, recorded = self._sorted(batch.items)
        started = asyncio.get_running_loop().time()
        try:
            with cancelled_elsewhere(self.name):
                await self._advance(batch.reached, parked, recorded)
        except (CheckpointError, ProjectionError):
            raise
        except Exception:  # noqa: BLE001  # each event is tried by itself, where its error counts
            await self._look_for_parked()
            await self._one_by_one(batch)
        else:
            taken = asyncio.get_running_loop().time() - started
            fallen = {each.position: each for each in parked}
            for item in filter(self._is_passed, batch.items):
                self._count(fallen.get(item.position))
            written = list(filter(self._is_passed, recorded))
            for each in written:
                self._teller.handled(each, taken / len(written))
        self._check_failures()

    def _sorted(self, items: tuple[Item, ...]) -> tuple[list[ParkedEvent], list[RecordedEvent]]:
        """What is set aside unseen, and what is written."""
        parked: list[ParkedEvent] = []
        recorded: list[RecordedEvent] = []
        for item in items:
            refused = self._refused(item)
            if refused is not None:
                parked.append(refused)
                self._parked_streams |= {refused.stream}
            elif not isinstance(item, Unreadable):
                recorded.append(item)
        return parked, recorded

    async def _one_by_one(self, batch: Batch) -> None:
        for item in batch.items:
            try:
                fallen = await self._write_one(item)
            except Stopped:
                return
            if fallen is not None:
                await self._advance(item.position, [fallen], [])
            self._count(fallen)
            if self._stopping.is_set() or self._failures.is_over:
                return

    async def _write_one(self, item: Item) -> ParkedEvent | None:
        refused = self._refused(item)
        if refused is not None or isinstance(item, Unreadable):
            return refused
        return await self._attempt(item, lambda: self._advance(item.position, [], [item]))

    async def _advance(
        self, to: Position | None, parked: list[ParkedEvent], recorded: list[RecordedEvent]
    ) -> None:
        self._moved(await self._moved_on(to, parked, self._writing(recorded)))
        for each in filter(self._is_passed, parked):
            self._teller.parked(each)
        for written in filter(self._is_passed, recorded):
            await self._act(written)

    def _is_passed(self, item: Item | ParkedEvent) -> bool:
        """Whether it lies behind the checkpoint by now."""
        return item.position <= (self._known.position or 0)

    async def _moved_on(
        self, to: Position | None, parked: list[ParkedEvent], write: Writes
    ) -> Checkpoint:
        try:
            return await self._in_database.advance(self._known, to, park=parked, write=write)
        except CheckpointConflict:
            stored = await self._in_database.load(self.name, self._known.partition)
            if stored is not None and stored.version != self._projection.version:
                name, version = self._projection.name, self._projection.version
                raise ProjectionOutdated(name, stored.version, version) from None
            raise

    def _writing(self, recorded: list[RecordedEvent]) -> Writes:
        async def write(connection: AsyncConnection) -> Position | None:
            if type(self._projection).apply_batch is not Projection.apply_batch:
                if recorded:
                    await self._projection.apply_batch(connection, recorded)
                return None
            for number, each in enumerate(recorded, 1):
                await self._projection.apply(connection, each)
                if self._stopping.is_set() and number < len(recorded):
                    return each.position
            return None

        return write

    async def _redo(self, parked: ParkedEvent, recorded: RecordedEvent) -> None:
        write = self._writing([recorded])
        if await self._in_database.settle(self._known, parked, write=write):
            await self._act(recorded)

    async def _act(self, recorded: RecordedEvent) -> None:
        if self._silent:
            return
        try:
            with cancelled_elsewhere(self.name):
                await self._projection.after_commit(recorded)
        except Exception as error:  # noqa: BLE001  # what is committed stays so
            place = ErrorPlace.of(error)
            facts = {"projection": self.name, "error_type": place.type, "where": place.place}
            told = (
                "after_commit of {projection} raised {error_type} at {where}; "
                "the event is written, and it is not called for it again"
            )
            # Its text and traceback may hold values.
            log_told(_LOGGER, logging.ERROR, "projection_after_commit_failed", facts, told)
