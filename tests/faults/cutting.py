"""A proxy before a server of PostgreSQL that cuts connections between two messages."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from urllib.parse import parse_qs, urlsplit

from tests.transaction_pooler import message, packed

__all__ = ["Cutter", "cutting"]


class Cutter:
    """Passes messages on and counts them, in both directions, over all of its connections.

    The server gets all that was sent before a cut, also what it has not read yet, and does what
    that asks for; its answer is lost.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.passed = self.cuts = 0
        self._behind, self._times = -1, 0
        self._passing = asyncio.Event()
        self._passing.set()

    def arm(self, behind: int, *, times: int = 1) -> None:
        """Cut once behind that many more messages; then every new connection, so many times."""
        self.passed, self._behind, self._times = 0, behind, times

    def fall_silent(self) -> None:
        """Keep every connection open, and pass nothing on any more."""
        self._passing.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it or it is cut."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer  # a loop does not keep its tasks alive
        try:
            with closing(writer):
                if not self._is_due():
                    await self._serve(reader, writer)
        finally:
            del self._open[task]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._path)
        pumps = [
            asyncio.create_task(self._pump(reader, to_server, begins=True)),
            asyncio.create_task(self._pump(from_server, writer)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        writer.close()
        await _leave(from_server, to_server)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, begins: bool = False
    ) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            if begins:
                size = await reader.readexactly(4)
                (length,) = struct.unpack("!I", size)
                writer.write(size + await reader.readexactly(length - 4))
                self.passed += 1
            while not self._is_due():
                passed = packed(*await message(reader))
                await self._passing.wait()
                writer.write(passed)
                await writer.drain()
                self.passed += 1

    def _is_due(self) -> bool:
        if self._times == 0 or self.passed < self._behind:
            return False
        self._times -= 1
        self.cuts += 1
        return True

    async def close(self) -> None:
        """Leave no connection behind."""
        self._passing.set()
        for task, writer in list(self._open.items()):
            writer.close()
            await asyncio.wait([task])


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that there is no more, and wait until the server is done with what it was sent."""
    with suppress(ConnectionError):
        writer.write_eof()
        while await reader.read(65536):
            pass
    writer.close()


@asynccontextmanager
async def cutting(dsn: str) -> AsyncIterator[tuple[Cutter, str]]:
    """Such a proxy before the server of an address, and the address that leads through it."""
    folder = parse_qs(urlsplit(dsn).query)["host"][0]
    cutter = Cutter(f"{folder}/.s.PGSQL.5432")
    listener = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield cutter, f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
        listener.close()
        await cutter.close()
