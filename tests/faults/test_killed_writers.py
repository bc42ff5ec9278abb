"""Processes that write are killed while others go on: nothing acknowledged is lost or torn."""

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests import counts
from tests.faults.forking import Forker
from tests.faults.histories import History
from tests.faults.places import Place
from tests.subscriptions.poison import until

KILLS = counts.of(short=12, full=200)


@counts.counted
async def test_killed_writers_lose_nothing_and_tear_nothing(forker: Forker, place: Place) -> None:
    """Two to four write at once, so that most of those that are killed leave others behind."""
    await _kill(forker, place, KILLS, stored=10 * KILLS)
    if not place.dsn:
        with closing(sqlite3.connect(place.file("events.db"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_writer_that_acknowledges_too_early_is_found_out(
    forker: Forker, place: Place
) -> None:
    with pytest.raises(AssertionError, match="are lost"):
        await _kill(forker, place, 100, hasty=True)


async def _kill(
    forker: Forker, place: Place, kills: int, *, stored: int = 0, **told: Any
) -> History:
    """Kill so many at least, and go on until so many events are stored.

    Of those that write at once, the last lives until one of them has noted something.
    """
    chance, history, killed = random.Random(20), History(place), 0
    async with place.store() as store:
        while killed < kills or len(history.stored) <= stored:
            noted = _noted(place)
            writers = [forker.fork("write", place, **told) for _ in range(chance.randint(2, 4))]
            for pid in writers:
                await asyncio.sleep(chance.uniform(0.0, 0.08))
                if pid == writers[-1]:
                    await _grows(place, noted)
                assert forker.kill(pid) == -9
            killed += len(writers)
            await history.check(store)
    return history


async def _grows(place: Place, noted: int) -> None:
    await until(lambda: _noted(place) > noted)


def _noted(place: Place) -> int:
    """How much the writers have noted."""
    file = place.file("acknowledged")
    return file.stat().st_size if file.exists() else 0
