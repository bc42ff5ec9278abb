"""The aggregate in the rival's terms, in the fastest form that the rival's documentation shows.

That is its example with msgspec: events and aggregates are structs, functions make the one and
change the other, and a mapper of the application's own has msgspec write and read the JSON. Its
default, methods that are declared to make events and a transcoder over Python's json, is slower.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import singledispatch
from typing import Any, ClassVar
from uuid import UUID, uuid4

import msgspec
from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol, datetime_now_with_tzinfo
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder
from eventsourcing.utils import get_topic, resolve_topic

from tests.benchmarks.workload import FIELDS

__all__ = ["RivalApplication", "RivalConnection", "project", "started", "sync", "synced"]


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    originator_id: UUID
    originator_version: int
    timestamp: datetime = msgspec.field(default_factory=datetime_now_with_tzinfo)


class RivalStarted(_Event, frozen=True):
    """The first event."""

    provider_slug: str


class RivalSynced(_Event, frozen=True):
    """The event that is measured."""

    connection_id: UUID
    provider_slug: str
    balance: Decimal
    synced_at: datetime
    note: str


class RivalConnection(msgspec.Struct, frozen=True):
    """The same aggregate in the rival's terms."""

    id: UUID
    version: int
    created_on: datetime
    modified_on: datetime
    provider_slug: str
    syncs: int
    balance: Decimal


@singledispatch
def _changed(event: _Event, before: RivalConnection | None) -> RivalConnection:
    raise TypeError(type(event))


@_changed.register
def _(event: RivalStarted, before: None) -> RivalConnection:
    return RivalConnection(
        id=event.originator_id,
        version=event.originator_version,
        created_on=event.timestamp,
        modified_on=event.timestamp,
        provider_slug=event.provider_slug,
        syncs=0,
        balance=Decimal(0),
    )


@_changed.register
def _(event: RivalSynced, before: RivalConnection) -> RivalConnection:
    return RivalConnection(
        id=before.id,
        version=event.originator_version,
        created_on=before.created_on,
        modified_on=event.timestamp,
        provider_slug=before.provider_slug,
        syncs=before.syncs + 1,
        balance=event.balance,
    )


def project(before: RivalConnection | None, events: Iterable[Any]) -> RivalConnection | None:
    """The aggregate after its events: what a repository asks for."""
    for event in events:
        before = _changed(event, before)
    return before


class _StructMapper(Mapper[UUID]):
    """JSON that msgspec writes and reads."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=get_topic(type(domain_event)),
            state=msgspec.json.encode(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        one: DomainEventProtocol[UUID] = msgspec.json.decode(
            stored_event.state, type=resolve_topic(stored_event.topic)
        )
        return one


class _NoTranscoder(Transcoder):
    """An application has to have one; the mapper does not ask it."""

    def encode(self, obj: object) -> bytes:
        raise NotImplementedError

    def decode(self, data: bytes) -> object:
        raise NotImplementedError


class RivalApplication(Application[UUID]):
    """It stores structs."""

    env: ClassVar[dict[str, str]] = {
        "MAPPER_TOPIC": get_topic(_StructMapper),
        "TRANSCODER_TOPIC": get_topic(_NoTranscoder),
    }


def started() -> tuple[RivalConnection, list[_Event]]:
    """A new connection, and the event that is to be saved."""
    event = RivalStarted(originator_id=uuid4(), originator_version=1, provider_slug="schwab")
    return _changed(event, None), [event]


def sync(connection: RivalConnection, times: int) -> tuple[RivalConnection, list[_Event]]:
    """The connection after so many syncs, and their events, which are to be saved."""
    events: list[_Event] = []
    for _ in range(times):
        event = synced(connection)
        connection = _changed(event, connection)
        events.append(event)
    return connection, events


def synced(connection: RivalConnection) -> RivalSynced:
    """The next sync of a connection, which it is not applied to."""
    return RivalSynced(
        originator_id=connection.id,
        originator_version=connection.version + 1,
        **FIELDS,  # type: ignore[arg-type]  # a dict of mixed values
    )
