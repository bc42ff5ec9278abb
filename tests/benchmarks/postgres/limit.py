"""The limit: one function of the database, called by hand over asyncpg, one trip a save."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from tests.benchmarks.limit import rows
from tests.benchmarks.postgres.server import CONNECTIONS, address, new_schema
from tests.benchmarks.workload import timed

__all__ = ["append", "direct"]

# It checks the head, gives out positions behind a lock, writes, and notifies.
_SCHEMA = """
CREATE SCHEMA {schema};
CREATE TABLE {schema}.events (
    position bigint PRIMARY KEY, event_id uuid NOT NULL UNIQUE, stream text NOT NULL,
    version integer NOT NULL, type text NOT NULL, data bytea NOT NULL, UNIQUE (stream, version)
);
CREATE FUNCTION {schema}.append(
    name text, expected integer, ids uuid[], types text[], payloads bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $append$
DECLARE head integer; last bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({key});
    SELECT coalesce(max(version), 0) INTO head FROM {schema}.events WHERE stream = name;
    IF head <> expected THEN
        RAISE EXCEPTION 'conflict';
    END IF;
    SELECT coalesce(max(position), 0) INTO last FROM {schema}.events;
    INSERT INTO {schema}.events
        SELECT last + n, id, name, head + n, type, data
        FROM unnest(ids, types, payloads) WITH ORDINALITY AS e (id, type, data, n);
    NOTIFY {schema};
    RETURN last + cardinality(ids);
END
$append$;
"""


@asynccontextmanager
async def _opened(connections: int) -> AsyncIterator[tuple[str, list[Any]]]:
    """A statement that appends, and connections to ask it over."""
    schema = new_schema("by_hand")
    opened = [await asyncpg.connect(address()) for _ in range(connections)]
    await opened[0].execute(_SCHEMA.format(schema=schema, key=hash(schema)))
    sql = f"SELECT {schema}.append($1, $2, $3, $4, $5)"
    yield sql, opened
    for connection in opened:
        await connection.close()


async def _save(connection: Any, sql: str, stream: str, after: int, count: int) -> None:
    made = rows(stream, after, count)
    ids = [UUID(bytes=event_id) for event_id, *_ in made]
    types = [type_ for *_, type_, _ in made]
    payloads = [data for *_, data in made]
    await connection.fetchval(sql, stream, after, ids, types, payloads)


async def append(saves: int, per_save: int) -> float:
    """Build, encode and append, one call a save."""
    async with _opened(1) as (sql, [connection]):
        await _save(connection, sql, "s", 0, 1)
        with timed(saves * per_save) as cost:
            for save in range(saves):
                await _save(connection, sql, "s", 1 + save * per_save, per_save)
    return cost[0]


async def direct(saves: int) -> float:
    """As many connections as tasks, each saving one event at a time to its own stream."""

    async def one(connection: Any, sql: str, stream: str) -> None:
        for version in range(1, saves + 1):
            await _save(connection, sql, stream, version, 1)

    async with _opened(CONNECTIONS) as (sql, opened):
        for number, each in enumerate(opened):
            await _save(each, sql, f"s{number}", 0, 1)
        with timed(CONNECTIONS * saves) as cost:
            await asyncio.gather(*(one(each, sql, f"s{n}") for n, each in enumerate(opened)))
    return cost[0]
