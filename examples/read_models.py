"""Read models: two views that are written from the log, and made anew from it.

A query about all connections of a user, or about how long imports take, is not asked of the log.
A projector writes a view for it: tables, and the checkpoint of how far they are, in one
transaction. The views hold nothing that the log does not, so they may be spoiled, lost or changed
in form: `rebuild` makes them anew beside the old, and compares. It needs
`pip install "dashtam-events[sqlalchemy]"`.
"""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dashtam_events import (
    CATALOGUE,
    AccountSyncAttempted,
    AccountSyncFailed,
    AccountSyncSucceeded,
    ConnectionRepository,
    CredentialType,
    ProviderConnection,
    ProviderCredentials,
    SQLiteEventStore,
    StreamId,
)
from dashtam_events.bus.session import real_savepoints
from dashtam_events.subscriptions import ProjectionMismatch
from dashtam_events.subscriptions.sql import Projector, rebuild
from dashtam_events.views import ConnectionsView, SyncHistoryView

ANN = uuid4()
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def connect(store: SQLiteEventStore, bank: str) -> ProviderConnection:
    """Ann connects to a bank."""
    connection = ProviderConnection.start(user_id=ANN, provider_id=uuid4(), provider_slug=bank)
    connection.mark_connected(
        ProviderCredentials(encrypted_data=b"sealed", credential_type=CredentialType.OAUTH2)
    )
    await ConnectionRepository(store).save(connection)
    return connection


async def sync(store: SQLiteEventStore, connection_id: UUID, *, failed: bool = False) -> None:
    """Her accounts are fetched; it takes two seconds."""
    about = {"connection_id": connection_id, "user_id": ANN}
    begun = AccountSyncAttempted(occurred_at=NOON, **about)
    end = NOON + timedelta(seconds=2)
    ended = (
        AccountSyncFailed(reason="provider_unavailable", occurred_at=end, **about)
        if failed
        else AccountSyncSucceeded(account_count=3, occurred_at=end, **about)
    )
    await store.append(StreamId("account_sync", uuid4()), [begun, ended])


async def live(store: SQLiteEventStore) -> None:
    """What happens to Ann, long before anybody asks."""
    schwab = await connect(store, "schwab")
    await sync(store, schwab.id)
    await sync(store, schwab.id, failed=True)
    chase = await connect(store, "chase")
    chase.mark_expired()
    await ConnectionRepository(store).save(chase)


async def ask(engine: AsyncEngine, connections: ConnectionsView, syncs: SyncHistoryView) -> None:
    """Two questions, each answered by one small query."""
    for connection in await connections.of_user(engine, ANN):
        print(f"  {connection.provider_slug}: {connection.status.name}")
    for attempt in await syncs.latest(engine, user_id=ANN):
        end = attempt.reason or f"{attempt.items} accounts"
        print(f"  {attempt.workflow}: {attempt.outcome}, {end}, took {attempt.duration}")
    for each in await syncs.statistics(engine):
        print(f"  {each.workflow}: {each.succeeded} of {each.attempts} succeeded")


async def show(store: SQLiteEventStore, engine: AsyncEngine) -> None:
    """Write the views, go on, spoil one, and make it anew."""
    connections, syncs = ConnectionsView(), SyncHistoryView()
    projectors = [Projector(store, view, engine) for view in (connections, syncs)]

    print("Nothing is kept but the log; the views are written from it:")
    for projector in projectors:
        print(f"  {projector.name}: at position {await projector.run_once()}")
    await ask(engine, connections, syncs)

    print("More happens, and the projector goes on from its checkpoint:")
    await connect(store, "fidelity")
    await projectors[0].run_once()
    counts = await connections.count_by_status(engine)
    print(f"  {', '.join(f'{count} {status.name}' for status, count in counts.items())}")

    print("Somebody changes the table by hand, and a rebuild finds out:")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE view_connections SET status = 'revoked'"))
    try:
        await rebuild(store, connections, engine)
    except ProjectionMismatch as error:
        print(f"  {error}")

    print("What is right is in the log, so the new table takes the place of the old:")
    await rebuild(store, connections, engine, compare=False)
    await ask(engine, connections, syncs)


async def main(folder: Path) -> None:
    """The log in one file, the views in another."""
    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{folder / 'views.db'}"))
    try:
        async with SQLiteEventStore(folder / "events.db", registry=CATALOGUE) as store:
            await live(store)
            await show(store, engine)
    finally:
        await engine.dispose()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
