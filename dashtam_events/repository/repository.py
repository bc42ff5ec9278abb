"""Load an aggregate, save what it recorded, decide again on a conflict."""

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from dashtam_events._frozen import EMPTY
from dashtam_events.aggregate import Aggregate
from dashtam_events.errors import AggregateNotFound, VersionConflict
from dashtam_events.repository.snapshot import SNAPSHOT, SnapshotConverter, SnapshotFormat
from dashtam_events.store.protocol import AppendResult, EventStore, MetadataLike

__all__ = ["Repository"]

_A = TypeVar("_A", bound=Aggregate)
_T = TypeVar("_T")


class Repository(Generic[_A]):
    """The aggregates of one class, in one store.

    It keeps nothing between calls: every `get` reads the store, and returns an object of its
    own. A new aggregate is created by saving it; nobody else's stream is overwritten, because
    every save expects the version that the aggregate was loaded at.

    Args:
        store: where the events are; open it first.
        aggregate: the class of the aggregates, declared with `stream=...`.
        snapshot_every: write a snapshot, in the same append, whenever the version passes a
            multiple of this number, and load from it. None: neither write nor read snapshots.
        attempts: how many times `execute` decides before it gives up.
        converter: what writes and reads snapshots, where their types need hooks of your own
            (see `make_converter`).

    Raises:
        TypeError: the class declares no stream, or no snapshots where they are asked for.
        ValueError: a number is below 1.
    """

    def __init__(
        self,
        store: EventStore,
        aggregate: type[_A],
        *,
        snapshot_every: int | None = None,
        attempts: int = 5,
        converter: SnapshotConverter | None = None,
    ) -> None:
        if not hasattr(aggregate, "stream_category"):
            raise TypeError(f"{aggregate.__qualname__} has no stream: declare it with stream=...")
        if attempts < 1 or (snapshot_every is not None and snapshot_every < 1):
            raise ValueError("attempts and snapshot_every are numbers from 1")
        self._store = store
        self._aggregate = aggregate
        self._attempts = attempts
        self._snapshot_every = snapshot_every
        self._snapshots = None if snapshot_every is None else SnapshotFormat(aggregate, converter)

    async def get(
        self, id: UUID, *, at_version: int | None = None, at_time: datetime | None = None
    ) -> _A:
        """The aggregate as it stands, or as it stood.

        Args:
            id: which one.
            at_version: as it stood after this many events (after all, where there are fewer).
            at_time: as it stood in the store at this instant (aware).

        Raises:
            AggregateNotFound: it has no events, or had none yet.
            InvalidHistory: its events cannot have happened in that order.
            UnappliedEvent: it does not know one of its events.
            TypeError: the id is no UUID.
            ValueError: `at_version` is below 1, or `at_time` is naive.
        """
        if at_version is not None and at_version < 1:
            raise ValueError("at_version is a number of events, from 1")
        if at_time is not None and at_time.tzinfo is None:
            raise ValueError("at_time must be aware: pass a datetime with a timezone")
        past = at_version is not None or at_time is not None
        aggregate = self._aggregate.blank(id) if past else await self._latest_snapshot(id)
        await self._advance(aggregate, until_version=at_version, until_time=at_time)
        if aggregate.version == 0:
            raise AggregateNotFound(str(aggregate.stream))
        return aggregate

    async def save(self, aggregate: _A, *, metadata: MetadataLike = None) -> AppendResult | None:
        """Store the pending events, all or none; None where nothing is pending.

        When this raises or is cancelled, the events are still pending. Where it is not known
        whether they were stored, save again before anything else is recorded: an append is
        idempotent. After a `VersionConflict` nothing is stored, and the aggregate is out of
        date: load it again and decide again, as `execute` does.

        Raises:
            VersionConflict: the stream is not at the aggregate's version any more, or an
                aggregate that was to be created exists.
            StoreError: as `EventStore.append` raises.
        """
        pending = aggregate.pending_events
        if not pending:
            return None
        result = await self._store.append(
            aggregate.stream,
            pending,
            expected=aggregate.version,
            metadata=metadata,
            attachments=self._attachments(aggregate),
        )
        aggregate.mark_saved(result.version)
        return result

    async def execute(
        self, id: UUID, decision: Callable[[_A], _T], *, metadata: MetadataLike = None
    ) -> _T:
        """Load, decide, save; on a conflict load again and decide again.

        `decision` is a plain function that calls commands of the aggregate. It may run several
        times, each time on a fresh aggregate, so it must do nothing else. Its answer is
        returned, a `Failure` like any other: what it recorded is saved, and nothing more. An
        exception that it raises passes through and saves nothing.

        Raises:
            TypeError: the decision is asynchronous; nothing was saved.
            AggregateNotFound: there is no such aggregate.
            VersionConflict: others were faster at every attempt.
            StoreUnavailable: whether it was saved is not known: look before deciding again.
            StoreError: what else `EventStore.append` raises.
        """
        attempt = 1
        while True:
            aggregate = await self.get(id)
            answer = decision(aggregate)
            _refuse_promise(answer)
            try:
                await self.save(aggregate, metadata=metadata)
            except VersionConflict:
                if attempt == self._attempts:
                    raise
            else:
                return answer
            attempt += 1

    async def verify_snapshot(self, id: UUID) -> bool:
        """Whether a snapshot is kept, fits, and leads to the same state as all the events.

        Raises:
            AggregateNotFound: there is no such aggregate.
            TypeError: this repository keeps no snapshots.
        """
        if self._snapshots is None:
            raise TypeError("this repository keeps no snapshots: give it snapshot_every")
        shortened = await self._latest_snapshot(id)
        found = shortened.version > 0
        await self._advance(shortened)
        if shortened.version == 0:
            raise AggregateNotFound(str(shortened.stream))
        full = self._aggregate.blank(id)
        await self._advance(full, until_version=shortened.version)
        return found and shortened.same_state_as(full)

    async def _advance(
        self,
        aggregate: _A,
        *,
        until_version: int | None = None,
        until_time: datetime | None = None,
    ) -> None:
        """Apply what the store has after the aggregate's version."""
        async for recorded in self._store.read_stream(
            aggregate.stream,
            after=aggregate.version,
            until_version=until_version,
            until_time=until_time,
        ):
            aggregate.advance(recorded)

    def _attachments(self, aggregate: _A) -> Mapping[str, bytes | None]:
        """What to keep beside the stream with the pending events: the snapshot, when it is due."""
        if self._snapshots is None or self._snapshot_every is None:
            return EMPTY
        reached = aggregate.version + len(aggregate.pending_events)
        if reached // self._snapshot_every == aggregate.version // self._snapshot_every:
            return EMPTY
        return {SNAPSHOT: self._snapshots.dump(aggregate)}

    async def _latest_snapshot(self, id: UUID) -> _A:
        """The aggregate as the snapshot has it; blank where none is kept, or it does not fit."""
        blank = self._aggregate.blank(id)
        if self._snapshots is None:
            return blank
        kept = await self._store.read_attachment(blank.stream, SNAPSHOT)
        if kept is None or kept.data is None:
            return blank
        state = self._snapshots.load(kept.data)
        if state is None:
            return blank
        return self._aggregate.replay_from(id, kept.version, state)


def _refuse_promise(answer: object) -> None:
    """An answer that is still to be awaited: nothing has been decided yet."""
    if not inspect.isawaitable(answer):
        return
    if inspect.iscoroutine(answer):
        answer.close()
    raise TypeError(
        "a decision is a plain function: call await outside of it, and give it what came of it"
    )
