"""Processes that follow a store die in the middle of an event: none is skipped or written twice."""

import asyncio
import random
from uuid import uuid4

from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.store import EventStore
from dashtam_events.subscriptions import Subscription
from dashtam_events.subscriptions.sql import (
    Projector,
    SQLCheckpointStore,
    create_subscription_tables,
)
from tests import counts
from tests.faults.children import BATCH
from tests.faults.forking import Forker
from tests.faults.histories import check_order, handled_by
from tests.faults.places import Journal, Place
from tests.subscriptions.houses import DoorOpened

KILLS = counts.of(short=8, full=200)
MOST_EACH, NEVER = 3 * BATCH, 1_000_000


@counts.counted
async def test_a_subscriber_that_is_killed_skips_nothing(forker: Forker, place: Place) -> None:
    handled, stored = await _subscribe(forker, place, KILLS)
    assert {position for position, _, _ in handled} == set(stored)
    check_order(handled)


async def test_a_subscriber_that_keeps_its_progress_too_early_is_found_out(
    forker: Forker, place: Place
) -> None:
    handled, stored = await _subscribe(forker, place, 10, hasty=True)
    assert {position for position, _, _ in handled} < set(stored)


@counts.counted
async def test_a_projector_that_is_killed_writes_every_event_once(
    forker: Forker, place: Place
) -> None:
    written, stored = await _project(forker, place, KILLS)
    assert written == stored


async def test_a_projector_that_commits_too_early_is_found_out(
    forker: Forker, place: Place
) -> None:
    written, stored = await _project(forker, place, 10, hasty=True)
    assert len(written) > len(stored)


async def _subscribe(
    forker: Forker, place: Place, kills: int, *, hasty: bool = False
) -> tuple[list[tuple[int, str, int]], list[int]]:
    """What was handled in the end, and what is stored."""
    rest: list[tuple[int, str, int]] = []

    async def handle(recorded: RecordedEvent) -> None:
        rest.append((recorded.position, str(recorded.stream), recorded.version))

    engine = place.engine()
    async with place.store() as store:
        await create_subscription_tables(engine)
        await _kill(forker, place, store, "subscribe", kills, hasty=hasty)
        kept = SQLCheckpointStore(engine)
        await Subscription("doors", store, handle, checkpoints=kept).run_once()
        assert await kept.parked() == ()
        stored = [int(recorded.position) async for recorded in store.read_all()]
    await engine.dispose()
    return handled_by(place) + rest, stored


async def _project(
    forker: Forker, place: Place, kills: int, *, hasty: bool = False
) -> tuple[list[int], list[int]]:
    """What was written in the end, and what is stored."""
    engine, view = place.engine(), Journal()
    async with place.store() as store:
        await _kill(forker, place, store, "project", kills, hasty=hasty)
        await Projector(store, view, engine).run_once()
        assert await SQLCheckpointStore(engine).parked() == ()
        stored = [int(recorded.position) async for recorded in store.read_all()]
        written = await view.positions(engine)
    await engine.dispose()
    return written, stored


async def _kill(
    forker: Forker, place: Place, store: EventStore, role: str, kills: int, *, hasty: bool
) -> None:
    """So many die in the middle of some event, and a few more at any moment."""
    chance = random.Random(4)
    streams = [StreamId("house", uuid4()) for _ in range(5)]
    for number in range(kills):
        for _ in range(MOST_EACH // 3):
            opened = [DoorOpened(number=number) for _ in range(3)]
            await store.append(chance.choice(streams), opened)
        pid = forker.fork(role, place, dies_at=chance.randint(1, MOST_EACH), hasty=hasty)
        assert forker.wait(pid) == -9
        if number % 4 == 0:
            pid = forker.fork(role, place, dies_at=NEVER, hasty=hasty)
            await asyncio.sleep(chance.uniform(0.03, 0.08))
            assert forker.kill(pid) == -9
