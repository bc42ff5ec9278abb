"""A database without the tables: a mistake that waiting does not mend, and that is said."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import (
    CheckpointUnavailable,
    ConsumerGroup,
    ProjectionFailed,
    SubscriptionTablesMissing,
)
from dashtam_events.subscriptions.sql import (
    Inbox,
    InlineProjections,
    JoinableStore,
    Projector,
    SQLCheckpointStore,
    create_subscription_tables,
)
from dashtam_events.subscriptions.sql.schema import unavailable
from tests.cli.running import call
from tests.subscriptions.houses import REGISTRY
from tests.subscriptions.inlines import InlineOpenings, a_house, doors, numbers_of, store
from tests.subscriptions.poison import Handler, subscribed

__all__ = ["store"]  # a fixture


@pytest.mark.parametrize("in_group", [False, True])
async def test_it_ends_a_subscription_and_names_what_makes_them(
    engine: AsyncEngine, in_group: bool
) -> None:
    empty = InMemoryEventStore(registry=REGISTRY)
    alone = subscribed(empty, SQLCheckpointStore(engine), Handler())
    with pytest.raises(SubscriptionTablesMissing) as raised:
        await asyncio.wait_for((ConsumerGroup(alone) if in_group else alone).run(), 20)
    said = "doors: the tables of subscriptions are not in this database: if it is the right one, "
    assert str(raised.value).startswith(said)


async def test_an_inbox_without_its_table_names_what_makes_it(engine: AsyncEngine) -> None:
    calls = "ledger: the tables of subscriptions are not in this database: .* create_subscription_"
    async with engine.connect() as connection:
        with pytest.raises(SubscriptionTablesMissing, match=calls):
            await Inbox("ledger").claim(connection, uuid4())
        await connection.rollback()
        with pytest.raises(SubscriptionTablesMissing, match=calls):
            await Inbox("ledger").prune(connection, before=datetime.now(UTC))


async def test_a_missing_table_of_somebody_else_is_not_taken_for_one_of_these(
    engine: AsyncEngine,
) -> None:
    with pytest.raises(CheckpointUnavailable):
        async with unavailable("doors"), engine.connect() as connection:
            await connection.execute(text("SELECT * FROM elsewhere"))


def test_the_command_line_says_it_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    result = call("parked", tmp_path / "empty.db", "list")
    assert result.exit_code != 0
    [line] = result.output.splitlines()
    assert "event_parked: the tables of subscriptions are not in this database: if it is" in line
    assert "call create_subscription_tables(engine) first" in line


@pytest.mark.parametrize("made", ["nothing", "checkpoints", "by a projector"])
async def test_an_append_before_catching_up_names_it(
    store: JoinableStore, engine: AsyncEngine, made: str
) -> None:
    view = InlineOpenings()
    inline = InlineProjections(store, engine, [view])
    if made == "checkpoints":
        await create_subscription_tables(engine)
    if made == "by a projector":
        await Projector(store, view, engine).run_once()
    else:
        with pytest.raises(SubscriptionTablesMissing, match=r"openings: .* call catch_up\(\)"):
            await inline.append(a_house(), doors(1))
        assert await numbers_of(store) == []
        await inline.catch_up()
    await inline.append(a_house(), doors(1))
    assert await view.written(engine) == [1]


async def test_what_bypassed_and_cannot_be_written_is_said_to_be_parked_and_dropped(
    store: JoinableStore, engine: AsyncEngine
) -> None:
    view = InlineOpenings()
    inline = InlineProjections(store, engine, [view])
    await inline.catch_up()
    await store.append(a_house(), doors(13))
    with pytest.raises(ProjectionFailed, match="until a Projector has parked it and it is dropped"):
        await inline.append(a_house(), doors(1))
    await Projector(store, view, engine).run_once()
    with pytest.raises(ProjectionFailed, match="replay or drop it"):
        await inline.append(a_house(), doors(1))
    await SQLCheckpointStore(engine).drop("openings")
    await inline.append(a_house(), doors(1))
    assert await view.written(engine) == [1]
