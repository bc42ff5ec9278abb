"""A server that forks subscribers, to be killed in the middle of their work."""

import asyncio
import os
import sys
from pathlib import Path

from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events.bus.session import real_savepoints
from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import SQLiteEventStore
from dashtam_events.subscriptions import Subscription
from dashtam_events.subscriptions.sql import (
    Projector,
    SQLCheckpointStore,
    create_subscription_tables,
)
from tests.subscriptions.houses import REGISTRY
from tests.subscriptions.walls import Openings


def serve_kills() -> None:
    """For each directory that is read, fork a subscriber and a projector in one process."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            asyncio.run(_work(Path(line.strip())))
            os._exit(0)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("dead", flush=True)


async def _work(place: Path) -> None:
    handled = os.open(place / "handled", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def handle(recorded: RecordedEvent) -> None:
        await asyncio.sleep(0.0005)
        os.write(handled, f"{recorded.position} {recorded.stream} {recorded.version}\n".encode())

    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{place / 'views.db'}"))
    await create_subscription_tables(engine)
    async with SQLiteEventStore(place / "events.db", registry=REGISTRY) as store:
        kept = SQLCheckpointStore(engine)
        subscription = Subscription("doors", store, handle, checkpoints=kept, batch_size=10)
        projector = Projector(store, Openings(), engine, batch_size=5)
        await asyncio.gather(subscription.run(), projector.run())


if __name__ == "__main__":
    serve_kills()
