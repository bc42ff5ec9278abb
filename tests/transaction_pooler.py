"""A pooler that hands each transaction to another connection of the server, as PgBouncer may."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

__all__ = ["message", "packed", "pooled"]

_STARTUP = b"user\0postgres\0database\0postgres\0\0"
_Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next message of the protocol: its kind, and what is in it."""
    kind, length = struct.unpack("!cI", await reader.readexactly(5))
    return kind, await reader.readexactly(length - 4)


def packed(kind: bytes, body: bytes) -> bytes:
    """A message as it travels."""
    return struct.pack("!cI", kind, len(body) + 4) + body


class _Client:
    """One client; it has a connection of the server for as long as its transaction lasts."""

    def __init__(self, free: "asyncio.Queue[_Pair]", to_client: asyncio.StreamWriter) -> None:
        self._free, self._to_client = free, to_client
        self._server: _Pair | None = None
        self._awaited = 0
        self._answering: asyncio.Task[None] | None = None

    async def send(self, kind: bytes, body: bytes) -> None:
        if self._server is None:
            self._server = await self._free.get()
            self._answering = asyncio.create_task(self._answer(self._server))
        self._awaited += kind in b"QS"
        self._server[1].write(packed(kind, body))

    async def _answer(self, server: _Pair) -> None:
        while True:
            kind, body = await message(server[0])
            self._to_client.write(packed(kind, body))
            self._awaited -= kind == b"Z"
            if (kind, body, self._awaited) == (b"Z", b"I", 0):
                self._server = None
                self._free.put_nowait(server)
                return


class _Pooler:
    def __init__(self) -> None:
        self._free: asyncio.Queue[_Pair] = asyncio.Queue()
        self._greeting = b""

    async def connect(self, path: str) -> None:
        """One more connection to the server, which must not ask for a password."""
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(struct.pack("!II", len(_STARTUP) + 8, 196608) + _STARTUP)
        self._greeting, kind = b"", b""
        while kind != b"Z":
            kind, body = await message(reader)
            self._greeting += packed(kind, body)
        self._free.put_nowait((reader, writer))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(self._free, writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            await reader.readexactly(length - 4)
            writer.write(self._greeting)
            kind = b""
            while kind != b"X":
                kind, body = await message(reader)
                if kind != b"X":
                    await client.send(kind, body)
        writer.close()

    async def close(self) -> None:
        while not self._free.empty():
            _, writer = self._free.get_nowait()
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def pooled(dsn: str, connections: int = 3) -> AsyncIterator[str]:
    """The address of a pooler before the server of an address."""
    folder = parse_qs(urlsplit(dsn).query)["host"][0]
    pooler = _Pooler()
    for _ in range(connections):
        await pooler.connect(f"{folder}/.s.PGSQL.5432")
    listener = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"
    await pooler.close()
