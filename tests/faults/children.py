"""A process that forks others as it is told, so that they start at once, and kills them."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from dashtam_events.errors import StoreBusy, StoreUnavailable
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.store import AppendResult, EventStore
from dashtam_events.subscriptions import ParkedEvent, Subscription
from dashtam_events.subscriptions.sql import Projector, SQLCheckpointStore
from dashtam_events.subscriptions.sql.schema import transaction
from tests.faults.places import Journal, Place
from tests.notes import add_notes, open_notes
from tests.subscriptions.houses import DoorOpened

BATCH = 5
LIMIT = 60


def serve() -> None:
    """Do what each line that is read says, and say one line in return."""
    for line in sys.stdin:
        verb, _, rest = line.strip().partition(" ")
        if verb == "fork":
            print(_fork(json.loads(rest)), flush=True)
        else:
            if verb == "kill":
                os.kill(int(rest), signal.SIGKILL)
            _, status = os.waitpid(int(rest), 0)
            print(os.waitstatus_to_exitcode(status), flush=True)


def _fork(told: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        signal.alarm(LIMIT)
        place = Place(**told.pop("place"))
        asyncio.run(ROLES[told.pop("role")](place, **told))
        os._exit(0)
    return pid


async def append_until_stored(
    store: EventStore, stream: StreamId, events: Sequence[DomainEvent], **options: Any
) -> AppendResult:
    """Append the same events, again and again, until it is known that they are stored."""
    while True:
        try:
            return await store.append(stream, events, **options)
        except (StoreBusy, StoreUnavailable):
            await asyncio.sleep(0.01)


async def write(place: Place, *, hasty: bool = False) -> None:
    """Append for ever, with four tasks, and say what is acknowledged; a hasty one says it first."""
    acknowledged = open_notes(place.file("acknowledged"))
    async with place.store(busy_timeout=25) as store:
        await asyncio.gather(*(_write(store, acknowledged, hasty=hasty) for _ in range(4)))


async def _write(store: EventStore, acknowledged: int, *, hasty: bool) -> None:
    stream, version = StreamId("house", uuid4()), 0
    while True:
        events = [DoorOpened(number=version + nth) for nth in range(3)]
        told = [str(event.event_id) for event in events]
        if hasty:
            add_notes(acknowledged, *told)
        await append_until_stored(
            store, stream, events, expected=version, attachments={"head": b"%d" % version}
        )
        if not hasty:
            add_notes(acknowledged, *told)
        version += 3


class _Mortal:
    """Counts to some number, and kills its process there."""

    def __init__(self, dies_at: int) -> None:
        self._left = dies_at

    def count(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


async def subscribe(place: Place, *, dies_at: int, hasty: bool = False) -> None:
    """Note what comes, and die in the middle of an event; a hasty one keeps its progress first."""
    handled = open_notes(place.file("handled"))
    mortal = _Mortal(dies_at)

    async def handle(recorded: RecordedEvent) -> None:
        mortal.count()
        add_notes(handled, f"{recorded.position} {recorded.stream} {recorded.version}")

    kind = _HastySubscription if hasty else Subscription
    async with place.store() as store:
        kept = SQLCheckpointStore(place.engine())
        await kind("doors", store, handle, checkpoints=kept, batch_size=BATCH).run()


class _HastySubscription(Subscription):
    """Planted: it keeps that a batch is dealt with, and then deals with it."""

    async def _deal(self, batch: Any) -> None:
        await self._save(batch.reached, [])
        await super()._deal(batch)


async def project(place: Place, *, dies_at: int, hasty: bool = False) -> None:
    """Write a journal, and die in the middle of a line; a hasty one commits each line at once."""
    view = _MortalJournal(_Mortal(dies_at))
    kind = _HastyProjector if hasty else Projector
    async with place.store() as store:
        await kind(store, view, place.engine(), batch_size=BATCH).run()


class _MortalJournal(Journal):
    def __init__(self, mortal: _Mortal) -> None:
        super().__init__()
        self._mortal = mortal

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await super().apply(connection, recorded)
        self._mortal.count()


class _HastyProjector(Projector):
    """Planted: what each event leads to has a transaction of its own."""

    async def _advance(
        self, to: Position | None, parked: list[ParkedEvent], recorded: list[RecordedEvent]
    ) -> None:
        for each in recorded:
            async with transaction(self._source) as connection:
                await self._projection.apply(connection, each)
        await super()._advance(to, parked, [])


ROLES: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "write": write,
    "subscribe": subscribe,
    "project": project,
}

if __name__ == "__main__":
    serve()
