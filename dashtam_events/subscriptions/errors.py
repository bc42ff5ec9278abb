"""What ends a subscription or a projection: a branch of the tree in `dashtam_events.errors`.

DashtamEventsError
├── CheckpointError            how far a subscription has come could not be kept
│   ├── CheckpointAhead        the log ends before it: events are missing there
│   ├── CheckpointConflict     another runner moved it
│   ├── CheckpointUnavailable  the database underneath failed
│   ├── SubscriptionTablesMissing  nobody made the tables
│   └── PartitionMismatch      it was begun with another number of partitions
├── InboxUnavailable           an event could not be claimed, because the database failed
├── TooManyParked              a subscription stopped, because too many events were set aside
├── WorkCancelled              what was waited for was cancelled by somebody else
└── ProjectionError
    ├── ProjectionFailed       an event could not be written into it in the transaction of an append
    ├── ProjectionHasDependents  its tables cannot be replaced: others made views of them
    ├── ProjectionOutdated     its tables were made by another version of it
    └── ProjectionMismatch     what was rebuilt is not what was there
"""

from dashtam_events.errors import DashtamEventsError

__all__ = [
    "CheckpointAhead",
    "CheckpointConflict",
    "CheckpointError",
    "CheckpointUnavailable",
    "InboxUnavailable",
    "PartitionMismatch",
    "ProjectionError",
    "ProjectionFailed",
    "ProjectionHasDependents",
    "ProjectionMismatch",
    "ProjectionOutdated",
    "SubscriptionTablesMissing",
    "TooManyParked",
    "WorkCancelled",
]


class CheckpointError(DashtamEventsError):
    """How far a subscription has come could not be kept."""


class CheckpointAhead(CheckpointError):
    """The checkpoint is at `position`, and the log ends at `last` (None: it is empty).

    The store lost events that the subscription has dealt with: it was restored from a backup, or
    another server took over that had not received them. What is appended now gets positions that
    the checkpoint has passed, and would never be dealt with.
    """

    def __init__(self, subscription: str, position: int, last: int | None) -> None:
        super().__init__(subscription, position, last)
        self.subscription = subscription
        self.position = position
        self.last = last

    def __str__(self) -> str:
        return (
            f"{self.subscription}: the checkpoint is at position {self.position}, but the log ends "
            f"at {self.last or 0}: events are missing in the store; see to what was done for them, "
            "then set the checkpoint back to where the log ends"
        )


class CheckpointConflict(CheckpointError):
    """The checkpoint is not where this runner left it: another one moved it, or took it over.

    Nothing of what was to be written with it was written.
    """

    def __init__(self, subscription: str, partition: int, position: int | None) -> None:
        super().__init__(subscription, partition, position)
        self.subscription = subscription
        self.partition = partition
        self.position = position

    def __str__(self) -> str:
        return (
            f"{self.subscription}: the checkpoint is no longer at position {self.position}: "
            "another runner moved it; run one at a time"
        )


class CheckpointUnavailable(CheckpointError):
    """The database that keeps the checkpoints failed; `reason` names the error underneath.

    Whether it was written is not known: load the checkpoint to find out.
    """

    def __init__(self, subscription: str, reason: str) -> None:
        super().__init__(subscription, reason)
        self.subscription = subscription
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.subscription}: the checkpoint cannot be reached: {self.reason}"


class SubscriptionTablesMissing(CheckpointError):
    """The tables of a subscription, a projection or an inbox were never made.

    `remedy` is what makes them; `subscription` is whose they are.
    """

    def __init__(self, subscription: str, remedy: str) -> None:
        super().__init__(subscription, remedy)
        self.subscription = subscription
        self.remedy = remedy

    def __str__(self) -> str:
        return (
            f"{self.subscription}: the tables of subscriptions are not in this database: "
            f"if it is the right one, call {self.remedy} first"
        )


class PartitionMismatch(CheckpointError):
    """A subscription was begun with `stored` partitions; `wanted` is another number.

    Outside a consumer group, `wanted` is 1.
    """

    def __init__(self, subscription: str, stored: int, wanted: int) -> None:
        super().__init__(subscription, stored, wanted)
        self.subscription = subscription
        self.stored = stored
        self.wanted = wanted

    def __str__(self) -> str:
        return (
            f"{self.subscription}: it was begun with {self.stored} partitions and not "
            f"{self.wanted}, and keeps that number: run it in a consumer group of "
            f"{self.stored}, or begin anew under another name"
        )


class InboxUnavailable(DashtamEventsError):
    """The database of an inbox failed; `reason` names the error underneath.

    Roll back: whether an event was dealt with is known when it comes again.
    """

    def __init__(self, consumer: str, reason: str) -> None:
        super().__init__(consumer, reason)
        self.consumer = consumer
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.consumer}: the inbox cannot be reached: {self.reason}; roll back"


class TooManyParked(DashtamEventsError):
    """A subscription stopped: of the last `dealt` events, `failed` failed for good.

    Another `waiting` of them stand behind those of their stream. All of these are parked, and the
    checkpoint is behind them. While they are, the subscription stops again when it is started.
    """

    def __init__(self, subscription: str, failed: int, dealt: int, waiting: int = 0) -> None:
        super().__init__(subscription, failed, dealt, waiting)
        self.subscription = subscription
        self.failed = failed
        self.dealt = dealt
        self.waiting = waiting

    def __str__(self) -> str:
        return (
            f"{self.subscription}: of the last {self.dealt} events {self.failed} failed and were "
            f"parked, and {self.waiting} behind them: mend the handler, have them replayed or "
            "drop them, and start again"
        )


class WorkCancelled(DashtamEventsError):
    """What a handler, a projection or a store waited for was cancelled, and not by who waits.

    It counts as a failure like any other, one that may pass.
    """

    def __init__(self, subscription: str) -> None:
        super().__init__(subscription)
        self.subscription = subscription

    def __str__(self) -> str:
        return f"{self.subscription}: something that was waited for was cancelled by somebody else"


class ProjectionError(DashtamEventsError):
    """A projection could not be kept or rebuilt."""


class ProjectionFailed(ProjectionError):
    """An event could not be written into an inline projection: `reason` says why.

    The append of which this was a part is undone. The event is not always one of that append: it
    may be an earlier one that the projection has yet to see.
    """

    def __init__(self, projection: str, position: int, reason: str) -> None:
        super().__init__(projection, position, reason)
        self.projection = projection
        self.position = position
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.projection}: the event at position {self.position} could not be written: "
            f"{self.reason}; nothing was appended; an event that was there before holds up every "
            "append until it can be written, or until a Projector has parked it and it is dropped"
        )


class ProjectionOutdated(ProjectionError):
    """The tables of a projection were made by version `stored` of it; this one is `version`."""

    def __init__(self, projection: str, stored: int, version: int) -> None:
        super().__init__(projection, stored, version)
        self.projection = projection
        self.stored = stored
        self.version = version

    def __str__(self) -> str:
        return (
            f"{self.projection}: its tables are of version {self.stored}, the code is of "
            f"version {self.version}: rebuild it, or run the release that fits"
        )


class ProjectionHasDependents(ProjectionError):
    """The tables cannot be replaced: `dependents` are what others made of them, in words."""

    def __init__(self, projection: str, dependents: tuple[str, ...]) -> None:
        super().__init__(projection, dependents)
        self.projection = projection
        self.dependents = dependents

    def __str__(self) -> str:
        return (
            f"{self.projection}: its tables cannot be replaced under {', '.join(self.dependents)}: "
            "drop it, rebuild, and create it again"
        )


class ProjectionMismatch(ProjectionError):
    """What was rebuilt differs from what was there, so nothing was switched.

    `only_old` and `only_new` count the rows of `table` that the other has not, in the columns
    that both have.
    """

    def __init__(self, projection: str, table: str, only_old: int, only_new: int) -> None:
        super().__init__(projection, table, only_old, only_new)
        self.projection = projection
        self.table = table
        self.only_old = only_old
        self.only_new = only_new

    def __str__(self) -> str:
        return (
            f"{self.projection}: {self.table}: {self.only_old} rows are only in the old table, "
            f"{self.only_new} only in the new one; rebuild with compare=False if that is meant"
        )
