"""Two rebuilds of one projection at once: one of them is told of the other."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import (
    Checkpoint,
    CheckpointConflict,
    CheckpointUnavailable,
    InMemoryCheckpointStore,
)
from dashtam_events.subscriptions.sql import rebuild
from tests.subscriptions.houses import REGISTRY, open_doors
from tests.subscriptions.poison import Handler, subscribed
from tests.subscriptions.walls import Openings


class Cleared(InMemoryCheckpointStore):
    """Somebody else clears away what has just begun."""

    async def begin(self, checkpoint: Checkpoint, **options: Any) -> Checkpoint:
        begun = await super().begin(checkpoint, **options)
        self._checkpoints.clear()
        return begun


async def test_what_another_cleared_away_is_a_conflict() -> None:
    store = InMemoryEventStore(registry=REGISTRY)
    await open_doors(store, 1)
    with pytest.raises(CheckpointConflict):
        await subscribed(store, Cleared(), Handler()).run_once()


async def test_rebuilds_at_once_end_well_or_with_a_conflict(engine: AsyncEngine) -> None:
    store, view = InMemoryEventStore(registry=REGISTRY), Openings()
    for number in range(30):
        await open_doors(store, number)
    rebuilt = [rebuild(store, view, engine, batch_size=5) for _ in range(4)]
    ended = await asyncio.gather(*rebuilt, return_exceptions=True)
    errors = {type(each) for each in ended if isinstance(each, BaseException)}
    assert errors <= {CheckpointConflict, CheckpointUnavailable}
    await rebuild(store, view, engine)
    assert await view.written(engine) == list(range(30))
