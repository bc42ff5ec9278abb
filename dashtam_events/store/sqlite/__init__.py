"""The embedded event store: one SQLite file, any number of processes."""

from dashtam_events.store.sqlite._store import SQLiteEventStore

__all__ = ["SQLiteEventStore"]
