"""A server that forks runners of processes, to be killed in the middle of their work."""

import asyncio
import os
import signal
import sys
from itertools import count
from pathlib import Path

from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events.bus.session import real_savepoints
from dashtam_events.processes import IssuedCommand, ProcessRunner
from dashtam_events.store import SQLiteEventStore
from dashtam_events.subscriptions.sql import SQLCheckpointStore, create_subscription_tables
from tests.notes import add_notes, open_notes
from tests.processes.orders import REGISTRY, Command, Watch


def serve_kills() -> None:
    """For each line, `DIRECTORY COMMANDS MOMENT`, fork a runner that dies at a command.

    It dies before it does it, after it, or so many milliseconds later.
    """
    for line in sys.stdin:
        place, commands, moment = line.split()
        pid = os.fork()
        if pid == 0:
            asyncio.run(_work(Path(place), int(commands), moment))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _work(place: Path, commands: int, moment: str) -> None:
    executed = open_notes(place / "executed")
    numbers = count(1)

    async def execute(issued: IssuedCommand[Command]) -> None:
        last = next(numbers) == commands
        if last and moment == "before":
            _die()
        add_notes(executed, str(issued.id))
        if last and moment == "after":
            _die()
        if last:
            asyncio.get_running_loop().call_later(int(moment) / 1000, _die)

    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{place / 'progress.db'}"))
    await create_subscription_tables(engine)
    async with SQLiteEventStore(place / "events.db", registry=REGISTRY) as store:
        kept = SQLCheckpointStore(engine)
        await ProcessRunner(Watch, store, execute, checkpoints=kept, batch_size=10).run()


if __name__ == "__main__":
    serve_kills()
