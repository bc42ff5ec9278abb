"""What SQLite's errors mean to the user of a store; none of them leaves this room."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from dashtam_events.errors import StoreBusy, StoreError, StoreUnavailable

__all__ = ["meaning", "translated"]

_REASONS = {
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk failed while reading or writing",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database",
    sqlite3.SQLITE_READONLY: "it cannot be written to",
    sqlite3.SQLITE_PERM: "access is denied",
}
_STALE = "your transaction began before another commit: roll back, begin with BEGIN IMMEDIATE"


def meaning(error: sqlite3.Error, store: str, waited: float) -> StoreError:
    """The error of ours that says the same; `waited` is how long a busy file was waited for."""
    # Misuse of the driver itself has no code; the primary one is in the low byte.
    extended = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    if extended == sqlite3.SQLITE_BUSY_SNAPSHOT:
        return StoreBusy(store, waited, _STALE)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusy(store, waited)
    return StoreUnavailable(store, _REASONS.get(code, f"SQLite says: {error}"))


@contextmanager
def translated(store: str, waited: float) -> Generator[None]:
    """Errors of SQLite become errors of ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise meaning(error, store, waited) from error
