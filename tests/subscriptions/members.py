"""A process that forks members of consumer groups, so that they start at once, to be killed."""

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path

from sqlalchemy import BigInteger, Column, Integer, Text, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from dashtam_events.recorded import RecordedEvent
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions import ConsumerGroup, Lease, Subscription, current_lease
from dashtam_events.subscriptions.sql import Projection, Projector, SQLCheckpointStore
from dashtam_events.subscriptions.sql.schema import checkpoints
from tests.notes import add_notes, open_notes
from tests.subscriptions.houses import REGISTRY, DoorOpened

PARTITIONS, LEASE = 64, 2.5


class Effects(Projection):
    """What was written, by the owner of which epoch, and which epoch was stored meanwhile."""

    name = "effects"
    types = (DoorOpened,)

    def define(self) -> None:
        self.effects = self.table(
            "effects",
            Column("number", Integer, primary_key=True),
            Column("stream", Text, nullable=False),
            Column("version", Integer, nullable=False),
            Column("partition", Integer, nullable=False),
            Column("epoch", BigInteger, nullable=False),
            Column("stored_epoch", BigInteger, nullable=False),
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        lease = _lease()
        stored = select(checkpoints.c.epoch).where(
            checkpoints.c.subscription == self.name, checkpoints.c.partition == lease.partition
        )
        written = self.effects.insert().values(
            stream=str(recorded.stream),
            version=recorded.version,
            partition=lease.partition,
            epoch=lease.epoch,
            stored_epoch=stored.scalar_subquery(),
        )
        await connection.execute(written)
        await asyncio.sleep(random.uniform(0.0, 0.002))


def serve() -> None:
    """For each line a child, or the end of one: what it is told as JSON, or its id to wait for."""
    for line in sys.stdin:
        if line.startswith("{"):
            print(_fork(json.loads(line)), flush=True)
        else:
            _, status = os.waitpid(int(line), 0)
            print(os.waitstatus_to_exitcode(status), flush=True)


def _fork(told: dict[str, str]) -> int:
    pid = os.fork()
    if pid == 0:
        signal.alarm(600)
        asyncio.run(_live(**told))
        os._exit(0)
    return pid


async def _live(url: str, dsn: str, schema: str, folder: str, name: str) -> None:
    """Be a member of two groups, until it is ended."""
    handled = open_notes(Path(folder, "handled"))

    async def handle(recorded: RecordedEvent) -> None:
        await asyncio.sleep(random.uniform(0.0, 0.002))
        lease = _lease()
        told = f"{recorded.stream} {recorded.version} {lease.partition} {lease.epoch}"
        add_notes(handled, told)

    engine = create_async_engine(url, pool_size=8)
    kept = SQLCheckpointStore(engine)
    async with PostgresEventStore(dsn, schema=schema, registry=REGISTRY) as store:
        plain = Subscription("plain", store, handle, checkpoints=kept, batch_size=20, poll=0.5)
        exact = Projector(store, Effects(), engine, batch_size=20, poll=0.5)
        groups = [
            ConsumerGroup(each, partitions=PARTITIONS, lease=LEASE, member=name)
            for each in (plain, exact)
        ]
        running = asyncio.gather(*(each.run() for each in groups))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _stop, groups)
        await running
    await engine.dispose()


def _stop(groups: list[ConsumerGroup]) -> None:
    for each in groups:
        _STOPPING.add(asyncio.ensure_future(each.stop()))


_STOPPING: set[asyncio.Future[None]] = set()


def _lease() -> Lease:
    lease = current_lease()
    assert lease is not None
    return lease


if __name__ == "__main__":
    serve()
