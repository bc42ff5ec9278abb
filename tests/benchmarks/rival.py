"""The rival: `eventsourcing`, with its SQLite module, and the same form in every row.

Its file is as durable as ours, by its defaults: a write-ahead log, and `synchronous=FULL`. No
aggregate is kept in a cache, which would be no rebuild. It has no bus that awaits; there the rival
is `blinker`.
"""

import os
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from blinker import Signal

from tests.benchmarks.rival_model import (
    RivalApplication,
    RivalConnection,
    project,
    started,
    sync,
    synced,
)
from tests.benchmarks.workload import REBUILDS, scratch, timed

__all__ = [
    "append",
    "construct",
    "decode",
    "encode",
    "fill",
    "memory",
    "publish",
    "read_log",
    "rebuild",
    "saved",
]


@contextmanager
def _application() -> Iterator[RivalApplication]:
    with scratch() as folder:
        environment = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": os.fspath(folder / "rival.db"),
        }
        application = RivalApplication(env=environment)
        try:
            yield application
        finally:
            application.close()


def append(saves: int, per_save: int) -> float:
    """`Application.save`, one a batch of events."""
    with _application() as application:
        return saved(application, saves, per_save)


def saved(application: RivalApplication, saves: int, per_save: int) -> float:
    """What an event costs, from made to saved."""
    connection, events = started()
    application.save(*events)
    with timed(saves * per_save) as cost:
        for _ in range(saves):
            connection, events = sync(connection, per_save)
            application.save(*events)
    return cost[0]


def fill(application: RivalApplication, events: int) -> tuple[UUID, int]:
    """Save so many events of one aggregate: its id, and the position of the last of them."""
    connection, first = started()
    _, others = sync(connection, events - 1)
    recordings = application.save(*first, *others)
    return connection.id, recordings[-1].notification.id


def rebuild(events: int, times: int = REBUILDS) -> float:
    """`repository.get` of one aggregate."""
    with _application() as application:
        aggregate_id, _ = fill(application, events + 1)
        with timed(events * times) as cost:
            for _ in range(times):
                again = application.repository.get(aggregate_id, projector_func=project)
    assert isinstance(again, RivalConnection)
    assert again.syncs == events
    return cost[0]


def read_log(events: int) -> float:
    """The notification log in pages, each event decoded by the mapper."""
    with _application() as application:
        fill(application, events)
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
        one = synced(started()[0])
        with timed(times) as cost:
            for _ in range(times):
                application.mapper.to_stored_event(one)
    return cost[0]


def decode(times: int) -> float:
    """The mapper, from stored event to domain event."""
    with _application() as application:
        stored = application.mapper.to_stored_event(synced(started()[0]))
        with timed(times) as cost:
            for _ in range(times):
                application.mapper.to_domain_event(stored)
    return cost[0]


def construct(times: int) -> float:
    """One event, with a time of its own; it has no id but its place in the aggregate."""
    connection, _ = started()
    with timed(times) as cost:
        for _ in range(times):
            synced(connection)
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
        _, made = sync(started()[0], events)
        stored = [application.mapper.to_stored_event(one) for one in made]
        tracemalloc.start()
        kept = [application.mapper.to_domain_event(one) for one in stored]
        used, _peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return (used - sys.getsizeof(kept)) / events
