"""State and credentials of a connection belong together, whoever writes meanwhile."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from returns.result import Failure, Success

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.connection import (
    ConnectionRepository,
    ConnectionStatus,
    ProviderConnection,
    ProviderConnectionError,
)
from dashtam_events.errors import (
    AggregateNotFound,
    DecodingError,
    StoreUnavailable,
    VersionConflict,
)
from dashtam_events.repository import Repository
from dashtam_events.store import SQLiteEventStore
from tests.connection.lives import (
    CONNECTION,
    FIRST,
    FRESH,
    HOUR,
    NOW,
    PROVIDER,
    USER,
    connected,
    seen,
    started,
)
from tests.repository.meddling import Clock, MeddledStore, Meddler, opened


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture(params=["memory", "sqlite"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[MeddledStore]:
    async with opened(request.param, tmp_path, CATALOGUE, clock) as store:
        yield store


@pytest.fixture
def connections(store: MeddledStore) -> ConnectionRepository:
    return ConnectionRepository(store)


def _elsewhere(
    connections: ConnectionRepository, change: Callable[[ProviderConnection], object]
) -> Meddler:
    """Somebody else, who loads, changes and saves behind our back."""
    return lambda: connections.execute(CONNECTION, change)


async def test_a_connection_comes_back_with_its_credentials(
    connections: ConnectionRepository,
) -> None:
    connection = connected()
    await connections.save(connection)
    again = await connections.get(CONNECTION)
    assert again.same_state_as(connection)
    assert again.credentials == FIRST
    assert (again.version, again.pending_events) == (2, ())


async def test_a_connection_without_credentials_comes_back_without(
    connections: ConnectionRepository,
) -> None:
    await connections.save(started())
    assert (await connections.get(CONNECTION)).credentials is None


async def test_fresh_credentials_replace_the_first(connections: ConnectionRepository) -> None:
    await connections.save(connected())
    await connections.execute(CONNECTION, lambda it: it.update_credentials(FRESH))
    await connections.execute(CONNECTION, lambda it: it.record_sync())
    assert (await connections.get(CONNECTION)).credentials == FRESH


async def test_credentials_are_kept_while_the_connection_can_be_mended(
    connections: ConnectionRepository,
) -> None:
    await connections.save(connected())
    await connections.execute(CONNECTION, lambda it: it.mark_revoked("user_revoked"))
    assert (await connections.get(CONNECTION)).credentials == FIRST


async def test_disconnecting_deletes_the_credentials(
    connections: ConnectionRepository, store: MeddledStore
) -> None:
    connection = connected()
    await connections.save(connection)
    await connections.execute(CONNECTION, lambda it: it.mark_disconnected())
    assert (await connections.get(CONNECTION)).credentials is None
    kept = await store.read_attachment(connection.stream, "credentials")
    assert kept is not None
    assert (kept.data, kept.version) == (None, 3)


async def test_disconnecting_again_stores_nothing(connections: ConnectionRepository) -> None:
    await connections.save(connected())
    for _ in range(2):
        answer = await connections.execute(CONNECTION, lambda it: it.mark_disconnected())
        assert answer == Success(None)
    assert (await connections.get(CONNECTION)).version == 3


async def test_a_refusal_is_returned_and_stores_nothing(connections: ConnectionRepository) -> None:
    await connections.save(started())
    answer = await connections.execute(CONNECTION, lambda it: it.record_sync())
    assert answer == Failure(ProviderConnectionError.CANNOT_SYNC)
    assert (await connections.get(CONNECTION)).version == 1


async def test_no_event_holds_the_credentials(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with SQLiteEventStore(path, registry=CATALOGUE) as store:
        connections = ConnectionRepository(store, snapshot_every=1)
        connection = connected()
        connection.update_credentials(FRESH)
        await connections.save(connection)
        events = [recorded.event async for recorded in store.read_all()]
    assert "blob" not in repr(events)
    held = {table for table, row in _rows(path) if _mentions_credentials(row)}
    assert len(held) == 1, "the credentials stand in one table, that of the attachments"
    assert not any("event" in table for table in held)


def _rows(path: Path) -> list[tuple[str, tuple[object, ...]]]:
    with sqlite3.connect(path) as file:
        tables = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        found = [
            (table, row)
            for (table,) in tables
            for row in file.execute(f'SELECT * FROM "{table}"').fetchall()
        ]
    file.close()
    return found


def _mentions_credentials(row: tuple[object, ...]) -> bool:
    return any(part in repr(row) for part in ("first blob", "fresh blob", "Zmlyc3Qg", "ZnJlc2gg"))


async def test_a_disconnect_while_loading_is_seen_whole(
    connections: ConnectionRepository, store: MeddledStore
) -> None:
    await connections.save(connected())
    other = ConnectionRepository(store)
    store.before_attachment = [_elsewhere(other, lambda it: it.mark_disconnected())]
    loaded = await connections.get(CONNECTION)
    assert (loaded.status, loaded.credentials) == (ConnectionStatus.DISCONNECTED, None)
    assert loaded.version == 3


async def test_a_refresh_while_loading_is_seen_whole(
    connections: ConnectionRepository, store: MeddledStore
) -> None:
    await connections.save(connected())
    store.before_attachment = [_elsewhere(connections, lambda it: it.update_credentials(FRESH))]
    loaded = await connections.get(CONNECTION)
    assert (loaded.version, loaded.credentials) == (3, FRESH)


async def test_a_load_that_never_catches_up_says_so(store: MeddledStore) -> None:
    patient, hasty = ConnectionRepository(store), ConnectionRepository(store, attempts=2)
    await patient.save(connected())

    async def meddle() -> None:
        rest, store.before_attachment = store.before_attachment, []
        await patient.execute(CONNECTION, lambda it: it.update_credentials(FRESH))
        store.before_attachment = rest

    store.before_attachment = [meddle, meddle]
    with pytest.raises(VersionConflict) as caught:
        await hasty.get(CONNECTION)
    assert (caught.value.expected, caught.value.actual) == (3, 4)
    assert (await patient.get(CONNECTION)).version == 4


async def test_a_past_version_has_the_credentials_that_were_its_own_already(
    connections: ConnectionRepository,
) -> None:
    await connections.save(started())
    await connections.execute(CONNECTION, lambda it: it.mark_connected(FIRST))
    await connections.execute(CONNECTION, lambda it: it.record_sync())
    await connections.execute(CONNECTION, lambda it: it.mark_expired())
    past = [await connections.get(CONNECTION, at_version=version) for version in (1, 2, 3)]
    assert [it.credentials for it in past] == [None, FIRST, FIRST]
    assert [it.status.value for it in past] == ["pending", "active", "active"]


async def test_a_past_version_has_none_where_they_were_replaced_or_deleted(
    connections: ConnectionRepository,
) -> None:
    await connections.save(connected())
    await connections.execute(CONNECTION, lambda it: it.update_credentials(FRESH))
    past = await connections.get(CONNECTION, at_version=2)
    assert (past.status, past.credentials) == (ConnectionStatus.ACTIVE, None)
    assert not past.can_sync(NOW)
    await connections.execute(CONNECTION, lambda it: it.mark_disconnected())
    assert (await connections.get(CONNECTION, at_version=3)).credentials is None


async def test_a_past_time_is_seen_as_it_stood(
    connections: ConnectionRepository, clock: Clock
) -> None:
    await connections.save(connected())
    clock.time += HOUR
    await connections.execute(CONNECTION, lambda it: it.mark_disconnected())
    past = await connections.get(CONNECTION, at_time=NOW + timedelta(minutes=30))
    assert (past.status, past.credentials) == (ConnectionStatus.ACTIVE, None)
    with pytest.raises(AggregateNotFound):
        await connections.get(CONNECTION, at_time=NOW - HOUR)


async def test_saving_again_after_a_lost_answer_keeps_events_and_credentials(
    connections: ConnectionRepository, store: MeddledStore
) -> None:
    connection = connected()
    store.fail(on="append", when="after")
    with pytest.raises(StoreUnavailable):
        await connections.save(connection)
    await connections.execute(CONNECTION, lambda it: it.update_credentials(FRESH))
    await connections.save(connection)
    loaded = await connections.get(CONNECTION)
    assert (loaded.version, loaded.credentials) == (3, FRESH)


async def test_a_failed_save_writes_no_credentials(
    connections: ConnectionRepository, store: MeddledStore
) -> None:
    await connections.save(started())
    connection = await connections.get(CONNECTION)
    await connections.execute(CONNECTION, lambda it: it.mark_failed("timeout"))
    connection.mark_connected(FIRST)
    with pytest.raises(VersionConflict):
        await connections.save(connection)
    assert await store.read_attachment(connection.stream, "credentials") is None


@pytest.mark.parametrize("expire", [True, False])
async def test_a_connection_that_was_not_started_is_not_saved(
    connections: ConnectionRepository, expire: bool
) -> None:
    made = ProviderConnection(
        id=CONNECTION,
        user_id=USER,
        provider_id=PROVIDER,
        provider_slug="schwab",
        status=ConnectionStatus.ACTIVE,
        credentials=FIRST,
    )
    if expire:
        made.mark_expired()
    with pytest.raises(ValueError, match=r"begin a connection with ProviderConnection\.start"):
        await connections.save(made)


async def test_damaged_credentials_are_not_passed_over(
    connections: ConnectionRepository, store: MeddledStore
) -> None:
    connection = connected()
    await store.append(
        connection.stream, connection.pending_events, attachments={"credentials": b"blob"}
    )
    with pytest.raises(DecodingError):
        await connections.get(CONNECTION)


async def test_events_that_came_without_credentials_give_a_connection_without(
    connections: ConnectionRepository, store: MeddledStore
) -> None:
    await Repository(store, ProviderConnection).save(connected())
    loaded = await connections.get(CONNECTION)
    assert (loaded.is_connected(), loaded.can_sync(NOW)) == (True, False)


async def test_snapshots_hold_the_state_and_not_the_credentials(store: MeddledStore) -> None:
    connections = ConnectionRepository(store, snapshot_every=2)
    connection = connected()
    await connections.save(connection)
    kept = await store.read_attachment(connection.stream, "snapshot")
    assert kept is not None
    assert kept.data is not None
    assert b"Zmlyc3Qg" not in kept.data
    assert seen(await connections.get(CONNECTION)) == seen(connection)
    assert await connections.verify_snapshot(CONNECTION)
    await connections.execute(CONNECTION, lambda it: it.mark_disconnected())
    assert await connections.verify_snapshot(CONNECTION)
