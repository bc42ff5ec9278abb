"""What the function that appends does with arrays that the store would never give it."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from dashtam_events.store.postgres import migrate
from dashtam_events.store.postgres._schema import APPEND
from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.postgres_server import Open, asking
from tests.store.postgres_roles import APPEND_ONLY


@pytest.fixture(params=[None, 3], ids=["whole", "partitioned"])
async def teller(
    request: pytest.FixtureRequest, dsn: str, schema: str
) -> AsyncIterator[asyncpg.Connection]:
    """A connection of a role that may only append and read."""
    await migrate(dsn, schema=schema, partition_size=request.param)
    role = f"teller_{schema}"
    async with asking(dsn) as owner:
        await owner.execute(APPEND_ONLY.format(role=role, schema=schema))
        async with asking(dsn.replace("postgres:@", f"{role}@")) as connection:
            yield connection
        await owner.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def _values(
    sizes: Sequence[int | None], owners: Sequence[int | None], nths: Sequence[int | None]
) -> list[Any]:
    """Drafts of those sizes for one stream, and events that say where they belong."""
    drafts, events = len(sizes), len(owners)
    said = [[1] * drafts, [1] * drafts, [-1] * drafts, sizes, [None] * drafts, [None] * drafts]
    ids = [uuid4() for _ in range(events)]
    written = [ids, ["LampLit"] * events, [1] * events, [None] * events, [b"{}"] * events]
    return [1000, False, ["lamp-1"], *said, *written, owners, nths, [], [], []]


@pytest.mark.parametrize(
    "arrays",
    [
        ([-5], [1], [1]),
        ([0], [], []),
        ([2], [1], [1]),
        ([2], [1], [2]),
        ([1], [1], [2]),
        ([1], [1], [0]),
        ([1], [2], [1]),
        ([1], [1, 1], [1, 1]),
        ([2], [1, 1], [1, 1]),
        ([1], [None], [None]),
        ([None], [1], [1]),
        ([5, -3], [1, 1], [4, 5]),
        ([1, 1], [1, 1], [1, 2]),
        ([2, 1], [1, 1], [1, 2]),
    ],
)
async def test_arrays_that_would_leave_a_hole_are_refused(
    open_store: Open, teller: Any, schema: str, arrays: tuple[Sequence[int | None], ...]
) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await teller.fetch(APPEND.format(schema=schema), *_values(*arrays))
    async with open_store() as store:
        assert await log_of(store) == []
        stored = await store.append(a_stream(), lit(2))
        assert [recorded.position for recorded in stored.recorded] == [1, 2]


async def test_arrays_that_fit_are_taken(teller: Any, schema: str) -> None:
    for _ in range(2):
        values = _values([2, 1], [1, 2, 1], [2, 1, 1])
        await teller.fetch(APPEND.format(schema=schema), *values)
    rows = await teller.fetch(f"SELECT position, version FROM {schema}.events ORDER BY 1")
    assert [tuple(row) for row in rows] == [(n, n) for n in range(1, 7)]
