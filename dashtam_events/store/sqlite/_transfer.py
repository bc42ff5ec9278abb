"""The tables of a SQLite store, for moving house."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import attrs

from dashtam_events.errors import StoreUnavailable
from dashtam_events.store._drafts import Row
from dashtam_events.store._transfer import ATTACHMENT_COLUMNS, EVENT_COLUMNS, AttachmentRow
from dashtam_events.store.sqlite._failures import translated
from dashtam_events.store.sqlite._file import DatabaseFile
from dashtam_events.store.sqlite._reading import last_position

__all__ = ["RawSQLite", "open_raw"]

_WAIT = 30.0
_OF_EVENTS, _OF_ATTACHMENTS = ", ".join(EVENT_COLUMNS), ", ".join(ATTACHMENT_COLUMNS)
_EVENTS = (
    f"SELECT {_OF_EVENTS} FROM events "  # noqa: S608  # constants only
    "WHERE position > ? AND position <= ? ORDER BY position"
)
_ATTACHMENTS = f"SELECT {_OF_ATTACHMENTS} FROM attachments ORDER BY stream, name"  # noqa: S608  # constants only
_INSERT = f"INSERT INTO events ({_OF_EVENTS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # constants only
_ATTACH = f"INSERT OR REPLACE INTO attachments ({_OF_ATTACHMENTS}) VALUES (?, ?, ?, ?)"  # noqa: S608  # constants only
_NO_END = 2**63 - 1


@attrs.frozen(kw_only=True)
class RawSQLite:
    """See `RawStore` and `Snapshot`. It blocks while it works: the command does nothing else."""

    connection: sqlite3.Connection
    shown: str
    batch_size: int

    @asynccontextmanager
    async def snapshot(self) -> "AsyncGenerator[RawSQLite, None]":
        """The store as it is now."""
        with translated(self.shown, _WAIT):
            self.connection.execute("BEGIN")
            # A transaction sees what there was at its first reading.
            last_position(self.connection)
        try:
            yield self
        finally:
            self.connection.rollback()

    async def count(self) -> int:
        """How many events there are."""
        with translated(self.shown, _WAIT):
            (count,) = self.connection.execute("SELECT count(*) FROM events").fetchone()
        return int(count)

    async def last_position(self) -> int:
        """The position of the last event; 0 while there is none."""
        with translated(self.shown, _WAIT):
            return last_position(self.connection)

    def events(self, *, after: int = 0, until: int | None = None) -> AsyncIterator[Sequence[Row]]:
        """The events between two positions in their order, a batch at a time."""
        return self._batches(_EVENTS, after, _NO_END if until is None else until)

    def attachments(self) -> AsyncIterator[Sequence[AttachmentRow]]:
        """The attachments by stream and name, a batch at a time."""
        return self._batches(_ATTACHMENTS)

    async def _batches(self, sql: str, *values: int) -> AsyncIterator[Any]:
        with translated(self.shown, _WAIT):
            cursor = self.connection.execute(sql, values)
        # Not closed here: a reader that gives up may come back after the connection is closed.
        while rows := self._fetched(cursor):
            yield rows
            # So that Ctrl-C is heard.
            await asyncio.sleep(0)

    def _fetched(self, cursor: sqlite3.Cursor) -> list[Any]:
        with translated(self.shown, _WAIT):
            return cursor.fetchmany(self.batch_size)

    async def write_events(self, rows: Sequence[Row], *, after: int) -> None:
        """Write events in one transaction, if the log ends at a position; otherwise refuse."""
        with translated(self.shown, _WAIT), self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            if last_position(self.connection) != after:
                raise StoreUnavailable(self.shown, "somebody else writes to it")
            self.connection.executemany(_INSERT, rows)

    async def write_attachments(self, rows: Sequence[AttachmentRow]) -> None:
        """Write attachments in one transaction, over those of the same names."""
        with translated(self.shown, _WAIT), self.connection:
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany(_ATTACH, rows)


@asynccontextmanager
async def open_raw(
    path: Path, *, writable: bool, batch_size: int
) -> AsyncGenerator[RawSQLite, None]:
    """The store in a file, which is made where it is to be written and is not there.

    Raises:
        StoreUnavailable: the file cannot serve.
        StoreBusy: another process held it for too long.
    """
    file = _file(path)
    with closing(file.open_writer() if writable else _reader(file)) as connection:
        yield RawSQLite(connection=connection, shown=file.shown, batch_size=batch_size)


def _file(path: Path) -> DatabaseFile:
    return DatabaseFile(
        shown=str(path), path=path.absolute(), synchronous="FULL", busy_timeout=_WAIT
    )


def _reader(file: DatabaseFile) -> sqlite3.Connection:
    """A connection that leaves nothing beside the file when it closes, as a read-only one does."""
    file.check_readable()
    with translated(file.shown, _WAIT):
        connection = sqlite3.connect(
            f"{file.path.as_uri()}?mode=rw", uri=True, timeout=_WAIT, isolation_level=None
        )
        connection.execute("PRAGMA query_only = ON")
    return connection
