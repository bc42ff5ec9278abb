"""Event stores: one protocol, and the engines behind it."""

from dashtam_events.store.memory import InMemoryEventStore
from dashtam_events.store.protocol import (
    ANY,
    EXISTS,
    NO_STREAM,
    Append,
    AppendResult,
    Attachment,
    EventStore,
    Expected,
    MetadataLike,
)
from dashtam_events.store.sqlite import SQLiteEventStore

__all__ = [
    "ANY",
    "EXISTS",
    "NO_STREAM",
    "Append",
    "AppendResult",
    "Attachment",
    "EventStore",
    "Expected",
    "InMemoryEventStore",
    "MetadataLike",
    "SQLiteEventStore",
]
