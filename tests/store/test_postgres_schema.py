"""The schema of a PostgreSQL store: made once, never taken back, closed to those who may not."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from click.testing import CliRunner

from dashtam_events.cli.app import command
from dashtam_events.errors import StoreUnavailable
from dashtam_events.store.postgres import Migration, migrate
from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.postgres_server import Open, asking
from tests.store.postgres_roles import APPEND_ONLY


@pytest.fixture
async def teller(open_store: Open, dsn: str, schema: str) -> AsyncIterator[str]:
    """The address for a role that may only append and read."""
    role = f"teller_{schema}"
    async with open_store(), asking(dsn) as connection:
        await connection.execute(APPEND_ONLY.format(role=role, schema=schema))
        yield dsn.replace("postgres:@", f"{role}@")
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_of_many_who_migrate_at_once_one_does_it(dsn: str, schema: str) -> None:
    done = await asyncio.gather(*(migrate(dsn, schema=schema) for _ in range(8)))
    assert sorted(one.before for one in done) == [0] + [1] * 7
    assert {one.after for one in done} == {1}
    assert await migrate(dsn, schema=schema) == Migration(schema=schema, before=1, after=1)


async def test_stores_that_open_a_new_schema_at_once_all_serve(open_store: Open) -> None:
    async def use() -> None:
        async with open_store() as store:
            await store.append(a_stream(), lit(2))

    await asyncio.gather(*(use() for _ in range(6)))
    async with open_store() as store:
        assert len(await log_of(store)) == 12


async def test_stores_in_other_schemas_know_nothing_of_each_other(
    open_store: Open, schema: str
) -> None:
    async with open_store() as one, open_store(schema=f"{schema}_other") as other:
        await one.append(a_stream(), lit())
        assert await log_of(other) == []
        assert not await other.wait(after=None, timeout=0.01)


async def test_a_newer_schema_is_refused(open_store: Open, dsn: str, schema: str) -> None:
    await migrate(dsn, schema=schema)
    async with asking(dsn) as connection:
        await connection.execute(f"INSERT INTO {schema}.migrations (version) VALUES (99)")
    for allowed in (True, False):
        with pytest.raises(StoreUnavailable, match="newer release"):
            await open_store(migrate=allowed).__aenter__()


async def test_a_store_that_may_not_migrate_says_what_to_run(open_store: Open, dsn: str) -> None:
    with pytest.raises(StoreUnavailable, match="dashtam-events migrate"):
        await open_store(migrate=False).__aenter__()
    async with open_store():
        pass
    async with open_store(migrate=False) as store:
        await store.append(a_stream(), lit())


async def test_tables_of_something_else_are_left_alone(
    open_store: Open, dsn: str, schema: str
) -> None:
    async with asking(dsn) as connection:
        await connection.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.events (n int)")
    with pytest.raises(StoreUnavailable, match="something else"):
        await open_store().__aenter__()


async def test_an_append_only_role_appends_and_reads(open_store: Open, teller: str) -> None:
    async with open_store(teller) as store:
        events = lit(2)
        result = await store.append(a_stream(), events, attachments={"note": b"kept"})
        assert await store.append(result.stream, events) == result
        assert await log_of(store) == list(result.recorded)
        assert await store.read_attachment(result.stream, "note") is not None
        assert await store.wait(after=None, timeout=1)


@pytest.mark.parametrize("table", ["events", "attachments", "migrations"])
@pytest.mark.parametrize(
    "deed",
    ["UPDATE {} SET version = 7", "DELETE FROM {}", "TRUNCATE {}", "INSERT INTO {} DEFAULT VALUES"],
    ids=["update", "delete", "truncate", "insert"],
)
async def test_an_append_only_role_changes_nothing(
    teller: str, schema: str, table: str, deed: str
) -> None:
    async with asking(teller) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(deed.format(f"{schema}.{table}"))


async def test_nobody_appends_who_was_not_allowed_to(
    open_store: Open, teller: str, dsn: str, schema: str
) -> None:
    async with asking(dsn) as connection:
        role = f"teller_{schema}"
        await connection.execute(f"REVOKE EXECUTE ON FUNCTION {schema}.append FROM {role}")
    async with open_store(teller) as store:
        with pytest.raises(StoreUnavailable, match="lacks a privilege"):
            await store.append(a_stream(), lit())


def test_the_command_says_what_it_did(dsn: str, schema: str) -> None:
    said = [CliRunner().invoke(command, ["migrate", dsn, "--schema", schema]) for _ in range(2)]
    assert [one.output for one in said] == [
        f"{schema}: created, at version 1\n",
        f"{schema}: at version 1 already\n",
    ]
    refused = CliRunner().invoke(command, ["migrate", "mysql://there/db"])
    assert refused.exit_code == 2
    assert "postgresql://" in refused.output
