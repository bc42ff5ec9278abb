"""How much goes to a PostgreSQL server at once: what is large does not travel with the others."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from dashtam_events.store.postgres._batch import Job, Pen
from dashtam_events.testing._store_samples import a_stream, lit, log_of
from tests.postgres_server import Open

MEBIBYTE = 1024 * 1024


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The attached bytes of each append, for each statement that was sent."""
    sent: list[list[int]] = []
    write = Pen.write

    async def writing(pen: Pen, jobs: Sequence[Job]) -> Any:
        sent.append([_attached(job) for job in jobs])
        return await write(pen, jobs)

    monkeypatch.setattr(Pen, "write", writing)
    return sent


def _attached(job: Job) -> int:
    return sum(len(data or b"") for one in job.drafts for data in one.append.attachments.values())


async def test_attachments_that_are_large_travel_one_by_one(
    open_store: Open, sent: list[list[int]]
) -> None:
    sizes = [0, 5, 0, 3] * 4
    async with open_store() as store:
        attached = [{"picture": bytes(size * MEBIBYTE)} for size in sizes]
        await asyncio.gather(
            *(store.append(a_stream(), lit(), attachments=one) for one in attached)
        )
        assert len(await log_of(store)) == len(sizes)
    assert all(sum(one) <= 4 * MEBIBYTE or len(one) == 1 for one in sent)
    assert len(sent) < len(sizes)
