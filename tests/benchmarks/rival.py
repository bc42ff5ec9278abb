"""The rival: `eventsourcing` as its own documentation shows it, with its SQLite module.

It has no bus that awaits; there the rival is `blinker`.
"""

import os
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from blinker import Signal
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from tests.benchmarks.workload import FIELDS, REBUILDS, scratch, timed

__all__ = [
    "RivalConnection",
    "append",
    "construct",
    "decode",
    "encode",
    "memory",
    "publish",
    "read_log",
    "rebuild",
    "sync",
]


class RivalConnection(Aggregate):
    """The same aggregate in the rival's terms."""

    @event("Started")
    def __init__(self, provider_slug: str) -> None:
        self.provider_slug = provider_slug
        self.syncs = 0
        self.balance = Decimal(0)

    @event("Synced")
    def sync(
        self,
        connection_id: UUID,
        provider_slug: str,
        balance: Decimal,
        synced_at: datetime,
        note: str,
    ) -> None:
        """Record one sync."""
        self.syncs += 1
        self.balance = balance


@contextmanager
def _application() -> Iterator[Application[UUID]]:
    with scratch() as folder:
        environment = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": os.fspath(folder / "rival.db"),
        }
        application: Application[UUID] = Application(env=environment)
        try:
            yield application
        finally:
            application.close()


def _connection() -> RivalConnection:
    return RivalConnection(provider_slug="schwab")


def sync(connection: RivalConnection, times: int) -> None:
    """Record so many syncs, which are pending until they are saved."""
    for _ in range(times):
        connection.sync(**FIELDS)  # type: ignore[arg-type]  # a dict of mixed values


def append(saves: int, per_save: int) -> float:
    """`Application.save`, one a batch of events."""
    with _application() as application:
        connection = _connection()
        sync(connection, 1)
        application.save(connection)
        with timed(saves * per_save) as cost:
            for _ in range(saves):
                sync(connection, per_save)
                application.save(connection)
    return cost[0]


def rebuild(events: int, times: int = REBUILDS) -> float:
    """`repository.get` of one aggregate."""
    with _application() as application:
        connection = _connection()
        sync(connection, events)
        application.save(connection)
        with timed(events * times) as cost:
            for _ in range(times):
                again: RivalConnection = application.repository.get(connection.id)
    assert again.syncs == events
    return cost[0]


def read_log(events: int) -> float:
    """The notification log in pages, each event decoded by the mapper."""
    with _application() as application:
        connection = _connection()
        sync(connection, events - 1)
        application.save(connection)
        seen = 0
        with timed(events) as cost:
            while seen < events:
                for notification in application.recorder.select_notifications(seen + 1, 500):
                    application.mapper.to_domain_event(notification)
                    seen += 1
    return cost[0]


def encode(times: int) -> float:
    """The mapper, from domain event to stored event."""
    with _application() as application:
        connection = _connection()
        sync(connection, 1)
        one = connection.pending_events[-1]
        with timed(times) as cost:
            for _ in range(times):
                application.mapper.to_stored_event(one)
    return cost[0]


def decode(times: int) -> float:
    """The mapper, from stored event to domain event."""
    with _application() as application:
        connection = _connection()
        sync(connection, 1)
        stored = application.mapper.to_stored_event(connection.pending_events[-1])
        with timed(times) as cost:
            for _ in range(times):
                application.mapper.to_domain_event(stored)
    return cost[0]


def construct(times: int) -> float:
    """One event triggered on its aggregate: the rival has no other way."""
    connection = _connection()
    with timed(times) as cost:
        sync(connection, times)
    return cost[0]


async def publish(handlers: list[Callable[[object], Awaitable[None]]], times: int) -> float:
    """`Signal.send_async`, with the event as what the signal is about."""
    signal = Signal()
    for handler in handlers:
        signal.connect(handler, weak=False)
    one = object()
    with timed(times) as cost:
        for _ in range(times):
            await signal.send_async(one)
    return cost[0]


def memory(events: int) -> float:
    """Bytes of a decoded event."""
    with _application() as application:
        connection = _connection()
        sync(connection, events)
        pending = connection.pending_events[1:]
        stored = [application.mapper.to_stored_event(one) for one in pending]
        tracemalloc.start()
        kept = [application.mapper.to_domain_event(one) for one in stored]
        used, _peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return (used - sys.getsizeof(kept)) / events
