"""Connections kept in shape by themselves: given up, refreshed in time, marked expired.

Hours pass in a few seconds: the clock of this example runs faster than the one on the wall.
"""

import asyncio
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from returns.result import Failure, Result, Success

from dashtam_events import (
    CATALOGUE,
    ConnectionRepository,
    CredentialType,
    ProviderConnection,
    ProviderCredentials,
    SQLiteEventStore,
)
from dashtam_events.processes import ProcessRunner
from dashtam_events.store import EventStore
from dashtam_events.subscriptions import InMemoryCheckpointStore, follow
from dashtam_events.upkeep import (
    UPKEEP_EVENTS,
    ConnectionUpkeep,
    RefreshRefused,
    UpkeepExecutor,
)

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)
SPEED = 1800
"""Half an hour in a second."""
BEGAN = time.monotonic()


def clock() -> datetime:
    """What time it is in the example."""
    return NINE + timedelta(seconds=(time.monotonic() - BEGAN) * SPEED)


class Bank:
    """The other end: it has so many fresh tokens for each of its connections, and no more."""

    def __init__(self, tokens: dict[str, int]) -> None:
        self.tokens = tokens

    async def refresh(
        self, connection: ProviderConnection
    ) -> Result[ProviderCredentials, RefreshRefused]:
        """Where a service would speak to its provider."""
        if self.tokens[connection.provider_slug] == 0:
            return Failure(RefreshRefused(reason="provider_unavailable"))
        self.tokens[connection.provider_slug] -= 1
        return Success(token())


def token() -> ProviderCredentials:
    """A token that holds for half an hour."""
    return ProviderCredentials(
        encrypted_data=b"sealed by your own cipher",
        credential_type=CredentialType.OAUTH2,
        expires_at=clock() + timedelta(minutes=30),
    )


async def begin(store: EventStore, slug: str, *, answered: bool) -> None:
    """A user sets out to connect; the provider answers, or it does not."""
    connection = ProviderConnection.start(
        user_id=uuid4(), provider_id=uuid4(), provider_slug=slug, now=clock()
    )
    if answered:
        connection.mark_connected(token(), now=clock())
    await ConnectionRepository(store).save(connection)


async def tell(store: EventStore) -> None:
    """Print what happens to the connections, until one has expired."""
    async for recorded in follow(store, categories=["provider"]):
        event = recorded.event
        slug = getattr(event, "provider_slug", "")
        print(f"{event.occurred_at:%H:%M}  {slug:<7}  {type(event).__name__}")
        if type(event).__name__ == "ProviderConnectionExpired":
            return


async def main(folder: Path) -> None:
    """Begin two connections, and leave the rest to the upkeep."""
    registry = CATALOGUE | UPKEEP_EVENTS
    async with SQLiteEventStore(folder / "events.db", registry=registry) as store:
        await begin(store, "silent", answered=False)
        await begin(store, "schwab", answered=True)
        upkeep = ProcessRunner(
            ConnectionUpkeep,
            store,
            UpkeepExecutor(store, Bank({"schwab": 2}), clock=clock),
            checkpoints=InMemoryCheckpointStore(),
            clock=clock,
            # The clock runs ahead of the sleep that it is asked for.
            poll=0.01,
        )
        async with upkeep:
            await tell(store)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
