"""The rows of the table that are measured on a server of PostgreSQL."""

import asyncio

from tests.benchmarks.harness import Row
from tests.benchmarks.postgres import limit, ours, rival

__all__ = ["postgres_rows"]


def postgres_rows(scale: int) -> list[Row]:
    """Each sample about `scale` times a hundred milliseconds of work at the most."""
    return [
        Row(
            name="PostgreSQL append, 10 events a save",
            limit=lambda: asyncio.run(limit.append(40 * scale, 10)),
            rival=lambda: rival.append(10 * scale, 10),
            ours=lambda: asyncio.run(ours.append(40 * scale, 10)),
            target=1.5,
            note="All three take positions behind a lock and notify; ours knows a repeated append.",
        ),
        Row(
            name="PostgreSQL append, 1 event a save",
            limit=lambda: asyncio.run(limit.append(100 * scale, 1)),
            rival=lambda: rival.append(25 * scale, 1),
            ours=lambda: asyncio.run(ours.append(100 * scale, 1)),
            target=1.5,
        ),
        Row(
            name="PostgreSQL append, 32 tasks at once",
            limit=lambda: asyncio.run(limit.direct(3 * scale)),
            ours=lambda: asyncio.run(ours.concurrent(3 * scale)),
            target=0.33,
            note="By hand there are as many connections as tasks; ours commits what waits "
            "together, so it is to take a third of the time.",
        ),
        Row(
            name="PostgreSQL projection",
            limit=lambda: asyncio.run(limit.project(400 * scale)),
            rival=lambda: rival.project(60 * scale),
            ours=lambda: asyncio.run(ours.project(400 * scale)),
            target=0.1,
            against="rival",
            note="The target is a tenth of the rival. Ours and by hand commit a hundred events "
            "with one checkpoint; the rival commits each.",
        ),
    ]
