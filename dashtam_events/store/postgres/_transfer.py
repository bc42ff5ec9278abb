"""The tables of a PostgreSQL store, for moving house."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from uuid import UUID

import attrs

from dashtam_events._alone import raise_alone
from dashtam_events.errors import StoreUnavailable
from dashtam_events.store._drafts import Row
from dashtam_events.store._transfer import ATTACHMENT_COLUMNS, EVENT_COLUMNS, AttachmentRow
from dashtam_events.store.postgres._failures import FOREIGN
from dashtam_events.store.postgres._migrating import bring_up, refuse_other_versions
from dashtam_events.store.postgres._schema import check_schema, lock_key
from dashtam_events.store.postgres._server import Server

__all__ = ["RawPostgres", "open_raw"]

_EVENTS = f"""SELECT {", ".join(EVENT_COLUMNS)} FROM {{schema}}.events
    WHERE position > $1 AND position <= $2 ORDER BY position"""  # noqa: S608  # constants only
_ATTACHMENTS = f"""SELECT {", ".join(ATTACHMENT_COLUMNS)} FROM {{schema}}.attachments
    ORDER BY stream, name"""  # noqa: S608  # constants only
_ATTACH = """INSERT INTO {schema}.attachments AS kept (stream, name, version, data)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (stream, name) DO UPDATE SET version = excluded.version, data = excluded.data"""
_COUNT = "SELECT count(*) FROM {schema}.events"
_LAST = "SELECT coalesce(max(position), 0) FROM {schema}.events"
# None where the events are in one table.
_PARTITION_SIZE = r"""SELECT substring(pg_get_expr(relpartbound, oid) from 'TO \D*(\d+)')::bigint
    FROM pg_catalog.pg_class WHERE oid = to_regclass('{schema}.events_0') AND relispartition"""
_PARTITION = """CREATE TABLE {schema}.events_{number} (LIKE {schema}.events INCLUDING ALL);
    ALTER TABLE {schema}.events ATTACH PARTITION {schema}.events_{number}
    FOR VALUES FROM ({first}) TO ({end})"""
_NO_TIMEOUT = "SELECT set_config('idle_in_transaction_session_timeout', '0', true)"
_NO_END = 2**63 - 1


@attrs.frozen(kw_only=True)
class RawPostgres:
    """See `RawStore` and `Snapshot`: one connection, and one thing at a time."""

    connection: Any
    server: Server
    batch_size: int

    @property
    def shown(self) -> str:
        """The address of the store as it may be printed."""
        return self.server.shown

    @asynccontextmanager
    async def snapshot(self) -> "AsyncGenerator[RawPostgres, None]":
        """The store as it is now."""
        reading = self.connection.transaction(isolation="repeatable_read", readonly=True)
        with self._translated():
            await reading.start()
            # The first query is what it stands still from; the other store may be long at its work.
            await self.connection.fetchval(_NO_TIMEOUT)
        try:
            yield self
        finally:
            with suppress(*FOREIGN):
                await reading.rollback()

    async def count(self) -> int:
        """How many events there are."""
        return await self._number(_COUNT)

    async def last_position(self) -> int:
        """The position of the last event; 0 while there is none."""
        return await self._number(_LAST)

    async def _number(self, sql: str) -> int:
        with self._translated():
            return int(await self.connection.fetchval(self._in_schema(sql)))

    def events(self, *, after: int = 0, until: int | None = None) -> AsyncIterator[Sequence[Row]]:
        """The events between two positions in their order, a batch at a time."""
        return self._batches(_row, _EVENTS, after, _NO_END if until is None else until)

    def attachments(self) -> AsyncIterator[Sequence[AttachmentRow]]:
        """The attachments by stream and name, a batch at a time."""
        return self._batches(tuple, _ATTACHMENTS)

    async def _batches(
        self, made: Callable[[Any], Any], sql: str, *values: int
    ) -> AsyncIterator[list[Any]]:
        with self._translated():
            cursor = await self.connection.cursor(self._in_schema(sql), *values)
        while records := await self._fetched(cursor):
            yield list(map(made, records))

    async def _fetched(self, cursor: Any) -> Sequence[Any]:
        with self._translated():
            records: Sequence[Any] = await cursor.fetch(self.batch_size)
        return records

    async def write_events(self, rows: Sequence[Row], *, after: int) -> None:
        """Write events in one transaction, if the log ends at a position; otherwise refuse."""
        with self._translated():
            async with self.connection.transaction(isolation="read_committed"):
                await self._lock()
                if await self.last_position() != after:
                    raise StoreUnavailable(self.shown, "somebody else writes to it")
                await self._make_room(after, rows[-1][0])
                await self.connection.copy_records_to_table(
                    "events",
                    schema_name=self.server.schema,
                    columns=EVENT_COLUMNS,
                    records=[(row[0], UUID(bytes=row[1]), *row[2:]) for row in rows],
                )

    async def write_attachments(self, rows: Sequence[AttachmentRow]) -> None:
        """Write attachments in one transaction, over those of the same names."""
        with self._translated():
            async with self.connection.transaction(isolation="read_committed"):
                await self._lock()
                await self.connection.executemany(self._in_schema(_ATTACH), rows)

    async def _lock(self) -> None:
        """Keep those out who append."""
        key = lock_key("append", self.server.schema)
        await self.connection.execute(f"SELECT pg_advisory_xact_lock({key})")

    async def _make_room(self, start: int, last: int) -> None:
        """Make the partitions that these positions come to, as an append does."""
        size = await self.connection.fetchval(self._in_schema(_PARTITION_SIZE))
        for number in range(start // size + 1, last // size + 1) if size else ():
            bounds = {"number": number, "first": number * size, "end": (number + 1) * size}
            await self.connection.execute(_PARTITION.format(schema=self.server.schema, **bounds))

    def _in_schema(self, sql: str) -> str:
        return sql.format(schema=self.server.schema)

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        try:
            yield
        except FOREIGN as error:
            raise_alone(self.server.meaning(error))


def _row(record: Any) -> Row:
    position, event_id, *others = record
    return (position, event_id.bytes, *others)


@asynccontextmanager
async def open_raw(
    dsn: str, *, schema: str, writable: bool, batch_size: int
) -> AsyncGenerator[RawPostgres, None]:
    """The store in a schema, which is made where it is to be written and is not there.

    Raises:
        StoreUnavailable: the server or the schema cannot serve.
        StoreBusy: another process held the schema for too long.
        ValueError: the address or the name of the schema is none.
    """
    check_schema(schema)
    server = Server(
        dsn=dsn, schema=schema, connect_timeout=30, command_timeout=300, busy_timeout=60
    )
    await (bring_up(server) if writable else refuse_other_versions(server))
    connection = await server.connect()
    try:
        yield RawPostgres(connection=connection, server=server, batch_size=batch_size)
    finally:
        connection.terminate()
