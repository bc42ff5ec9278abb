"""What an operator reads of a subscription that fails, with nothing but the standard library."""

import logging
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dashtam_events.errors import StoreUnavailable
from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import (
    CheckpointUnavailable,
    ConsumerGroup,
    ErrorPlace,
    InMemoryCheckpointStore,
    Parking,
    TooManyParked,
)
from dashtam_events.subscriptions.sql import (
    Projector,
    SQLCheckpointStore,
    create_subscription_tables,
)
from tests.subscriptions.houses import REGISTRY, open_doors
from tests.subscriptions.poison import EAGER, Handler, subscribed, until
from tests.subscriptions.walls import Openings

ERRORS = "dashtam_events.subscriptions.errors."


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a plain formatter makes of it."""
    return [logging.Formatter("%(message)s").format(each) for each in caplog.records]


async def test_an_event_that_is_parked_is_told_with_why_and_what_helps(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, handler = InMemoryEventStore(registry=REGISTRY), Handler()
    handler.mistakes = {1}
    await open_doors(store, 1, 2)
    await subscribed(store, InMemoryCheckpointStore(), handler).run_once()
    failed, waiting = lines(caplog)
    assert failed.startswith(
        "subscription_event_parked\ndoors parked DoorOpened at position 1: ValueError at "
        "tests.subscriptions.poison.Handler.__call__:"
    )
    assert failed.endswith("; it stays there until it is replayed or dropped")
    assert waiting.endswith("position 2: it waits behind an earlier event of its stream")
    assert "secret" not in caplog.text


async def test_a_store_that_is_away_is_told_with_the_reason_and_what_comes_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, handler = InMemoryEventStore(registry=REGISTRY), Handler()
    handler.failing, handler.error = {1: 1}, StoreUnavailable("store", "the {server} is gone")
    await open_doors(store, 1)
    async with subscribed(store, InMemoryCheckpointStore(), handler):
        await until(lambda: handler.dealt == [1])
    [line] = lines(caplog)
    assert line.startswith(
        "subscription_failed\ndoors met StoreUnavailable (the {server} is gone) at tests."
    )
    assert line.endswith("; it tries again in 0.1 s")


async def test_an_end_is_told_as_such(caplog: pytest.LogCaptureFixture) -> None:
    store, handler = InMemoryEventStore(registry=REGISTRY), Handler()
    handler.mistakes = {1}
    await open_doors(store, 1)
    parking = Parking(at_least=1)
    subscription = subscribed(store, InMemoryCheckpointStore(), handler, parking=parking)
    with pytest.raises(TooManyParked):
        await subscription.run()
    [_, line] = lines(caplog)
    assert f"\ndoors met {ERRORS}TooManyParked at " in line
    assert line.endswith("; it has ended")


async def test_a_partition_that_ends_is_told_as_such(caplog: pytest.LogCaptureFixture) -> None:
    store, handler = InMemoryEventStore(registry=REGISTRY), Handler()
    handler.mistakes = {1}
    await open_doors(store, 1)
    parking = Parking(at_least=1)
    alone = subscribed(store, InMemoryCheckpointStore(), handler, parking=parking)
    with pytest.raises(TooManyParked):
        await ConsumerGroup(alone, partitions=1).run()
    assert lines(caplog)[-1].endswith("; partition 0 is given back")


async def test_a_member_of_a_group_says_that_it_looks_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Away(InMemoryCheckpointStore):
        left = 1

        async def renew(self, *given: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left >= 0:
                raise CheckpointUnavailable("doors", "OSError")
            return await super().renew(*given, **options)

    store, handler = InMemoryEventStore(registry=REGISTRY), Handler()
    await open_doors(store, 1)
    async with ConsumerGroup(subscribed(store, Away(), handler), partitions=1, lease=0.3):
        await until(lambda: handler.dealt == [1])
    assert lines(caplog)[0].endswith("; it tries again at its next beat")


async def test_an_observer_and_what_follows_a_commit_are_told_as_well(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    def observe(_signal: Any) -> None:
        raise ValueError("a secret value")

    store, view = InMemoryEventStore(registry=REGISTRY), Openings()
    view.raises = True
    await open_doors(store, 1)
    await Projector(store, view, engine, retry=EAGER, observer=observe).run_once()
    told = "\n".join(lines(caplog))
    assert "the observer of openings raised ValueError at " in told
    assert "after_commit of openings raised " in told
    assert "secret" not in told


async def test_what_fails_at_the_checkpoints_is_placed_where_it_was_tried(
    engine: AsyncEngine,
) -> None:
    await create_subscription_tables(engine)
    kept = SQLCheckpointStore(engine)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE event_checkpoints RENAME epoch TO era"))
    with pytest.raises(CheckpointUnavailable) as raised:
        await kept.partitions("doors")
    place = ErrorPlace.of(raised.value)
    assert place.type == f"{ERRORS}CheckpointUnavailable"
    assert place.place.startswith(
        "dashtam_events.subscriptions.sql.checkpoints.SQLCheckpointStore.partitions:"
    )
    at_postgres = engine.dialect.name == "postgresql"
    told = "UndefinedColumnError (42703)" if at_postgres else "OperationalError (SQLITE_ERROR)"
    assert place.reason == told


async def test_a_role_without_rights_is_told_so(postgres: Any) -> None:
    engine = create_async_engine(postgres)
    await create_subscription_tables(engine)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE ROLE poor LOGIN"))
    poor = create_async_engine(postgres.set(username="poor", password=None))
    with pytest.raises(CheckpointUnavailable, match="role lacks a privilege") as raised:
        await SQLCheckpointStore(poor).partitions("doors")
    assert raised.value.reason.startswith("InsufficientPrivilegeError (42501)")
    async with engine.begin() as connection:
        await connection.execute(text("DROP ROLE poor"))
    await poor.dispose()
    await engine.dispose()
