"""Reading a page of events, and the few other questions that a store is asked."""

from collections.abc import Sequence
from typing import Any

from dashtam_events.store._rows import LogQuery, Row, StreamQuery
from dashtam_events.store.protocol import Attachment
from dashtam_events.store.sqlite._connection import Connection

__all__ = ["attachment", "last_position", "page", "position_of", "rows_of"]

_COLUMNS = """position, event_id, {stream}, version, type, schema_version, subject, recorded_at,
    data, metadata"""
_OF_ANY = _COLUMNS.format(stream="stream")
# Where all rows are of one stream, its name is not fetched with each: that is a third of the time.
_OF_ONE = _COLUMNS.format(stream="NULL")
# SQLite joins at most 500 SELECTs; by so many types a log is as well filtered without an index.
_MOST_NAMES = 400
_MOST_IDS = 500


def page(
    connection: Connection, query: StreamQuery | LogQuery, after: int, size: int
) -> Sequence[Row]:
    """At most `size` rows behind a version of the stream, or a position of the log."""
    if isinstance(query, StreamQuery):
        sql, values = _of_stream(query, after)
    else:
        sql, values = _of_log(query, after, size)
    return connection.execute(f"{sql} LIMIT ?", (*values, size)).fetchall()


def _of_stream(query: StreamQuery, after: int) -> tuple[str, list[Any]]:
    sql = f"SELECT {_OF_ONE} FROM events WHERE stream = ? AND version > ?"  # noqa: S608  # constants only
    values: list[Any] = [query.stream, after]
    if query.until_version is not None:
        sql += " AND version <= ?"
        values.append(query.until_version)
    return f"{sql} ORDER BY version", values


def _of_log(query: LogQuery, after: int, size: int) -> tuple[str, list[Any]]:
    sql = f"SELECT {_OF_ANY} FROM events WHERE position > ?"  # noqa: S608  # constants only
    values: list[Any] = [after]
    names = query.names
    if query.subject is not None:
        sql += " AND subject = ?"
        values.append(query.subject)
    if names is not None and query.subject is None and 0 < len(names) <= _MOST_NAMES:
        found, named = _positions(names, after, size)
        sql += f" AND position IN ({found})"
        values += named
    elif names is not None:
        # The plus keeps SQLite from taking the index of the types and sorting what it finds.
        sql += f" AND +type IN ({_marks(names)})"
        values += names
    return f"{sql} ORDER BY position", values


def _positions(names: tuple[str, ...], after: int, size: int) -> tuple[str, list[Any]]:
    """The next positions of events of these types, merged from the index without sorting."""
    one = "SELECT position FROM events WHERE type = ? AND position > ?"
    values: list[Any] = []
    for name in names:
        values += (name, after)
    joined = " UNION ALL ".join([one] * len(names))
    return f"{joined} ORDER BY position LIMIT ?", [*values, size]


def _marks(values: tuple[object, ...] | list[bytes]) -> str:
    return ", ".join("?" * len(values))


def rows_of(connection: Connection, ids: list[bytes]) -> dict[bytes, Row]:
    """The rows of those events that are stored, by event_id."""
    found: dict[bytes, Row] = {}
    for start in range(0, len(ids), _MOST_IDS):
        some = ids[start : start + _MOST_IDS]
        sql = f"SELECT {_OF_ANY} FROM events WHERE event_id IN ({_marks(some)})"  # noqa: S608  # constants only
        found.update((row[1], row) for row in connection.execute(sql, some).fetchall())
    return found


def last_position(connection: Connection) -> int:
    """The position of the last event; 0 while there is none."""
    (position,) = connection.execute("SELECT max(position) FROM events").fetchone()
    return position or 0


def position_of(connection: Connection, event_id: bytes) -> int | None:
    """The position of an event; None where it is not stored."""
    sql = "SELECT position FROM events WHERE event_id = ?"
    row = connection.execute(sql, (event_id,)).fetchone()
    return None if row is None else row[0]


def attachment(connection: Connection, stream: str, name: str) -> Attachment | None:
    """What is kept beside a stream under a name; None where nothing ever was."""
    sql = "SELECT data, version FROM attachments WHERE stream = ? AND name = ?"
    row = connection.execute(sql, (stream, name)).fetchone()
    return None if row is None else Attachment(data=row[0], version=row[1])
