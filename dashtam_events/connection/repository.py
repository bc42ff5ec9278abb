"""Connections in a store: the events in their stream, the credentials beside it, in one write."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from dashtam_events.catalogue.provider import (
    ProviderConnectionSucceeded,
    ProviderDisconnectionSucceeded,
    ProviderTokenRefreshSucceeded,
)
from dashtam_events.connection._machine import START
from dashtam_events.connection._sealed import pack, unpack
from dashtam_events.connection.connection import ProviderConnection
from dashtam_events.errors import VersionConflict
from dashtam_events.repository import Repository
from dashtam_events.store.protocol import AppendResult, EventStore, MetadataLike

__all__ = ["ConnectionRepository"]

_CREDENTIALS = "credentials"
_CHANGING = (
    ProviderConnectionSucceeded,
    ProviderTokenRefreshSucceeded,
    ProviderDisconnectionSucceeded,
)


class ConnectionRepository(Repository[ProviderConnection]):
    """The connections in one store, each with its credentials.

    Credentials are kept as an attachment of the stream, written in the same append as the event
    that they belong to, and removed in the one that disconnects. They are in no event.

    Args:
        store: where the connections are; open it first.
        snapshot_every: as for `Repository`.
        attempts: as for `Repository`; also how often a load tries to catch up with writers.
    """

    def __init__(
        self, store: EventStore, *, snapshot_every: int | None = None, attempts: int = 5
    ) -> None:
        super().__init__(
            store, ProviderConnection, snapshot_every=snapshot_every, attempts=attempts
        )

    async def get(
        self, id: UUID, *, at_version: int | None = None, at_time: datetime | None = None
    ) -> ProviderConnection:
        """The connection as it stands, with its credentials, or as it stood.

        State and credentials always belong together. Only the present credentials are kept: a
        connection as of an earlier version or time has them where they were its own already,
        and None where they have been replaced or deleted since.

        Raises:
            VersionConflict: others wrote faster than this could read, at every attempt.
            DecodingError: the kept credentials are damaged.
            FutureSchemaVersion: a newer release wrote the credentials.
            AggregateNotFound: and what else `Repository.get` raises.
        """
        connection = await super().get(id, at_version=at_version, at_time=at_time)
        past = at_version is not None or at_time is not None
        behind, seen = connection.version, 0
        for _ in range(self._attempts):
            kept = await self._store.read_attachment(connection.stream, _CREDENTIALS)
            if kept is None:
                return connection
            if kept.version <= connection.version:
                connection.restore_credentials(unpack(kept.data))
                return connection
            if past:
                return connection
            behind, seen = connection.version, kept.version
            await self._advance(connection)
        raise VersionConflict(str(connection.stream), behind, seen)

    async def save(
        self, aggregate: ProviderConnection, *, metadata: MetadataLike = None
    ) -> AppendResult | None:
        """Store what the connection recorded, and its credentials where they changed.

        As `Repository.save`, which says what holds after a conflict or a failure.

        Raises:
            ValueError: the connection was not begun with `start`, so its stream would lack the
                beginning.
            VersionConflict: and what else `Repository.save` raises.
        """
        if aggregate.version == 0:
            begin, _ = START
            if not isinstance(next(iter(aggregate.pending_events), None), begin):
                raise ValueError("begin a connection with ProviderConnection.start to save it")
        return await super().save(aggregate, metadata=metadata)

    def _attachments(self, aggregate: ProviderConnection) -> Mapping[str, bytes | None]:
        attachments = super()._attachments(aggregate)
        if not any(isinstance(event, _CHANGING) for event in aggregate.pending_events):
            return attachments
        return {**attachments, _CREDENTIALS: pack(aggregate.credentials)}
