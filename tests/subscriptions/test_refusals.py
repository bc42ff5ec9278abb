"""What can never work is refused when it is set up or called, and not waited for."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dashtam_events.errors import StoreUnavailable
from dashtam_events.store import EventStore, InMemoryEventStore
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions import ConsumerGroup, InMemoryCheckpointStore, Subscription
from dashtam_events.subscriptions.sql import (
    Inbox,
    SQLCheckpointStore,
    create_subscription_tables,
)
from tests.subscriptions.houses import REGISTRY, open_doors
from tests.subscriptions.poison import Handler, subscribed, until


def named(name: Any) -> Subscription:
    store = InMemoryEventStore(registry=REGISTRY)
    return Subscription(name, store, Handler(), checkpoints=InMemoryCheckpointStore())


def member(**options: Any) -> ConsumerGroup:
    return ConsumerGroup(named("doors"), **options)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\0b"])
def test_names_that_no_database_takes_are_refused(name: str) -> None:
    for make in (named, Inbox, lambda name: member(member=name)):
        with pytest.raises(ValueError, match="a name has from 1 to 200 characters"):
            make(name)


def test_a_name_that_is_no_text_is_refused() -> None:
    number: Any = 5
    for make in (named, Inbox, lambda name: member(member=name)):
        with pytest.raises(TypeError, match="a name is a text, and not int"):
            make(number)


@pytest.mark.parametrize("lease", [0, -1, 1e12, float("nan"), float("inf")])
def test_a_lease_is_some_seconds_and_no_more_than_a_day(lease: float) -> None:
    with pytest.raises(ValueError, match="a lease some seconds, up to a day"):
        member(lease=lease)


async def test_the_longest_names_and_the_longest_lease_are_taken(engine: AsyncEngine) -> None:
    await create_subscription_tables(engine)
    store, handler = InMemoryEventStore(registry=REGISTRY), Handler()
    await open_doors(store, 1)
    name = "\N{SNOWMAN}" * 200
    alone = Subscription(name, store, handler, checkpoints=SQLCheckpointStore(engine))
    async with ConsumerGroup(alone, partitions=1, lease=86_400, member=name):
        await until(lambda: handler.dealt == [1])
    async with engine.begin() as connection:
        assert await Inbox(name).claim(connection, uuid4())


async def test_a_category_that_no_event_declares_is_refused_and_a_stored_name_is_not(
    store: EventStore,
) -> None:
    await open_doors(store, 1)
    kept, handler = InMemoryCheckpointStore(), Handler()
    with pytest.raises(ValueError, match="no registered event declares the category 'nope'"):
        await subscribed(store, kept, handler, categories=["nope"]).run()
    await subscribed(store, kept, handler, types=["DoorOpened", "Nope"]).run_once()
    assert handler.dealt == [1]


@pytest.mark.parametrize("partitions", [None, 2])
async def test_a_store_whose_schema_was_dropped_is_not_waited_for(
    postgres: URL, partitions: int | None
) -> None:
    address, engine = postgres.render_as_string(hide_password=False), create_async_engine(postgres)
    async with PostgresEventStore(address, registry=REGISTRY, schema="to_be_dropped") as store:
        handler = Handler()
        await open_doors(store, 1)
        alone = subscribed(store, InMemoryCheckpointStore(), handler)
        runner = alone if partitions is None else ConsumerGroup(alone, partitions=partitions)
        running = asyncio.create_task(runner.run())
        await until(lambda: handler.dealt == [1])
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA to_be_dropped CASCADE"))
        with pytest.raises(StoreUnavailable, match="migrate"):
            await asyncio.wait_for(running, 20)
    await engine.dispose()


async def test_an_inbox_takes_ids_and_aware_times(engine: AsyncEngine) -> None:
    await create_subscription_tables(engine)
    async with engine.begin() as connection:
        with pytest.raises(TypeError, match="an event_id is a UUID"):
            await Inbox("ledger").claim(connection, "text")  # type: ignore[arg-type]  # the mistake
        with pytest.raises(ValueError, match="naive"):
            await Inbox("ledger").prune(connection, before=datetime(2026, 1, 1))  # noqa: DTZ001  # the mistake
        assert await Inbox("ledger").claim(connection, uuid4())
