"""The rooms that the page stands on: one store, the connections in it, and the audit trail."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from returns.pipeline import is_successful
from returns.result import Result

from dashtam_events._ids import new_id
from dashtam_events.catalogue import CATALOGUE, AccountSyncAttempted, AccountSyncSucceeded
from dashtam_events.cli.statement import import_events
from dashtam_events.cli.story import DEMO_USER
from dashtam_events.cli.web.appended import shown
from dashtam_events.cli.web.commands import COMMANDS
from dashtam_events.connection import (
    ConnectionRepository,
    ProviderConnection,
    ProviderConnectionError,
)
from dashtam_events.recorded import EventMetadata, RecordedEvent, StreamId
from dashtam_events.store.protocol import EventStore
from dashtam_events.store.sqlite import SQLiteEventStore

__all__ = ["STATEMENTS", "Ledger", "refusal"]

_FOLDER = Path(__file__).parents[1] / "statements"
STATEMENTS = tuple(sorted(path.name for path in _FOLDER.glob("*.ofx")))
"""The statements that come with the library; one of them is broken."""


class Ledger:
    """What the page can have done and can look at, all of it on one store."""

    def __init__(self, store: EventStore, *, pause: float) -> None:
        self.store = store
        self.connections: ConnectionRepository = ConnectionRepository(store)
        self._pause = pause
        self._imports: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, pause: float) -> "AsyncGenerator[Ledger, None]":
        """The ledger on a file; `pause` is how many seconds an import rests at each step."""
        async with SQLiteEventStore(path, registry=CATALOGUE) as store:
            ledger = cls(store, pause=pause)
            try:
                yield ledger
            finally:
                await ledger.finish()

    async def begin(self, slug: str, alias: str | None, metadata: EventMetadata) -> UUID:
        """Begin a connection.

        Raises:
            ValueError: the slug or the alias is too long or empty.
        """
        connection = ProviderConnection.start(
            user_id=DEMO_USER, provider_id=new_id(), provider_slug=slug, alias=alias
        )
        await self.connections.save(connection, metadata=metadata)
        return connection.id

    async def command(
        self, connection_id: UUID, name: str, metadata: EventMetadata
    ) -> Result[None, ProviderConnectionError]:
        """Let a connection decide, and store what it recorded.

        Raises:
            KeyError: there is no such command.
            AggregateNotFound: there is no such connection.
        """
        command = COMMANDS[name]
        if name == "sync":
            answer = command.decide(await self.connections.get(connection_id))
            if not is_successful(answer):
                return answer
            await self._fetch(connection_id, metadata)
        return await self.connections.execute(connection_id, command.decide, metadata=metadata)

    async def begin_import(self, name: str, metadata: EventMetadata) -> StreamId:
        """Begin to import one of the statements; it goes on by itself.

        Raises:
            KeyError: there is no such statement.
        """
        if name not in STATEMENTS:
            raise KeyError(name)
        stream = StreamId("file_import", new_id())
        importing = asyncio.create_task(self._import(stream, _FOLDER / name, metadata))
        self._imports.add(importing)
        importing.add_done_callback(self._imports.discard)
        return stream

    async def finish(self) -> None:
        """Let the imports under way come to their end."""
        self._pause = 0.0
        await asyncio.gather(*self._imports)

    async def connection_at(self, connection_id: UUID, version: int) -> dict[str, Any]:
        """A connection as it stood after some of its events.

        Raises:
            AggregateNotFound: there is no such connection.
            ValueError: the version is below 1.
        """
        return described(await self.connections.get(connection_id, at_version=version))

    async def snapshot(self, *, recent: int) -> dict[str, Any]:
        """All that the page begins with, read from the log in one go.

        `last_event_id` is that of the last event that is in it, and None where there is none.
        """
        connections: dict[StreamId, ProviderConnection] = {}
        versions: dict[str, int] = {}
        imports: dict[str, dict[str, Any]] = {}
        told: list[RecordedEvent] = []
        async for recorded in self.store.read_all(subject=DEMO_USER):
            versions[str(recorded.stream)] = recorded.version
            told.append(recorded)
            if recorded.stream.category == ProviderConnection.stream_category:
                blank = ProviderConnection.blank(UUID(recorded.stream.id))
                connections.setdefault(recorded.stream, blank).advance(recorded)
            elif recorded.stream.category == "file_import":
                imports[str(recorded.stream)] = shown(recorded)
        return {
            "connections": [described(each) for each in connections.values()],
            "imports": list(imports.values())[-20:],
            "versions": versions,
            "events": [shown(each) for each in told[-recent:]],
            "position": told[-1].position if told else 0,
            "last_event_id": told[-1].event.event_id if told else None,
        }

    async def _fetch(self, connection_id: UUID, metadata: EventMetadata) -> None:
        """What a service does between asking a provider for accounts and having them."""
        about: dict[str, Any] = {"connection_id": connection_id, "user_id": DEMO_USER}
        stream = StreamId("account_sync", new_id())
        await self.store.append(stream, [AccountSyncAttempted(**about)], metadata=metadata)
        fetched = AccountSyncSucceeded(account_count=3, **about)
        await self.store.append(stream, [fetched], metadata=metadata)

    async def _import(self, stream: StreamId, path: Path, metadata: EventMetadata) -> None:
        steps = import_events(path, user_id=DEMO_USER, provider_slug="first_bank")
        while (event := await asyncio.to_thread(next, steps, None)) is not None:
            await self.store.append(stream, [event], metadata=metadata)
            await asyncio.sleep(self._pause)


def described(connection: ProviderConnection) -> dict[str, Any]:
    """A connection as its user sees it."""
    return {
        "id": connection.id,
        "stream": str(connection.stream),
        "version": connection.version,
        "status": connection.status,
        "provider_slug": connection.provider_slug,
        "alias": connection.alias,
        "created_at": connection.created_at,
        "connected_at": connection.connected_at,
        "last_sync_at": connection.last_sync_at,
        "updated_at": connection.updated_at,
    }


def refusal(answer: Result[None, ProviderConnectionError]) -> str | None:
    """Why a command was refused; None where it was not."""
    return None if is_successful(answer) else str(answer.failure())
