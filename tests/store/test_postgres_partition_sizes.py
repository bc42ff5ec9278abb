"""The size of the partitions is chosen once; another is refused, and not passed over."""

import pytest
from click.testing import CliRunner

from dashtam_events.cli.app import command
from dashtam_events.errors import StoreUnavailable
from dashtam_events.store.postgres import Migration, migrate
from dashtam_events.testing._store_samples import a_stream, lit
from tests.postgres_server import Open


@pytest.mark.parametrize("events", [0, 10])
async def test_another_size_than_that_of_the_partitions_is_refused(
    open_store: Open, dsn: str, schema: str, events: int
) -> None:
    done = Migration(schema=schema, before=1, after=1)
    assert await migrate(dsn, schema=schema, partition_size=3) != done
    async with open_store() as store:
        for _ in range(events):
            await store.append(a_stream(), lit())
    for size in (2, 4, 999):
        with pytest.raises(StoreUnavailable, match="already, in partitions of 3: copy them"):
            await migrate(dsn, schema=schema, partition_size=size)
    assert await migrate(dsn, schema=schema, partition_size=3) == done
    assert await migrate(dsn, schema=schema) == done


async def test_a_size_is_refused_where_there_is_one_table(dsn: str, schema: str) -> None:
    await migrate(dsn, schema=schema)
    with pytest.raises(StoreUnavailable, match="already, in one table: copy them"):
        await migrate(dsn, schema=schema, partition_size=3)


def test_the_command_says_that_the_size_is_another(dsn: str, schema: str) -> None:
    def run(size: int) -> tuple[int, str]:
        asked = ["migrate", dsn, "--schema", schema, "--partition-size", str(size)]
        result = CliRunner().invoke(command, asked)
        return result.exit_code, result.output

    assert run(3) == (0, f"{schema}: created, at version 1\n")
    assert run(3) == (0, f"{schema}: at version 1 already\n")
    code, said = run(999)
    assert code == 2
    assert "in partitions of 3" in said
