"""The demo's upkeep: what happens to connections by themselves, once the clock is set forward."""

from datetime import datetime, timedelta
from uuid import UUID

from returns.result import Result, Success
from rich.text import Text

from dashtam_events._clock import now
from dashtam_events._ids import new_id
from dashtam_events.catalogue import CATALOGUE
from dashtam_events.cli.render import named
from dashtam_events.cli.stage import Scene, Stage
from dashtam_events.connection import (
    ConnectionRepository,
    ConnectionStatus,
    CredentialType,
    ProviderConnection,
    ProviderCredentials,
)
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.processes import CommandIssued, DeadlineReached, ProcessRunner
from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import InMemoryCheckpointStore
from dashtam_events.upkeep import (
    UPKEEP_EVENTS,
    ConnectionUpkeep,
    RefreshRefused,
    UpkeepExecutor,
)

__all__ = ["Upkeep"]


class Upkeep:
    """Two connections that are kept in shape, in a store in memory and by a clock of its own."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._now = now()
        self._store = InMemoryEventStore(registry=CATALOGUE | UPKEEP_EVENTS)
        self._connections = ConnectionRepository(self._store)
        self._runner = ProcessRunner(
            ConnectionUpkeep,
            self._store,
            UpkeepExecutor(self._store, self, clock=self._clock),
            checkpoints=InMemoryCheckpointStore(),
            clock=self._clock,
        )

    async def keep(self, user_id: UUID) -> bool:
        """Show both; whether one was given up and the other refreshed."""
        start = ProviderConnection.start(
            user_id=user_id, provider_id=new_id(), provider_slug="schwab", now=self._now
        )
        with self._stage.scene("Nobody answers: the upkeep gives the connection up") as scene:
            given_up = await self._live(scene, start, timedelta(minutes=15))
        start = ProviderConnection.start(
            user_id=user_id, provider_id=new_id(), provider_slug="schwab", now=self._now
        )
        start.mark_connected(self._token(), now=self._now)
        with self._stage.scene("A token lapses soon: the upkeep asks for a fresh one") as scene:
            refreshed = await self._live(scene, start, timedelta(minutes=55))
        return given_up.status is ConnectionStatus.FAILED and refreshed.can_sync(
            self._now + timedelta(minutes=30)
        )

    async def refresh(
        self, _connection: ProviderConnection, /
    ) -> Result[ProviderCredentials, RefreshRefused]:
        """The provider's part: a fresh token for everybody."""
        return Success(self._token())

    async def _live(
        self, scene: Scene, connection: ProviderConnection, time: timedelta
    ) -> ProviderConnection:
        """Let so much time pass, and show what the upkeep made of it."""
        await scene.row("begin", f"{connection.status.name} at {self._now:%H:%M}, in memory")
        await self._connections.save(connection)
        await self._runner.run_once()
        before = await self._store.last_position()
        self._now += time
        await scene.row("wait", f"until {self._now:%H:%M}: the clock is set forward")
        await self._runner.run_once()
        async for recorded in self._store.read_all(after=before):
            for label, text in _told(recorded.event):
                await scene.row(label, text)
        lived = await self._connections.get(connection.id)
        await scene.row("now", lived.status.name)
        return lived

    def _clock(self) -> datetime:
        return self._now

    def _token(self) -> ProviderCredentials:
        return ProviderCredentials(
            encrypted_data=b"sealed by the service",
            credential_type=CredentialType.OAUTH2,
            expires_at=self._now + timedelta(hours=1),
        )


def _told(event: DomainEvent) -> list[tuple[str, Text | str]]:
    """What a person wants to see of it; what the upkeep writes for itself is left out."""
    match event:
        case DeadlineReached():
            return [("upkeep", f"reached the deadline {event.name!r}")]
        case CommandIssued():
            return [("upkeep", f"asked for {event.command}")]
        case _ if spec_of(type(event)).category == "provider":
            return [("stored", named(event))]
        case _:
            return []
