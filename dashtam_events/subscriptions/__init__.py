"""Following a store: what was missed, then what comes, from wherever the reader left off.

`dashtam_events.subscriptions.sql` keeps checkpoints in a database, and projections beside them.
"""

from dashtam_events.subscriptions._batches import BEGINNING, NOW, Start
from dashtam_events.subscriptions.checkpoint import (
    Checkpoint,
    CheckpointStore,
    ParkedEvent,
    ParkedState,
    Renewal,
)
from dashtam_events.subscriptions.errors import (
    CheckpointAhead,
    CheckpointConflict,
    CheckpointError,
    CheckpointUnavailable,
    InboxUnavailable,
    PartitionMismatch,
    ProjectionError,
    ProjectionFailed,
    ProjectionHasDependents,
    ProjectionMismatch,
    ProjectionOutdated,
    SubscriptionTablesMissing,
    TooManyParked,
    WorkCancelled,
)
from dashtam_events.subscriptions.following import follow
from dashtam_events.subscriptions.group import ConsumerGroup
from dashtam_events.subscriptions.health import (
    ErrorPlace,
    GroupHealth,
    Health,
    Observer,
    Signal,
    SignalKind,
    SubscriptionState,
)
from dashtam_events.subscriptions.memory import InMemoryCheckpointStore
from dashtam_events.subscriptions.partitions import Lease, current_lease, partition_of
from dashtam_events.subscriptions.relay import CloudEventPublisher, Publisher, Relay
from dashtam_events.subscriptions.retrying import Parking, Retry, Verdict, classify
from dashtam_events.subscriptions.subscription import RecordedHandler, Subscription

__all__ = [
    "BEGINNING",
    "NOW",
    "Checkpoint",
    "CheckpointAhead",
    "CheckpointConflict",
    "CheckpointError",
    "CheckpointStore",
    "CheckpointUnavailable",
    "CloudEventPublisher",
    "ConsumerGroup",
    "ErrorPlace",
    "GroupHealth",
    "Health",
    "InMemoryCheckpointStore",
    "InboxUnavailable",
    "Lease",
    "Observer",
    "ParkedEvent",
    "ParkedState",
    "Parking",
    "PartitionMismatch",
    "ProjectionError",
    "ProjectionFailed",
    "ProjectionHasDependents",
    "ProjectionMismatch",
    "ProjectionOutdated",
    "Publisher",
    "RecordedHandler",
    "Relay",
    "Renewal",
    "Retry",
    "Signal",
    "SignalKind",
    "Start",
    "Subscription",
    "SubscriptionState",
    "SubscriptionTablesMissing",
    "TooManyParked",
    "Verdict",
    "WorkCancelled",
    "classify",
    "current_lease",
    "follow",
    "partition_of",
]
