"""The file of a SQLite store: opened, made where there is none, refused where it is not ours."""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import attrs

from dashtam_events.errors import StoreUnavailable
from dashtam_events.store.sqlite import _schema
from dashtam_events.store.sqlite._failures import translated

__all__ = ["DatabaseFile", "Synchronous"]

Synchronous = Literal["FULL", "NORMAL"]
_T = TypeVar("_T")


@attrs.frozen(kw_only=True)
class DatabaseFile:
    """Where a store lives, and how connections to it are made.

    Every method raises `StoreUnavailable`, with one sentence that says why, where the file cannot
    serve, and `StoreBusy` where another process holds it for longer than `busy_timeout` seconds.
    """

    shown: str
    path: Path
    synchronous: Synchronous
    busy_timeout: float

    def open_writer(self) -> sqlite3.Connection:
        """A connection that may write; makes the file and its tables where there are none."""
        self._refuse_place()
        with translated(self.shown, self.busy_timeout):
            connection = self._connect("mode=rwc")
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def open_reader(self) -> sqlite3.Connection:
        """A connection that only reads, beside one that is open for writing."""
        return self._connect("mode=ro")

    def check_readable(self) -> None:
        """Refuse a file in which there is nothing that could be read."""
        if self._is_directory():
            raise self._refusal("it is a directory")
        if self.look(self._is_unused):
            raise self._refusal("it holds no events")

    def look(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """Ask something of a file that is neither made nor changed by it, nor anything beside it.

        SQLite makes files of its own beside a database in order to read it, unless other
        processes have made them already or it is told that the file stands still.
        """
        while True:
            before = self._state()
            stands_still = before[-1] == 0
            with translated(self.shown, self.busy_timeout):
                connection = self._connect("mode=ro&immutable=1" if stands_still else "mode=ro")
                try:
                    answer = question(connection)
                finally:
                    connection.close()
            if not stands_still or self._state() == before:
                return answer

    def is_at(self, place: str | None) -> bool:
        """Whether it is the file of that name."""
        try:
            return bool(place) and self.path.samefile(place or "")
        except OSError:
            return False

    def _state(self) -> tuple[int, int, int]:
        """When the file changed, how long it is, and how long its write-ahead log."""
        try:
            file = self.path.stat()
        except OSError as error:
            reason = "there is no such file" if not self.path.exists() else str(error.strerror)
            raise self._refusal(reason) from error
        try:
            log = Path(f"{self.path}-wal").stat().st_size
        except OSError:
            log = 0
        return file.st_mtime_ns, file.st_size, log

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.as_uri()}?{mode}",
            uri=True,
            timeout=self.busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )

    def _refuse_place(self) -> None:
        if self._is_directory():
            raise self._refusal("it is a directory")
        if not self.path.parent.is_dir():
            raise self._refusal("its directory does not exist")
        if self.path.exists() and not os.access(self.path, os.W_OK):
            raise self._refusal("the file is read-only")
        if not os.access(self.path.parent, os.W_OK):
            raise self._refusal("its directory is read-only")

    def _is_directory(self) -> bool:
        try:
            return self.path.is_dir()
        except OSError as error:
            raise self._refusal(str(error.strerror)) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        unused = self._is_unused(connection)
        self._use_write_ahead_log(connection)
        if unused:
            connection.execute("BEGIN IMMEDIATE")
            if self._is_unused(connection):
                _schema.create(connection)
            connection.execute("COMMIT")

    def _is_unused(self, connection: sqlite3.Connection) -> bool:
        objection = _schema.objection(connection)
        if objection:
            raise self._refusal(objection)
        return objection is not None

    def _use_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self.busy_timeout
        while True:
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError as error:
                # SQLite does not wait for others here, whatever the timeout.
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise self._refusal("its file system cannot hold a write-ahead log")

    def _refusal(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(self.shown, reason)
