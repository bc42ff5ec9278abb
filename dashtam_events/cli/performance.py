"""The demo's rooms wired together: decide, append, tell, and at the end read it all again."""

from pathlib import Path
from uuid import UUID

import attrs
from returns.pipeline import is_successful
from rich.text import Text

from dashtam_events._clock import now
from dashtam_events._ids import new_id
from dashtam_events.bus import InMemoryEventBus
from dashtam_events.catalogue import (
    CATALOGUE,
    FileImportAttempted,
    FileImportFailed,
    FileImportProgress,
    FileImportSucceeded,
)
from dashtam_events.cli.audience import Audience, short
from dashtam_events.cli.render import named
from dashtam_events.cli.stage import Scene, Stage
from dashtam_events.cli.statement import ImportEvent, import_events
from dashtam_events.cli.story import Turn, turns
from dashtam_events.connection import ConnectionRepository, ProviderConnection
from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.store.protocol import EventStore
from dashtam_events.store.sqlite import SQLiteEventStore

__all__ = ["Performance", "Promise", "look_back"]


@attrs.frozen
class Promise:
    """Something that the library says, and whether it was so."""

    text: str
    kept: bool


class Performance:
    """One run of the demo on an open store.

    `appended` is everything that was stored, in order; `promises` what was seen on the way.
    """

    def __init__(self, store: EventStore, stage: Stage) -> None:
        self.appended: list[RecordedEvent] = []
        self.promises: list[Promise] = []
        self._store = store
        self._stage = stage
        self._connections = ConnectionRepository(store)
        self._audience = Audience()
        self._bus = InMemoryEventBus()
        self._audience.listen(self._bus)

    async def live_a_connection(self, user_id: UUID) -> ProviderConnection:
        """Lead a new connection from its beginning to its end."""
        connection = ProviderConnection.start(
            user_id=user_id, provider_id=new_id(), provider_slug="schwab", alias="My IRA"
        )
        with self._stage.scene("A user asks to connect to their broker") as scene:
            code = 'ProviderConnection.start(provider_slug="schwab", alias="My IRA", ...)'
            await scene.row("decide", code)
            await self._keep(scene, connection)
        for turn in turns(now()):
            await self._take(turn, connection)
        return connection

    async def import_a_statement(self, path: Path, user_id: UUID) -> StreamId:
        """Import a statement file, each step of it an event of one new stream."""
        stream = StreamId("file_import", new_id())
        last: ImportEvent | None = None
        steps = import_events(path, user_id=user_id, provider_slug="first_bank")
        for version, last in enumerate(steps):
            title, state = _import_scene(last)
            with self._stage.scene(title) as scene:
                # Nobody else appends to it; who tells an import as interrupted ends it for us.
                result = await self._store.append(stream, [last], expected=version)
                await self._tell(scene, result.recorded[-1])
                await scene.row("state", state)
        ended = isinstance(last, FileImportSucceeded | FileImportFailed)
        self.promises.append(Promise("the import came to one end", ended))
        return stream

    async def _take(self, turn: Turn, connection: ProviderConnection) -> None:
        with self._stage.scene(turn.title) as scene:
            answer = turn.decide(connection)
            await scene.row("decide", f"connection.{turn.code}")
            if is_successful(answer):
                await self._keep(scene, connection)
            else:
                await scene.row("refused", str(answer.failure()))
                await scene.row("state", _state(connection))
        refused = not is_successful(answer) and not connection.pending_events
        if turn.refused or refused:
            promise = Promise("the refused command changed and stored nothing", refused)
            self.promises.append(promise)

    async def _keep(self, scene: Scene, connection: ProviderConnection) -> None:
        result = await self._connections.save(connection)
        for recorded in result.recorded if result else ():
            await self._tell(scene, recorded)
        await scene.row("state", _state(connection))

    async def _tell(self, scene: Scene, recorded: RecordedEvent) -> None:
        """Let the world hear of what is stored by now."""
        self.appended.append(recorded)
        await scene.row("append", _headline(recorded))
        await self._bus.publish(recorded.event, recorded=recorded)
        lines, frames = self._audience.heard()
        for line in lines:
            await scene.row("log", line)
        for frame in frames:
            await scene.row("live", Text(frame, style="dim"))


async def look_back(
    stage: Stage, path: Path, connection: ProviderConnection, appended: list[RecordedEvent]
) -> list[Promise]:
    """Open the file anew, rebuild the connection, and compare with what was told."""
    async with SQLiteEventStore(path, registry=CATALOGUE, read_only=True) as store:
        ids = {recorded.event.event_id for recorded in appended}
        every = [each async for each in store.read_all() if each.event.event_id in ids]
        connections = ConnectionRepository(store)
        rebuilt = await connections.get(connection.id)
        earlier = await connections.get(connection.id, at_version=rebuilt.version - 2)
    with stage.scene("Look back: the connection is rebuilt from the file") as scene:
        await scene.row("read", str(connection.stream))
        await scene.row("then", f"{earlier.status.name} after {earlier.version} events")
        await scene.row("now", f"{rebuilt.status.name} after {rebuilt.version} events")
    same = rebuilt.same_state_as(connection)
    return [
        Promise(f"the {len(appended)} events read back, equal and in order", every == appended),
        Promise("the rebuilt connection equals the one that lived", same),
        Promise("its credentials were deleted when it was disconnected", not rebuilt.credentials),
    ]


def _headline(recorded: RecordedEvent) -> Text:
    return Text.assemble(
        (f"#{recorded.position} ", "dim"),
        named(recorded.event),
        (f"  {short(recorded.stream)} version {recorded.version}", "dim"),
    )


def _state(connection: ProviderConnection) -> str:
    held = connection.credentials
    left = held.time_until_expiry() if held else None
    if connection.can_sync() and left:
        able = f"can sync, credentials for {round(left.total_seconds() / 3600)} h"
    elif connection.needs_reauthentication():
        able = "cannot sync until the user connects again, credentials kept"
    else:
        able = "cannot sync, no credentials"
    return f"{connection.status.name}: {able}"


def _import_scene(event: ImportEvent) -> tuple[str, str]:
    """The title of an import's scene, and what is so after it."""
    match event:
        case FileImportAttempted():
            return "The user hands in a bank statement", f"{event.file_format} file, not opened yet"
        case FileImportProgress():
            done = f"{event.records_processed} of {event.total_records} transactions"
            return "The statement is being read", f"{event.progress_percent} %, {done}"
        case FileImportSucceeded():
            accounts = f"{event.account_count} account{'s' * (event.account_count != 1)}"
            return "The statement is in", f"{event.transaction_count} transactions of {accounts}"
        case FileImportFailed():
            return "The statement was refused", f"nothing of it was stored: {event.reason}"
