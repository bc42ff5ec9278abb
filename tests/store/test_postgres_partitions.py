"""A PostgreSQL store whose events are partitioned by position: the same store, in more tables."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from click.testing import CliRunner

from dashtam_events.cli.app import command
from dashtam_events.errors import DuplicateEvent, StoreUnavailable
from dashtam_events.store.postgres import PostgresEventStore, migrate
from dashtam_events.testing import StoreContract
from dashtam_events.testing._store_samples import a_stream, lit, log_of, stream_of
from tests.postgres_server import Open, asking
from tests.store.following import follow
from tests.store.postgres_roles import APPEND_ONLY

SIZE = 7
SIZES = """
SELECT count(e.position) FROM pg_inherits
JOIN pg_class part ON part.oid = inhrelid
LEFT JOIN {schema}.events e ON e.tableoid = part.oid
WHERE inhparent = '{schema}.events'::regclass
GROUP BY part.oid ORDER BY part.oid
"""


@pytest.fixture
async def store(open_store: Open, dsn: str, schema: str) -> AsyncIterator[PostgresEventStore]:
    await migrate(dsn, schema=schema, partition_size=SIZE)
    async with open_store() as store:
        yield store


async def _sizes(dsn: str, schema: str) -> list[int]:
    """How many events each partition holds."""
    async with asking(dsn) as connection:
        return [row[0] for row in await connection.fetch(SIZES.format(schema=schema))]


class TestPartitionedPostgresEventStore(StoreContract):
    @pytest.fixture
    async def store(
        self, open_store: Open, dsn: str, schema: str
    ) -> AsyncIterator[PostgresEventStore]:
        await migrate(dsn, schema=schema, partition_size=SIZE)
        async with open_store() as store:
            yield store


async def test_partitions_are_made_when_appends_come_to_them(
    store: PostgresEventStore, dsn: str, schema: str
) -> None:
    """Positions count from 1, so the first one has room for one less."""
    for _ in range(SIZE):
        await store.append(a_stream(), lit())
    assert await _sizes(dsn, schema) == [SIZE - 1, 1]
    await store.append(a_stream(), lit(3 * SIZE))
    assert await _sizes(dsn, schema) == [SIZE - 1, SIZE, SIZE, SIZE, 1]
    assert [recorded.position for recorded in await log_of(store)] == list(range(1, 4 * SIZE + 1))


async def test_what_is_unique_is_so_across_partitions(store: PostgresEventStore) -> None:
    stream, first = a_stream(), lit(2)
    result = await store.append(stream, first, expected=0)
    await store.append(stream, lit(3 * SIZE), expected=2)
    assert await store.append(stream, first, expected=0) == result
    with pytest.raises(DuplicateEvent):
        await store.append(a_stream(), [*lit(), first[1]])
    versions = [recorded.version for recorded in await stream_of(store, stream)]
    assert versions == list(range(1, 3 * SIZE + 3))


async def test_a_partition_of_a_transaction_that_is_rolled_back_is_made_again(
    store: PostgresEventStore, dsn: str, schema: str
) -> None:
    async with asking(dsn) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await store.within(connection).append(a_stream(), lit(2 * SIZE))
        await transaction.rollback()
    assert await _sizes(dsn, schema) == [0]
    await store.append(a_stream(), lit(2 * SIZE))
    assert await _sizes(dsn, schema) == [SIZE - 1, SIZE, 1]


async def test_a_reader_in_a_long_transaction_holds_no_partition_up(
    store: PostgresEventStore, dsn: str
) -> None:
    async with asking(dsn) as connection, connection.transaction():
        assert await log_of(store.within(connection)) == []
        async with asyncio.timeout(20):
            await store.append(a_stream(), lit(3 * SIZE))


async def test_writers_beside_each_other_lose_nothing(
    store: PostgresEventStore, open_store: Open
) -> None:
    async def write(to: PostgresEventStore) -> None:
        stream = a_stream()
        for version in range(0, 30, 3):
            await to.append(stream, lit(3), expected=version)

    async with open_store() as other:
        following = asyncio.create_task(follow(store, until=8 * 30))
        await asyncio.gather(*(write(to) for to in (store, other) for _ in range(4)))
        async with asyncio.timeout(60):
            assert await following == await log_of(other)


async def test_an_append_only_role_makes_partitions_and_no_other_table(
    store: PostgresEventStore, open_store: Open, dsn: str, schema: str
) -> None:
    role = f"clerk_{schema}"
    async with asking(dsn) as connection:
        await connection.execute(APPEND_ONLY.format(role=role, schema=schema))
        async with open_store(dsn.replace("postgres:@", f"{role}@")) as clerk:
            await clerk.append(a_stream(), lit(3 * SIZE))
            assert len(await log_of(clerk)) == 3 * SIZE
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_partitions_are_chosen_once(dsn: str, schema: str) -> None:
    """Asked for again, they are there; asked for too late, they are refused."""

    def run(name: str, *options: str) -> str:
        return CliRunner().invoke(command, ["migrate", dsn, "--schema", name, *options]).output

    size = ("--partition-size", "1000")
    assert "created" in run(schema, *size)
    assert "already" in run(schema, *size)
    assert "already" in run(schema)
    assert "created" in run(f"{schema}_whole")
    assert "in one table" in run(f"{schema}_whole", *size)


async def test_a_partition_has_room_for_something(dsn: str, schema: str) -> None:
    with pytest.raises(ValueError, match="1 event"):
        await migrate(dsn, schema=schema, partition_size=0)
    with pytest.raises(StoreUnavailable):
        await migrate("postgresql://localhost:1/db", schema=schema, partition_size=1, timeout=2)
