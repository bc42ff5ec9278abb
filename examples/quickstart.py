"""The whole way of a fact: decide, record, append, hear about it, look back."""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from dashtam_events import (
    CATALOGUE,
    ConnectionRepository,
    CredentialType,
    InMemoryEventBus,
    ProviderConnection,
    ProviderConnectionSucceeded,
    ProviderCredentials,
    SQLiteEventStore,
)


async def welcome(event: ProviderConnectionSucceeded) -> None:
    """A handler: a plain async function of one event."""
    print(f"heard: connected to {event.provider_slug}")


async def main(folder: Path) -> None:
    """Connect a user to a broker, and see what is left in the file."""
    bus = InMemoryEventBus()
    bus.subscribe(ProviderConnectionSucceeded, welcome)

    async with SQLiteEventStore(folder / "events.db", registry=CATALOGUE) as store:
        connections = ConnectionRepository(store)

        # Decide. A command records an event, or refuses and changes nothing.
        connection = ProviderConnection.start(
            user_id=uuid4(), provider_id=uuid4(), provider_slug="schwab", alias="My IRA"
        )
        refused = connection.record_sync()
        print(f"refused: {refused.failure()}")
        connection.mark_connected(
            ProviderCredentials(
                encrypted_data=b"sealed by your own cipher",
                credential_type=CredentialType.OAUTH2,
                expires_at=datetime.now(UTC) + timedelta(minutes=30),
            )
        )

        # Append. The events are on the disk when this returns, the credentials beside them.
        saved = await connections.save(connection)

        # Hear about it: only now, when nothing can take it back.
        for recorded in saved.recorded if saved else ():
            print(f"stored: {recorded.position} {recorded.event}")
            await bus.publish(recorded.event, recorded=recorded)

        # Look back. What comes from the file is what was put into it.
        again = await connections.get(connection.id)
        before = await connections.get(connection.id, at_version=1)
        print(f"rebuilt: {again.status.name}, and {before.status.name} one event earlier")
        print(f"equal: {again.same_state_as(connection)}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
