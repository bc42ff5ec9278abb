"""Hears of new events: from the server as soon as they are there, and by looking now and then."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from dashtam_events._told import log_told
from dashtam_events.errors import StoreError
from dashtam_events.store._arrivals import Arrivals
from dashtam_events.store.postgres._failures import FOREIGN
from dashtam_events.store.postgres._schema import CHANNEL
from dashtam_events.store.postgres._server import Server

__all__ = ["Listener"]

_LOGGER = logging.getLogger("dashtam_events.store")
_RECONNECT_SECONDS = 0.2
_POSITION = re.compile(r"[0-9]{1,19}")


class Listener:
    """Tells of new events those who wait for them; begins with the first who waits.

    A notification says where the log ends, and is not believed for longer than it takes to wake
    those who wait for that: anybody on the server may send one. Looking every `poll_interval`
    seconds stands behind it: where the connection is lost, news come later, and nothing else. Where
    none is made in its place, the logger `dashtam_events.store` says so, once until it is there.

    Args:
        server: the one to listen at; None: only look.
        last_position: asks for the position of the last event.
    """

    def __init__(
        self,
        server: Server | None,
        arrivals: Arrivals,
        last_position: Callable[[], Awaitable[int]],
        poll_interval: float,
    ) -> None:
        self._server, self._arrivals = server, arrivals
        self._last_position, self._poll_interval = last_position, poll_interval
        self._stirred = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_deaf = False

    def start(self) -> None:
        """Begin, unless it has begun already."""
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._look()))
            if self._server is not None:
                self._tasks.append(asyncio.create_task(self._listen(self._server)))

    async def stop(self) -> None:
        """End every task and the connection."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _look(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_interval):
                    await self._stirred.wait()
            self._stirred.clear()
            if self._arrivals.awaited:
                await self._tell()

    async def _tell(self) -> None:
        try:
            self._arrivals.announce(await self._last_position())
        except StoreError as error:
            self._arrivals.fail(error)

    async def _listen(self, server: Server) -> None:
        while True:
            try:
                await self._listen_once(server)
            except StoreError as error:
                self._say_deaf(server, error)
            except FOREIGN as error:
                self._say_deaf(server, server.meaning(error))
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen_once(self, server: Server) -> None:
        """Listen until the connection is lost."""
        lost = asyncio.Event()
        connection = await server.connect()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            channel = CHANNEL.format(schema=server.schema)
            await connection.add_listener(channel, self._hear)
            self._say_back(server)
            # Something may have come while nobody listened.
            self._stirred.set()
            await lost.wait()
        finally:
            connection.terminate()

    def _say_deaf(self, server: Server, error: StoreError) -> None:
        if not self._is_deaf:
            self._is_deaf = True
            facts = {"store": server.shown, "error": str(error)}
            told = "new events are looked for now and then, and not heard of: {error}"
            log_told(_LOGGER, logging.WARNING, "store_not_listening", facts, told)

    def _say_back(self, server: Server) -> None:
        if self._is_deaf:
            self._is_deaf = False
            told = "new events of {store} are heard of again"
            log_told(_LOGGER, logging.INFO, "store_listening_again", {"store": server.shown}, told)

    def _hear(self, _connection: Any, _process: int, _channel: str, said: str) -> None:
        if _POSITION.fullmatch(said):
            self._arrivals.announce(int(said))
        else:
            self._stirred.set()
