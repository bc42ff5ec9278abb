"""The tables of the SQLite store, and how they get into a file."""

import sqlite3

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "create", "objection"]

APPLICATION_ID = 0x64457673
"""Says in the header of the file whose it is ("dEvs")."""
SCHEMA_VERSION = 1

# Positions are given out by the store, in the transaction that commits them: SQLite has one
# writer at a time, so their order is that of the commits. The two last indexes end in the
# position, as every index of SQLite does: a filtered log is read in order, without sorting.
_TABLES = """
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL UNIQUE,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    type TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    subject TEXT,
    recorded_at INTEGER NOT NULL,
    data BLOB NOT NULL,
    metadata BLOB,
    UNIQUE (stream, version)
) STRICT;
CREATE INDEX events_by_type ON events (type);
CREATE INDEX events_by_subject ON events (subject) WHERE subject IS NOT NULL;
CREATE TABLE attachments (
    stream TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    data BLOB,
    PRIMARY KEY (stream, name)
) STRICT, WITHOUT ROWID;
"""
_TAKEN = """
SELECT type, name FROM sqlite_schema
WHERE lower(name) IN ('events', 'events_by_type', 'events_by_subject', 'attachments')
"""


def objection(connection: sqlite3.Connection) -> str | None:
    """Why the file cannot be ours: None where it is, empty where it can become so.

    It can where nothing says whose it is, whatever tables others have in it.
    """
    if connection.in_transaction:
        return _objection(connection)
    # One transaction, or the answers could be from before and after another process made it ours.
    connection.execute("BEGIN")
    try:
        return _objection(connection)
    finally:
        connection.execute("ROLLBACK")


def _objection(connection: sqlite3.Connection) -> str | None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == version == 0:
        taken = connection.execute(_TAKEN).fetchone()
        return "" if taken is None else f"the {taken[0]} {taken[1]} in it is of something else"
    if application != APPLICATION_ID:
        return "it is a database of something else, which keeps a number in its header"
    if version > SCHEMA_VERSION:
        return (
            f"it was written by a newer release (schema {version}, this one knows "
            f"{SCHEMA_VERSION}): upgrade dashtam-events"
        )
    return None


def create(connection: sqlite3.Connection) -> None:
    """Write the tables, in the transaction that is open."""
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
