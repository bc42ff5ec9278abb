"""The two views that ship: what they say is what happened, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from dashtam_events.catalogue import (
    CATALOGUE,
    AccountSyncAttempted,
    AccountSyncFailed,
    AccountSyncSucceeded,
    ProviderConnectionAttempted,
    ProviderConnectionExpired,
    ProviderConnectionFailed,
    ProviderConnectionRevoked,
    ProviderConnectionSucceeded,
    ProviderConnectionSynced,
    ProviderDisconnectionSucceeded,
    ProviderTokenRefreshSucceeded,
    TransactionSyncAttempted,
    TransactionSyncSucceeded,
)
from dashtam_events.connection import ConnectionStatus, ProviderConnection
from dashtam_events.recorded import StreamId
from dashtam_events.store import EventStore, InMemoryEventStore
from dashtam_events.subscriptions.sql import Projector, rebuild
from dashtam_events.views import ConnectionsView, SyncHistoryView, SyncOutcome

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER, PROVIDER = uuid4(), uuid4()
Step = tuple[Any, dict[str, Any]]


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def store() -> EventStore:
    return InMemoryEventStore(registry=CATALOGUE)


async def live(store: EventStore, connection_id: UUID, *steps: Step) -> None:
    """Append the life of a connection, one step a minute."""
    known = {"user_id": USER, "provider_id": PROVIDER, "provider_slug": "schwab"}
    events = [
        cls(**known, connection_id=connection_id, occurred_at=at(minute), **more)
        for minute, (cls, more) in enumerate(steps)
    ]
    await store.append(StreamId(ProviderConnection.stream_category, connection_id), events)


async def test_a_connection_is_shown_as_it_is_now(store: EventStore, engine: AsyncEngine) -> None:
    view, connection_id = ConnectionsView(), uuid4()
    await live(
        store,
        connection_id,
        (ProviderConnectionAttempted, {"alias": "savings"}),
        (ProviderConnectionSucceeded, {"credentials_expire_at": at(60)}),
        (ProviderTokenRefreshSucceeded, {"credentials_expire_at": at(120)}),
        (ProviderConnectionSynced, {}),
    )
    await Projector(store, view, engine).run_once()
    shown = await view.get(engine, connection_id)
    assert shown is not None
    assert (shown.status, shown.alias) == (ConnectionStatus.ACTIVE, "savings")
    assert (shown.created_at, shown.updated_at) == (at(0), at(3))
    assert (shown.connected_at, shown.last_sync_at) == (at(1), at(3))
    assert shown.credentials_expire_at == at(120)
    assert await view.get(engine, uuid4()) is None


async def test_connections_are_found_by_user_and_state(
    store: EventStore, engine: AsyncEngine
) -> None:
    view = ConnectionsView()
    revoked, failed, gone, active = (uuid4() for _ in range(4))
    begun: Step = (ProviderConnectionAttempted, {})
    connected = (ProviderConnectionSucceeded, {"credentials_expire_at": at(30)})
    withdrawn = (ProviderConnectionRevoked, {"reason": "user_revoked"})
    await live(store, revoked, begun, connected, withdrawn)
    await live(store, failed, begun, (ProviderConnectionFailed, {"reason": "timeout"}))
    await live(store, gone, begun, (ProviderDisconnectionSucceeded, {}))
    lapsed: Step = (ProviderConnectionExpired, {})
    await live(store, active, begun, connected, lapsed, connected)
    await Projector(store, view, engine).run_once()
    found = await view.of_user(engine, USER)
    assert {each.connection_id for each in found} == {revoked, failed, gone, active}
    mendable = await view.needing_reauthentication(engine, USER)
    assert {each.connection_id: each.reason for each in mendable} == {
        revoked: "user_revoked",
        failed: "timeout",
    }
    assert [each.connection_id for each in await view.expiring_before(engine, at(31))] == [active]
    assert await view.expiring_before(engine, at(30)) == ()
    assert await view.count_by_status(engine) == {
        ConnectionStatus.REVOKED: 1,
        ConnectionStatus.FAILED: 1,
        ConnectionStatus.DISCONNECTED: 1,
        ConnectionStatus.ACTIVE: 1,
    }
    async with AsyncSession(engine) as session:
        assert await view.of_user(session, uuid4()) == ()


async def test_an_attempt_that_was_given_no_id_leaves_no_row(
    store: EventStore, engine: AsyncEngine
) -> None:
    view = ConnectionsView()
    event = ProviderConnectionAttempted(user_id=USER, provider_id=PROVIDER, provider_slug="schwab")
    await store.append(StreamId("attempt", "1"), [event])
    await Projector(store, view, engine).run_once()
    assert await view.of_user(engine, USER) == ()


async def sync(store: EventStore, stream: StreamId, cls: Any, minute: float, **more: Any) -> None:
    await store.append(stream, [cls(user_id=USER, occurred_at=at(minute), **more)])


async def test_attempts_outcomes_and_durations_by_workflow(
    store: EventStore, engine: AsyncEngine
) -> None:
    view, connection_id, one, other = SyncHistoryView(), uuid4(), uuid4(), uuid4()
    stream, on = StreamId("sync", "1"), {"connection_id": connection_id}
    await sync(store, stream, AccountSyncAttempted, 0, **on)
    await sync(store, stream, AccountSyncSucceeded, 2, account_count=3, **on)
    await sync(store, stream, AccountSyncAttempted, 3, **on)
    await sync(store, stream, AccountSyncFailed, 4, reason="invalid_response", **on)
    await sync(store, stream, TransactionSyncAttempted, 5, account_id=one, **on)
    await sync(store, stream, TransactionSyncAttempted, 6, account_id=other, **on)
    done = {"account_id": one, "transaction_count": 7}
    await sync(store, stream, TransactionSyncSucceeded, 8, **on, **done)
    await sync(store, stream, AccountSyncSucceeded, 9, account_count=4, **on)
    await Projector(store, view, engine).run_once()
    orphan, waiting, transactions, failed, first = await view.latest(engine, user_id=USER)
    assert (orphan.outcome, orphan.duration, orphan.items) == (SyncOutcome.SUCCEEDED, None, 4)
    assert (waiting.outcome, waiting.account_id) == (SyncOutcome.RUNNING, other)
    assert (transactions.duration, transactions.items) == (timedelta(minutes=3), 7)
    assert (failed.outcome, failed.reason) == (SyncOutcome.FAILED, "invalid_response")
    assert (first.started_at, first.ended_at, first.items) == (at(0), at(2), 3)
    accounts, moves = await view.statistics(engine)
    assert (accounts.attempts, accounts.succeeded, accounts.failed) == (3, 2, 1)
    assert (accounts.mean_seconds, accounts.max_seconds) == (90.0, 120.0)
    assert (moves.workflow, moves.running, moves.attempts) == ("transaction_sync", 1, 2)
    [late] = await view.statistics(engine, since=at(9), user_id=USER)
    assert (late.attempts, late.mean_seconds) == (1, None)
    last = await view.last_success(engine, connection_id=connection_id, workflow="account_sync")
    assert last == orphan
    assert await view.last_success(engine, connection_id=uuid4(), workflow="account_sync") is None


@pytest.mark.parametrize("view", [ConnectionsView, SyncHistoryView])
async def test_a_rebuild_finds_no_difference(
    store: EventStore, engine: AsyncEngine, view: type[ConnectionsView | SyncHistoryView]
) -> None:
    connection_id = uuid4()
    await live(
        store,
        connection_id,
        (ProviderConnectionAttempted, {}),
        (ProviderConnectionSucceeded, {"credentials_expire_at": at(60)}),
    )
    on = {"connection_id": connection_id}
    await sync(store, StreamId("sync", "1"), AccountSyncAttempted, 5, **on)
    await sync(store, StreamId("sync", "1"), AccountSyncSucceeded, 6, account_count=3, **on)
    await Projector(store, view(), engine).run_once()
    assert await rebuild(store, view(), engine) == await store.last_position()
