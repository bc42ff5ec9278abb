"""Brings the schema of a database to the version that this release works with; forwards only."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import attrs

from dashtam_events._alone import raise_alone
from dashtam_events.errors import StoreUnavailable
from dashtam_events.store.postgres._failures import FOREIGN
from dashtam_events.store.postgres._schema import (
    SCHEMA_VERSION,
    check_schema,
    lock_key,
    migration,
)
from dashtam_events.store.postgres._server import Server

__all__ = ["Learn", "Migration", "bring_up", "migrate", "refuse_other_versions"]

# Not to_regclass, which may remember from before the lock that there is nothing.
_IS_THERE = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2
)
"""
_BOUNDS = """
SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = '{schema}.events'::regclass ORDER BY c.oid DESC LIMIT 1
"""
_LEDGER = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.migrations (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""

Learn: TypeAlias = Callable[[Any], Awaitable[None]]
"""Asks over the connection, before anything else, what somebody wants to know of the server."""


@attrs.frozen(kw_only=True)
class Migration:
    """What a migration did: the versions of the schema before it (0: there was none) and after."""

    schema: str
    before: int
    after: int


async def migrate(
    dsn: str, *, schema: str = "events", timeout: float = 60.0, partition_size: int | None = None
) -> Migration:
    """Bring a store's schema to the version of this release, in one transaction.

    Any number of processes may do it at once: one does it, the others wait and find it done. The
    role needs the right to create schemas in the database, or to create tables in this schema.

    Args:
        dsn: the address of the database.
        schema: the namespace in which the tables are.
        timeout: how many seconds to connect, to wait for others, and to work, each.
        partition_size: how many positions go into each partition of the events, where the tables
            are made now; appends make the next partition when they come to it.

    Raises:
        StoreUnavailable: the server or the schema cannot serve, or its tables are there already and
            not in partitions of this size; nothing was changed.
        StoreBusy: another process held the schema for longer.
        ValueError: a name or a number is none.
    """
    check_schema(schema)
    if partition_size is not None and partition_size < 1:
        raise ValueError("a partition has room for 1 event at least")
    server = Server(
        dsn=dsn,
        schema=schema,
        connect_timeout=timeout,
        command_timeout=2 * timeout,
        busy_timeout=timeout,
    )
    return await bring_up(server, partition_size)


async def bring_up(
    server: Server, partition_size: int | None = None, *, learn: Learn | None = None
) -> Migration:
    """See `migrate`."""
    async with _at_work(server, learn) as connection:
        before = await _version(connection, server.schema)
        _refuse_newer(server, before)
        if before < SCHEMA_VERSION:
            before = await _raise_version(connection, server, partition_size)
        if before > 0 and partition_size is not None:
            await _refuse_other_size(connection, server, partition_size)
    return Migration(schema=server.schema, before=before, after=SCHEMA_VERSION)


@asynccontextmanager
async def _at_work(server: Server, learn: Learn | None) -> AsyncGenerator[Any, None]:
    """A connection inside a transaction; raises errors of ours only."""
    connection = await server.connect()
    try:
        async with connection.transaction(isolation="read_committed"):
            if learn is not None:
                await learn(connection)
            yield connection
    except FOREIGN as error:
        raise_alone(server.meaning(error))
    finally:
        connection.terminate()


async def _raise_version(connection: Any, server: Server, partition_size: int | None) -> int:
    schema = server.schema
    wait = max(1, round(server.busy_timeout * 1000))
    await connection.execute(f"SET LOCAL lock_timeout = {wait}")
    await connection.execute(f"SELECT pg_advisory_xact_lock({lock_key('migrate', schema)})")
    before = await _version(connection, schema)
    _refuse_newer(server, before)
    if before == 0:
        await _refuse_strangers(connection, server)
    for version in range(before + 1, SCHEMA_VERSION + 1):
        await connection.execute(_sql(version, schema, partition_size))
    return before


def _sql(version: int, schema: str, partition_size: int | None) -> str:
    ledger = _LEDGER if version == 1 else ""
    done = f"INSERT INTO {schema}.migrations (version) VALUES ({version});"  # noqa: S608  # a checked name
    return ledger.format(schema=schema) + migration(version, schema, partition_size) + done


async def _version(connection: Any, schema: str) -> int:
    """The version of the schema, 0 where there is none."""
    if not await connection.fetchval(_IS_THERE, schema, "migrations"):
        return 0
    version = await connection.fetchval(f"SELECT max(version) FROM {schema}.migrations")  # noqa: S608  # a checked name
    return version or 0


async def _refuse_strangers(connection: Any, server: Server) -> None:
    for table in ("events", "attachments", "migrations"):
        if await connection.fetchval(_IS_THERE, server.schema, table):
            reason = f"a table {server.schema}.{table} of something else is there"
            raise StoreUnavailable(server.shown, reason)


async def _refuse_other_size(connection: Any, server: Server, wanted: int) -> None:
    size = await _partition_size(connection, server.schema)
    if size != wanted:
        how = "in one table" if size is None else f"in partitions of {size:,}"
        reason = f"its events are there already, {how}: copy them into another schema"
        raise StoreUnavailable(server.shown, reason)


async def _partition_size(connection: Any, schema: str) -> int | None:
    """How many positions go into each partition, by the newest; None where there is one table."""
    bounds = await connection.fetchval(_BOUNDS.format(schema=schema))
    if bounds is None:
        return None
    first, behind = map(int, re.findall(r"[0-9]+", bounds))
    return behind - first


def _refuse_newer(server: Server, version: int) -> None:
    if version > SCHEMA_VERSION:
        reason = (
            f"its schema was made by a newer release (version {version}, this one knows "
            f"{SCHEMA_VERSION}): upgrade dashtam-events"
        )
        raise StoreUnavailable(server.shown, reason)


async def refuse_other_versions(server: Server, *, learn: Learn | None = None) -> None:
    """Raises `StoreUnavailable` unless the schema is of this very version."""
    async with _at_work(server, learn) as connection:
        version = await _version(connection, server.schema)
    _refuse_newer(server, version)
    if version < SCHEMA_VERSION:
        found = f"has version {version}" if version else "does not exist"
        reason = f"its schema {found}, and not {SCHEMA_VERSION}: run `dashtam-events migrate`"
        raise StoreUnavailable(server.shown, reason)
