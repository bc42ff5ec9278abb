"""The demo as processes: one that serves the page, others that write to the same file."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cli.running import COMMAND, ENVIRONMENT

__all__ = ["Server", "writer"]

_WRITER = """
import asyncio, sys
from dashtam_events.catalogue import CATALOGUE, TransactionSyncSucceeded
from dashtam_events.cli.story import DEMO_USER
from dashtam_events.recorded import StreamId
from dashtam_events.store.sqlite import SQLiteEventStore
from uuid import uuid4

async def write(path, count, pause):
    stream, connection = StreamId("account_sync", uuid4()), uuid4()
    async with SQLiteEventStore(path, registry=CATALOGUE) as store:
        for number in range(count):
            event = TransactionSyncSucceeded(
                user_id=DEMO_USER,
                connection_id=connection,
                account_id=None,
                transaction_count=number,
            )
            await store.append(stream, [event])
            await asyncio.sleep(pause)

asyncio.run(write(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
"""


class Server:
    """The page's server; while the context lasts, it can be killed and started again.

    `pause` is how many seconds an import rests at each step; it counts from the next start on.
    """

    def __init__(self, file: Path, pause: float) -> None:
        self.file, self.pause = file, pause
        self._port = "0"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(signal.SIGTERM)

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, at the port where it was before."""
        arguments = ["demo", "--web", "--port", self._port, "--db", str(self.file)]
        self._process = subprocess.Popen(
            [*COMMAND, *arguments, "--pause", str(self.pause)],
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self._port = found[1]
                return
        raise AssertionError("the server did not start")

    def end(self, how: signal.Signals) -> int:
        """End it; returns its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        with self._process as process:
            return process.wait(60)


def writer(file: Path, count: int, *, pause: float) -> "subprocess.Popen[bytes]":
    """Start a process that appends so many events to a file, with a pause after each."""
    words = [sys.executable, "-c", _WRITER, str(file), str(count), str(pause)]
    return subprocess.Popen(words, env=ENVIRONMENT)
