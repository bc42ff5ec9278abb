"""Committing the appends that wait together, in one transaction."""

import asyncio
import sqlite3
from collections.abc import Sequence

import msgspec

from dashtam_events.store._rows import Draft, Scribe, Stored
from dashtam_events.store.sqlite._failures import meaning
from dashtam_events.store.sqlite._file import DatabaseFile
from dashtam_events.store.sqlite._writing import Outcome, Pen

__all__ = ["Committer", "Job"]


class Job(msgspec.Struct, frozen=True, eq=False):
    """An append that was accepted: its drafts, and whom to tell what became of them."""

    drafts: tuple[Draft, ...]
    future: asyncio.Future[Stored]


class Committer:
    """Writes to one connection of its own, from one thread."""

    def __init__(self, connection: sqlite3.Connection, scribe: Scribe, file: DatabaseFile) -> None:
        self._connection, self._file = connection, file
        self._pen = Pen(connection, scribe, file.shown, file.busy_timeout)

    def write(self, jobs: Sequence[Job]) -> tuple[list[tuple[Job, Outcome]], int]:
        """What became of each job, and the position of the log after them.

        What can be blamed on one job (a conflict, a duplicate) fails that one alone; when the
        engine fails, all of them fail and none is written. A job that was cancelled before its
        turn is left out.
        """
        outcomes: list[tuple[Job, Outcome]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._pen.find_end()
            for job in jobs:
                if not job.future.cancelled():
                    outcomes += [(job, self._pen.append(job.drafts))]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            failed = [(job, self._meaning(error)) for job in jobs]
            return list[tuple[Job, Outcome]](failed), 0
        finally:
            self._roll_back()
        return outcomes, self._pen.position

    def close(self) -> None:
        """Close the connection; the last one to close tidies the write-ahead log away."""
        self._connection.close()

    def _meaning(self, error: sqlite3.Error) -> BaseException:
        failure = meaning(error, self._file.shown, self._file.busy_timeout)
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
