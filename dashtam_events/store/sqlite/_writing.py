"""Writing the appends that wait together in one transaction, each of them atomic for itself."""

import asyncio
import sqlite3
from collections.abc import Sequence

import attrs

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
from dashtam_events.store.sqlite._failures import meaning
from dashtam_events.store.sqlite._reading import last_position, rows_of

__all__ = ["Job", "Outcome", "Pen"]

Outcome = Stored | BaseException
"""What became of an append."""

_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_HEAD = "SELECT max(version) FROM events WHERE stream = ?"
_ATTACH = "INSERT OR REPLACE INTO attachments VALUES (?, ?, ?, ?)"


@attrs.frozen(eq=False)
class Job:
    """An append that was accepted: its drafts, and whom to tell what became of them."""

    drafts: tuple[Draft, ...]
    future: asyncio.Future[Stored]


class Pen:
    """Writes to one connection, from one thread.

    `store` and `busy_timeout` are for the errors: the file, and how long it is waited for.
    """

    def __init__(
        self, connection: sqlite3.Connection, scribe: Scribe, store: str, busy_timeout: float
    ) -> None:
        self._connection, self._scribe = connection, scribe
        self._store, self._busy_timeout = store, busy_timeout
        self._position = 0

    def write(self, jobs: Sequence[Job]) -> tuple[list[tuple[Job, Outcome]], int]:
        """What became of each job, and the position of the log after them.

        What can be blamed on one job (a conflict, a duplicate) fails that one alone; when the
        engine fails, all of them fail and none is written. A job that was cancelled before its
        turn is left out.
        """
        outcomes: list[tuple[Job, Outcome]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._position = last_position(self._connection)
            for job in jobs:
                if not job.future.cancelled():
                    outcomes += [(job, self._attempt(job.drafts))]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            failed = [(job, self._meaning(error)) for job in jobs]
            return list[tuple[Job, Outcome]](failed), 0
        finally:
            self._roll_back()
        return outcomes, self._position

    def close(self) -> None:
        """Close the connection; the last one to close tidies the write-ahead log away."""
        self._connection.close()

    def _meaning(self, error: sqlite3.Error) -> BaseException:
        failure = meaning(error, self._store, self._busy_timeout)
        failure.__cause__ = error
        return failure

    def _roll_back(self) -> None:
        # There is nothing to roll back after a commit, nor where SQLite has done it by itself.
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                # Nothing more can be done: the next BEGIN fails, and says so to its caller.
                return

    def _attempt(self, drafts: tuple[Draft, ...]) -> Outcome:
        before = self._position
        self._connection.execute("SAVEPOINT append")
        try:
            outcome: Outcome = Stored(rows=self._insert(drafts), repeated=False)
        except (sqlite3.IntegrityError, sqlite3.DataError, VersionConflict) as error:
            self._undo(before)
            outcome = self._explain(drafts, error)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001  # the clock is the caller's, and may raise anything
            self._undo(before)
            outcome = error
        self._connection.execute("RELEASE append")
        return outcome

    def _undo(self, position: int) -> None:
        self._connection.execute("ROLLBACK TO append")
        self._position = position

    def _insert(self, drafts: tuple[Draft, ...]) -> tuple[list[Row], ...]:
        """Write everything on the assumption that it is new; the tables refuse what is not."""
        instant = self._scribe.instant()
        written: list[list[Row]] = []
        for draft in drafts:
            # The head is checked too: UNIQUE (stream, version) alone would let versions be skipped.
            (head,) = self._connection.execute(_HEAD, (draft.stream,)).fetchone()
            check_expected(draft.append, head or 0)
            rows = draft.rows(self._position, head or 0, instant)
            self._connection.executemany(_INSERT, rows)
            self._position += len(rows)
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
        return self._meaning(error) if isinstance(error, sqlite3.Error) else error
