"""A store in which somebody else acts just before a call of ours gets through."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from dashtam_events._frozen import EMPTY
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store import InMemoryEventStore, SQLiteEventStore
from dashtam_events.store.protocol import (
    ANY,
    AppendResult,
    Attachment,
    EventStore,
    Expected,
    MetadataLike,
)
from dashtam_events.testing.faults import FaultyEventStore

Meddler = Callable[[], Awaitable[object]]


class MeddledStore(FaultyEventStore):
    """Each meddler acts once, in order, before an append or before a read of an attachment."""

    def __init__(self, store: EventStore) -> None:
        super().__init__(store)
        self.before_append: list[Meddler] = []
        self.before_attachment: list[Meddler] = []

    async def append(
        self,
        stream: StreamId,
        events: Iterable[DomainEvent],
        *,
        expected: int | Expected = ANY,
        metadata: MetadataLike = None,
        attachments: Mapping[str, bytes | None] = EMPTY,
    ) -> AppendResult:
        if self.before_append:
            await self.before_append.pop(0)()
        return await super().append(
            stream, events, expected=expected, metadata=metadata, attachments=attachments
        )

    async def read_attachment(self, stream: StreamId, name: str) -> Attachment | None:
        if self.before_attachment:
            await self.before_attachment.pop(0)()
        return await super().read_attachment(stream, name)


class Clock:
    """Stands still until it is set."""

    def __init__(self, time: datetime) -> None:
        self.time = time

    def __call__(self) -> datetime:
        return self.time


@asynccontextmanager
async def opened(
    kind: str, directory: Path, registry: EventRegistry, clock: Clock
) -> AsyncIterator[MeddledStore]:
    """An open store, in memory or in a file of the directory."""
    made: InMemoryEventStore | SQLiteEventStore
    if kind == "memory":
        made = InMemoryEventStore(registry=registry, clock=clock)
    else:
        path = directory / "events.db"
        made = SQLiteEventStore(path, registry=registry, clock=clock, synchronous="NORMAL")
    async with made as inner:
        yield MeddledStore(inner)
