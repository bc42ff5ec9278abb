"""The limit: one function of the database, called by hand over asyncpg, one trip a save."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from tests.benchmarks.limit import decoder, rows
from tests.benchmarks.postgres.server import CONNECTIONS, address, new_schema
from tests.benchmarks.workload import timed

__all__ = ["append", "direct", "project", "together"]

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
_TOGETHER = """
CREATE FUNCTION {schema}.append_each(
    names text[], expected integer[], ids uuid[], types text[], payloads bytea[]
) RETURNS bigint LANGUAGE plpgsql AS $append$
DECLARE last bigint;
BEGIN
    PERFORM pg_advisory_xact_lock({key});
    IF EXISTS (
        SELECT FROM unnest(names, expected) AS given (name, head)
        WHERE head <> (
            SELECT coalesce(max(version), 0) FROM {schema}.events WHERE stream = given.name
        )
    ) THEN
        RAISE EXCEPTION 'conflict';
    END IF;
    SELECT coalesce(max(position), 0) INTO last FROM {schema}.events;
    INSERT INTO {schema}.events
        SELECT last + n, id, name, head + 1, type, data
        FROM unnest(names, expected, ids, types, payloads)
            WITH ORDINALITY AS e (name, head, id, type, data, n);
    NOTIFY {schema};
    RETURN last + cardinality(ids);
END
$append$;
"""
_VIEW = """
CREATE TABLE {schema}.syncs (provider text PRIMARY KEY, number integer NOT NULL);
CREATE TABLE {schema}.checkpoint (position bigint NOT NULL);
INSERT INTO {schema}.checkpoint VALUES (0);
"""
_COUNT = """
INSERT INTO {schema}.syncs AS s VALUES ($1, $2)
ON CONFLICT (provider) DO UPDATE SET number = s.number + excluded.number
"""
_BATCH = 100


@asynccontextmanager
async def _opened(connections: int) -> AsyncIterator[tuple[str, list[Any]]]:
    """A schema with a function that appends, and connections to ask it over."""
    schema = new_schema("by_hand")
    opened = [await asyncpg.connect(address()) for _ in range(connections)]
    await opened[0].execute(_SCHEMA.format(schema=schema, key=hash(schema)))
    yield schema, opened
    for connection in opened:
        await connection.close()


async def _save(connection: Any, schema: str, stream: str, after: int, count: int) -> None:
    made = rows(stream, after, count)
    ids = [UUID(bytes=event_id) for event_id, *_ in made]
    types = [type_ for *_, type_, _ in made]
    payloads = [data for *_, data in made]
    sql = f"SELECT {schema}.append($1, $2, $3, $4, $5)"
    await connection.fetchval(sql, stream, after, ids, types, payloads)


async def append(saves: int, per_save: int) -> float:
    """Build, encode and append, one call a save."""
    async with _opened(1) as (schema, [connection]):
        await _save(connection, schema, "s", 0, 1)
        with timed(saves * per_save) as cost:
            for save in range(saves):
                await _save(connection, schema, "s", 1 + save * per_save, per_save)
    return cost[0]


async def direct(saves: int) -> float:
    """As many connections as tasks, each saving one event at a time to its own stream."""

    async def one(connection: Any, schema: str, stream: str) -> None:
        for version in range(1, saves + 1):
            await _save(connection, schema, stream, version, 1)

    async with _opened(CONNECTIONS) as (schema, opened):
        for number, each in enumerate(opened):
            await _save(each, schema, f"s{number}", 0, 1)
        with timed(CONNECTIONS * saves) as cost:
            await asyncio.gather(*(one(each, schema, f"s{n}") for n, each in enumerate(opened)))
    return cost[0]


async def together(saves: int) -> float:
    """One connection; a task of its own commits what the others wait to have saved."""
    async with _opened(1) as (schema, [connection]):
        await connection.execute(_TOGETHER.format(schema=schema, key=hash(schema)))
        writer = _Writer(connection, schema)
        await writer.save("s", 0)

        async def one(stream: str) -> None:
            for version in range(saves):
                await writer.save(stream, version)

        with timed(CONNECTIONS * saves) as cost:
            await asyncio.gather(*(one(f"s{number}") for number in range(CONNECTIONS)))
    return cost[0]


class _Writer:
    """Takes whatever waits, saves it by one call, and tells everybody."""

    def __init__(self, connection: Any, schema: str) -> None:
        self._connection = connection
        self._sql = f"SELECT {schema}.append_each($1, $2, $3, $4, $5)"
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def save(self, stream: str, after: int) -> None:
        ((id_, _, _, type_, data),) = rows(stream, after, 1)
        saved = asyncio.get_running_loop().create_future()
        self._waiting.append(((stream, after, UUID(bytes=id_), type_, data), saved))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        await saved

    async def _run(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            arrays = zip(*(values for values, _ in waiting), strict=True)
            await self._connection.fetchval(self._sql, *map(list, arrays))
            for _, saved in waiting:
                saved.set_result(None)


async def project(events: int) -> float:
    """Count by provider; a batch is one transaction with the checkpoint behind it."""
    async with _opened(1) as (schema, [connection]):
        await connection.execute(_VIEW.format(schema=schema))
        await _save(connection, schema, "s", 0, events)
        with timed(events) as cost:
            position = 0
            while position < events:
                position = await _project_batch(connection, schema, position)
    return cost[0]


async def _project_batch(connection: Any, schema: str, after: int) -> int:
    """Where the batch after a position ends."""
    query = f"SELECT position, data FROM {schema}.events WHERE position > $1 ORDER BY position"
    found = await connection.fetch(f"{query} LIMIT {_BATCH}", after)
    synced = Counter(decoder.decode(data).provider_slug for _position, data in found)
    reached: int = found[-1]["position"]
    async with connection.transaction():
        await connection.executemany(_COUNT.format(schema=schema), list(synced.items()))
        await connection.execute(f"UPDATE {schema}.checkpoint SET position = $1", reached)
    return reached
