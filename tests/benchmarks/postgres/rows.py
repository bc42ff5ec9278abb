"""The rows of the table that are measured on a server of PostgreSQL."""

import asyncio
from types import ModuleType

import attrs

from tests.benchmarks.harness import Row, Sample
from tests.benchmarks.postgres import limit, ours
from tests.benchmarks.postgres.server import processor_seconds
from tests.benchmarks.workload import counted_too

__all__ = ["postgres_rows"]


def postgres_rows(scale: int) -> list[Row]:
    """Each sample about `scale` times a hundred milliseconds of work at the most.

    Where processor time is counted, that of the server's processes is a part of it.
    """
    return [
        attrs.evolve(row, limit=row.limit and _with_server(row.limit), ours=_with_server(row.ours))
        for row in _rows(scale)
    ]


def _with_server(sample: Sample) -> Sample:
    def run() -> float:
        with counted_too(processor_seconds):
            return sample()

    return run


def _rival() -> ModuleType:
    """It is not there where only ours and the limit are looked at, as by the tests."""
    from tests.benchmarks.postgres import rival

    return rival


def _rows(scale: int) -> list[Row]:
    return [
        Row(
            name="PostgreSQL append, 10 events a save",
            limit=lambda: asyncio.run(limit.append(40 * scale, 10)),
            rival=lambda: _rival().append(10 * scale, 10),
            ours=lambda: asyncio.run(ours.append(40 * scale, 10)),
            target=1.5,
            note="All three notify. By hand and with ours positions are given out behind a lock. "
            "The rival's fastest setting takes none, so that who reads its log can miss an event "
            "that is committed after a later one; with the lock it takes twice the time. Ours "
            "knows a repeated append.",
        ),
        Row(
            name="PostgreSQL append, 1 event a save",
            limit=lambda: asyncio.run(limit.append(100 * scale, 1)),
            rival=lambda: _rival().append(25 * scale, 1),
            ours=lambda: asyncio.run(ours.append(100 * scale, 1)),
            target=1.5,
        ),
        Row(
            name="PostgreSQL append, 32 tasks at once",
            limit=lambda: asyncio.run(limit.together(10 * scale)),
            ours=lambda: asyncio.run(ours.concurrent(10 * scale)),
            target=1.5,
            note="By hand one task commits what waits, too, and each save is that of a task.",
        ),
        Row(
            name="PostgreSQL append, 32 tasks, by hand a connection each",
            limit=lambda: asyncio.run(limit.direct(3 * scale)),
            ours=lambda: asyncio.run(ours.concurrent(3 * scale)),
            target=0.33,
            note="By hand each task commits for itself, behind the lock; ours, which commits what "
            "waits together, is to take a third of the time.",
        ),
        Row(
            name="PostgreSQL projection",
            limit=lambda: asyncio.run(limit.project(400 * scale)),
            rival=lambda: _rival().project(60 * scale),
            ours=lambda: asyncio.run(ours.project(400 * scale)),
            target=0.1,
            against="rival",
            note="The target is a tenth of the rival. Ours and by hand commit a hundred events "
            "with one checkpoint; the rival commits each.",
        ),
    ]
