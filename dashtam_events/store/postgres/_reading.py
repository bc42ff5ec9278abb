"""Reading pages of events, and the few other questions that a store is asked."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from dashtam_events.recorded import Position, StreamId
from dashtam_events.store._rows import LogQuery, Row, StreamQuery, check_attachment_name
from dashtam_events.store.postgres._server import Fetch
from dashtam_events.store.protocol import Attachment, check_event_id, check_stream

__all__ = ["Reader"]

_COLUMNS = """uuid_send(e.event_id), e.stream, e.version, e.type, e.schema_version, e.subject,
    e.recorded_at, e.data, e.metadata"""
_STREAM = """SELECT e.position, {columns} FROM {schema}.events e
    WHERE e.stream = $1 AND e.version > $2 AND e.version <= $3 ORDER BY e.version LIMIT $4"""
_LOG = """SELECT e.position, {columns} FROM {schema}.events e
    WHERE e.position > $1 ORDER BY e.position LIMIT $2"""
_SUBJECT = """SELECT e.position, {columns} FROM {schema}.events e
    WHERE e.position > $1 AND e.subject = $3 AND ($4::text[] IS NULL OR e.type = ANY ($4))
    ORDER BY e.position LIMIT $2"""
# The next positions of each type, merged from the index: by a plain filter on many types, the
# whole log would be looked through, or all events of the types be sorted.
_TYPES = """SELECT e.position, {columns}
    FROM (
        SELECT found.position FROM unnest($3::text[]) AS name
        CROSS JOIN LATERAL (
            SELECT one.position FROM {schema}.events one
            WHERE one.type = name AND one.position > $1 ORDER BY one.position LIMIT $2
        ) found
        ORDER BY found.position LIMIT $2
    ) next
    JOIN {schema}.events e USING (position) ORDER BY e.position"""
_BY_ID = """SELECT e.position, {columns}
    FROM unnest($1::uuid[]) AS given (id) JOIN {schema}.events e ON e.event_id = given.id"""
_LAST = "SELECT max(position) FROM {schema}.events"
_POSITION = "SELECT position FROM {schema}.events WHERE event_id = $1"
_ATTACHMENT = "SELECT data, version FROM {schema}.attachments WHERE stream = $1 AND name = $2"

# PostgreSQL has room for no greater one.
_LAST_VERSION = 2**31 - 1


class Reader:
    """Asks about the events of one schema; holds nothing between two questions."""

    def __init__(self, fetch: Fetch, schema: str) -> None:
        self._ask, self._schema = fetch, schema

    async def _fetch(self, sql: str, *values: Any) -> Sequence[Any]:
        return await self._ask(sql.format(schema=self._schema, columns=_COLUMNS), *values)

    async def page(self, query: StreamQuery | LogQuery, after: int, size: int) -> Sequence[Row]:
        """At most `size` rows behind a version of the stream, or a position of the log."""
        if isinstance(query, StreamQuery):
            until = _LAST_VERSION if query.until_version is None else query.until_version
            bounds = [min(bound, _LAST_VERSION) for bound in (after, until)]
            return await self._fetch(_STREAM, query.stream, *bounds, size)
        names = None if query.names is None else list(query.names)
        if query.subject is not None:
            return await self._fetch(_SUBJECT, after, size, query.subject, names)
        if names is not None:
            return await self._fetch(_TYPES, after, size, names)
        return await self._fetch(_LOG, after, size)

    async def rows_of(self, ids: Sequence[bytes]) -> dict[bytes, Row]:
        """The rows of those events that are stored, by event_id."""
        rows = await self._fetch(_BY_ID, [UUID(bytes=one) for one in ids])
        return {row[1]: row for row in rows}

    async def last_position(self) -> int:
        """The position of the last event; 0 while there is none."""
        ((position,),) = await self._fetch(_LAST)
        return position or 0

    async def position_of(self, event_id: UUID) -> Position | None:
        """The position of an event; None where it is not stored."""
        check_event_id(event_id)
        rows = await self._fetch(_POSITION, event_id)
        return Position(rows[0][0]) if rows else None

    async def attachment(self, stream: StreamId, name: str) -> Attachment | None:
        """What is kept beside a stream under a name; None where nothing ever was."""
        check_stream(stream)
        check_attachment_name(name)
        rows = await self._fetch(_ATTACHMENT, str(stream), name)
        return Attachment(data=rows[0][0], version=rows[0][1]) if rows else None
