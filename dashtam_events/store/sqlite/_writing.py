"""Writing one append, atomic for itself, in a transaction that is open."""

import sqlite3
from contextlib import suppress

from dashtam_events.errors import DuplicateEvent, VersionConflict
from dashtam_events.store._rows import (
    Draft,
    Row,
    Scribe,
    Stored,
    check_expected,
    ids_of,
    repeated,
)
from dashtam_events.store.sqlite._connection import Connection
from dashtam_events.store.sqlite._failures import meaning
from dashtam_events.store.sqlite._reading import last_position, rows_of

__all__ = ["Outcome", "Pen"]

Outcome = Stored | BaseException
"""What became of an append."""

_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HEAD = "SELECT max(version) FROM events WHERE stream = ?"
_ATTACH = "INSERT OR REPLACE INTO attachments VALUES (?, ?, ?, ?)"


class Pen:
    """Writes appends over one connection, in transactions that others begin and end.

    `store` and `busy_timeout` are for the errors: the file, and how long it is waited for.

    Attributes:
        position: that of the log, after what was written.
    """

    def __init__(
        self, connection: Connection, scribe: Scribe, store: str, busy_timeout: float
    ) -> None:
        self._connection, self._scribe = connection, scribe
        self._store, self._busy_timeout = store, busy_timeout
        self.position = 0

    def find_end(self) -> None:
        """Look where the log ends, in a transaction that holds the lock for writing."""
        self.position = last_position(self._connection)

    def append(self, drafts: tuple[Draft, ...]) -> Outcome:
        """What became of an append: what can be blamed on it has left nothing behind.

        Raises:
            sqlite3.Error: the engine failed; nothing of this append is left either.
        """
        self._connection.execute("SAVEPOINT dashtam_events_append")
        try:
            outcome = self._attempt(drafts)
            self._connection.execute("RELEASE dashtam_events_append")
        except BaseException:
            # SQLite may have undone the whole transaction by itself.
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK TO dashtam_events_append")
                self._connection.execute("RELEASE dashtam_events_append")
            raise
        return outcome

    def _attempt(self, drafts: tuple[Draft, ...]) -> Outcome:
        before = self.position
        try:
            return Stored(rows=self._insert(drafts), repeated=False)
        except (sqlite3.IntegrityError, sqlite3.DataError, VersionConflict) as error:
            self._undo(before)
            return self._explain(drafts, error)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001  # the clock is the caller's, and may raise anything
            self._undo(before)
            return error

    def _undo(self, position: int) -> None:
        self._connection.execute("ROLLBACK TO dashtam_events_append")
        self.position = position

    def _insert(self, drafts: tuple[Draft, ...]) -> tuple[list[Row], ...]:
        """Write everything on the assumption that it is new; the tables refuse what is not."""
        instant = self._scribe.instant()
        written: list[list[Row]] = []
        for draft in drafts:
            # The head is checked too: UNIQUE (stream, version) alone would let versions be skipped.
            (head,) = self._connection.execute(_HEAD, (draft.stream,)).fetchone()
            check_expected(draft.append, head or 0)
            rows = draft.rows(self.position, head or 0, instant)
            self._connection.executemany(_INSERT, rows)
            self.position += len(rows)
            written.append(rows)
            if draft.append.attachments:
                self._attach(draft, version=rows[-1][3])
        return tuple(written)

    def _attach(self, draft: Draft, version: int) -> None:
        kept = draft.append.attachments.items()
        values = [(draft.stream, name, version, data) for name, data in kept]
        self._connection.executemany(_ATTACH, values)

    def _explain(
        self, drafts: tuple[Draft, ...], error: sqlite3.Error | VersionConflict
    ) -> Outcome:
        """An append that was refused is either an earlier one again, or really refused."""
        known = rows_of(self._connection, ids_of(drafts))
        try:
            again = repeated(drafts, known)
        except DuplicateEvent as duplicate:
            return duplicate
        if again is not None:
            return again
        if isinstance(error, VersionConflict):
            return error
        failure = meaning(error, self._store, self._busy_timeout)
        failure.__cause__ = error
        return failure
