"""One opening of a PostgreSQL store: its connections, its tasks, and those who wait for it."""

import asyncio
from collections.abc import Sequence
from typing import Any

from dashtam_events._uncut import to_its_end
from dashtam_events.errors import StoreClosed, StoreUnavailable
from dashtam_events.store._arrivals import Arrivals
from dashtam_events.store._rows import Draft, Scribe, Stored
from dashtam_events.store.postgres._batch import Pen
from dashtam_events.store.postgres._listener import Listener
from dashtam_events.store.postgres._migrating import Learn, bring_up, refuse_other_versions
from dashtam_events.store.postgres._reading import Reader
from dashtam_events.store.postgres._server import Connections, Line, Server
from dashtam_events.store.postgres._writer import Writer

__all__ = ["Session"]


class Session:
    """Belongs to the event loop in which it was made; closed once, and then for good.

    Writing has a connection of its own, so that no reader keeps it waiting.
    """

    def __init__(
        self,
        server: Server,
        listen_at: Server | None,
        scribe: Scribe,
        *,
        clocked: bool,
        readers: int,
        poll_interval: float,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._server = server
        self._reading = Connections(server, readers)
        self._writing = Line(server)
        self._arrivals = Arrivals()
        write = self._writing.fetch
        reader = Reader(write, server.schema)
        pen = Pen(write, reader, server.schema, server.busy_timeout, careful=False)
        self._writer = Writer(pen, scribe, self._arrivals.announce, clocked=clocked)
        self._reader = Reader(self.fetch, server.schema)
        self._listener = Listener(
            listen_at, self._arrivals, self._reader.last_position, poll_interval
        )
        self._open = False

    async def open(self, *, migrate: bool, learn: Learn) -> None:
        """Get ready, or close again and raise as `migrate` does."""
        await self._reading.open()
        try:
            await (bring_up if migrate else refuse_other_versions)(self._server, learn=learn)
        except BaseException:
            await self.close()
            raise
        self._open = True

    async def close(self) -> None:
        """Write and answer what was accepted, then end every connection and task."""
        self._open = False
        self._arrivals.fail(StoreClosed(self._server.shown))
        await to_its_end(self._finish())

    async def _finish(self) -> None:
        await self._listener.stop()
        await self._writer.finish()
        await asyncio.gather(self._writing.close(), self._reading.close())

    async def submit(self, drafts: tuple[Draft, ...]) -> Stored:
        """Write the drafts: what stands afterwards."""
        self._check_open()
        return await self._writer.submit(drafts)

    async def fetch(self, sql: str, *values: Any) -> Sequence[Any]:
        """Ask one statement, over one of the connections for reading."""
        self._check_open()
        try:
            return await self._reading.fetch(sql, *values)
        except StoreUnavailable:
            # Closing cuts off whoever still asks.
            self._check_open()
            raise

    async def wait(self, after: int, timeout: float | None) -> bool:
        """True once the log has gone on after a position, False after `timeout` seconds."""
        self._check_open()
        future = self._arrivals.expect(after)
        try:
            self._listener.start()
            self._arrivals.announce(await self._reader.last_position())
            return await self._arrivals.wait(future, timeout)
        finally:
            self._arrivals.forget(future)

    def _check_open(self) -> None:
        if not self._open:
            raise StoreClosed(self._server.shown)
