"""The rooms that the page stands on: one store, the connections in it, and the audit trail."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
from returns.pipeline import is_successful
from returns.result import Result

from dashtam_events._ids import new_id
from dashtam_events.catalogue import CATALOGUE, AccountSyncAttempted, AccountSyncSucceeded
from dashtam_events.cli.story import DEMO_USER
from dashtam_events.cli.web.appended import shown
from dashtam_events.cli.web.commands import COMMANDS
from dashtam_events.cli.web.imports import Imports
from dashtam_events.cli.web.views import Views
from dashtam_events.connection import (
    ConnectionRepository,
    ProviderConnection,
    ProviderConnectionError,
)
from dashtam_events.recorded import EventMetadata, RecordedEvent, StreamId
from dashtam_events.store.protocol import EventStore
from dashtam_events.store.sqlite import SQLiteEventStore
from dashtam_events.views import ConnectionSummary

__all__ = ["Ledger"]


class Ledger:
    """What the page can have done and can look at, all of it on one store."""

    def __init__(self, store: EventStore, views: Views, imports: Imports) -> None:
        self.store = store
        self.views = views
        self.imports = imports
        self.connections: ConnectionRepository = ConnectionRepository(store)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, pause: float) -> "AsyncGenerator[Ledger, None]":
        """The ledger on a file; `pause` is how many seconds an import rests at each step."""
        async with (
            SQLiteEventStore(path, registry=CATALOGUE) as store,
            Views.following(store) as views,
        ):
            imports = Imports(store, pause=pause)
            imports.clear_up()
            try:
                yield cls(store, views, imports)
            finally:
                await imports.finish()

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

    async def connection_at(self, connection_id: UUID, version: int) -> dict[str, Any]:
        """A connection as it stood after some of its events.

        Raises:
            AggregateNotFound: there is no such connection.
            ValueError: the version is below 1.
        """
        return described(await self.connections.get(connection_id, at_version=version))

    async def snapshot(self, *, recent: int) -> dict[str, Any]:
        """All that the page begins with.

        `last_event_id` is that of the last event that is in it, and None where there is none.
        """
        versions: dict[str, int] = {}
        imports: dict[str, dict[str, Any]] = {}
        told: list[RecordedEvent] = []
        async for recorded in self.store.read_all(subject=DEMO_USER):
            versions[str(recorded.stream)] = recorded.version
            told.append(recorded)
            if recorded.stream.category == "file_import":
                imports[str(recorded.stream)] = shown(recorded)
        return {
            "connections": await self._connections(versions),
            "imports": list(imports.values())[-20:],
            "versions": versions,
            "events": [shown(each) for each in told[-recent:]],
            "position": told[-1].position if told else 0,
            "last_event_id": told[-1].event.event_id if told else None,
        }

    async def syncs(self) -> dict[str, Any]:
        """The latest syncs and imports, and how all of them went."""
        attempts = await self.views.latest_syncs()
        statistics = await self.views.sync_statistics()
        return {
            "attempts": [
                attrs.asdict(each) | {"seconds": each.duration and each.duration.total_seconds()}
                for each in attempts
            ],
            "statistics": [attrs.asdict(each) for each in statistics],
        }

    async def _connections(self, versions: dict[str, int]) -> list[dict[str, Any]]:
        """The connections that are in the log as it was read, with the versions that it gave.

        The view may be further by now. The page hears of what came since, and does it again.
        """
        summaries = [(_stream_of(each), each) for each in await self.views.connections()]
        return [
            _summarized(each, stream, versions[stream])
            for stream, each in summaries
            if stream in versions
        ]

    async def _fetch(self, connection_id: UUID, metadata: EventMetadata) -> None:
        """What a service does between asking a provider for accounts and having them."""
        about: dict[str, Any] = {"connection_id": connection_id, "user_id": DEMO_USER}
        stream = StreamId("account_sync", new_id())
        await self.store.append(stream, [AccountSyncAttempted(**about)], metadata=metadata)
        fetched = AccountSyncSucceeded(account_count=3, **about)
        await self.store.append(stream, [fetched], metadata=metadata)


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


def _stream_of(summary: ConnectionSummary) -> str:
    return str(StreamId(ProviderConnection.stream_category, summary.connection_id))


def _summarized(summary: ConnectionSummary, stream: str, version: int) -> dict[str, Any]:
    """The same, as the view tells it."""
    told = attrs.asdict(summary)
    return told | {"id": summary.connection_id, "stream": stream, "version": version}
