"""A real server on loopback, a line to it that breaks, and a client that comes back."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

import attrs
import httpx
import uvicorn
from httpx_sse import aconnect_sse

from dashtam_events import SSE, DomainEvent, EventRegistry, StreamId, event
from dashtam_events.sse import SSEEndpoint
from dashtam_events.store import EventStore
from dashtam_events.testing.sse import ReceivedEvent, SSEParser

__all__ = [
    "NOTES",
    "Client",
    "NoteBurned",
    "NoteHidden",
    "NoteSmudged",
    "NoteWritten",
    "authenticate",
    "breaking_line",
    "enough",
    "eventually",
    "line_to",
    "raw_stream",
    "request",
    "served",
    "served_by",
    "write",
]


@event(category="notes", sse=SSE("note.written", "number", "text"))
class NoteWritten(DomainEvent):
    """A note was written."""

    user_id: UUID
    number: int
    text: str = ""


@event(category="notes", sse=SSE("ash.left", "number"))
class NoteBurned(DomainEvent):
    """A note was burned."""

    user_id: UUID
    number: int


@event(category="notes")
class NoteHidden(DomainEvent):
    """A note was hidden; nobody is shown that."""

    user_id: UUID


@event(category="notes", sse=SSE("note.smudged", "text"))
class NoteSmudged(DomainEvent):
    """A note became illegible. Its user is no UUID, so it cannot be shown to anybody."""

    user_id: str
    text: str


NOTES = EventRegistry([NoteWritten, NoteBurned, NoteHidden, NoteSmudged])


async def authenticate(scope: Any) -> UUID | None:
    """The user that the header names."""
    headers = dict(scope["headers"])
    return UUID(headers[b"x-user"].decode()) if b"x-user" in headers else None


async def write(store: EventStore, events: Iterable[DomainEvent], stream: str = "all") -> None:
    """Append to a stream of notes."""
    await store.append(StreamId("note", stream), events)


@asynccontextmanager
async def served(app: Any, **config: Any) -> AsyncIterator[int]:
    """Serve an ASGI application; gives the port. Ends its streams first, as a lifespan would."""
    async with served_by(app, **config) as (_, port):
        yield port


@asynccontextmanager
async def served_by(
    app: Any, *, user_timeout: int = 0, **config: Any
) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """The same, with the server; `user_timeout` is that of its sockets, in milliseconds."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    if user_timeout:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout)
    options = {"log_config": None, "lifespan": "off", "timeout_graceful_shutdown": 5} | config
    server = uvicorn.Server(uvicorn.Config(app, **options))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await eventually(lambda: server.started)
    try:
        yield server, listening.getsockname()[1]
    finally:
        if isinstance(app, SSEEndpoint):
            await app.shutdown()
        # Otherwise the streams end with their clients: the signals that end a server tell all.
        server.should_exit = True
        await serving
        listening.close()


@asynccontextmanager
async def line_to(
    port: int, *, cuts: Callable[[], int | None] = lambda: None
) -> AsyncIterator[int]:
    """A line to a port that is cut after some bytes, wherever that is in an event."""
    tasks: set[asyncio.Task[None]] = set()

    async def carry(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        towards = asyncio.create_task(_pour(client, writer, None))
        try:
            await _pour(reader, back, cuts())
        finally:
            towards.cancel()
            for end in (writer, back):
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()

    def begin(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(client, back))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def breaking_line(chance: random.Random, least: int, most: int) -> Callable[[], int]:
    """Lengths, in bytes, after which a line is cut."""
    return lambda: chance.randint(least, most)


async def _pour(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None
) -> None:
    with suppress(OSError):
        while data := await reader.read(65536 if most is None else min(65536, most)):
            writer.write(data)
            await writer.drain()
            if most is not None and (most := most - len(data)) <= 0:
                return


@attrs.define(kw_only=True)
class Client:
    """Reads as `EventSource` does: comes back after the id that it saw last, however it ended."""

    port: int
    user_id: UUID
    query: str = ""
    path: str = ""
    last_id: str = ""
    seen: list[Any] = attrs.field(factory=list)
    opened: int = 0

    async def run(self, until: Callable[["Client"], bool]) -> None:
        """Read and come back until there was enough."""
        async with httpx.AsyncClient(timeout=60, trust_env=False, follow_redirects=True) as http:
            while not until(self):
                with suppress(httpx.TransportError):
                    await self._once(http, until)

    async def _once(self, http: httpx.AsyncClient, until: Callable[["Client"], bool]) -> None:
        headers = {"x-user": str(self.user_id)}
        if self.last_id:
            headers["last-event-id"] = self.last_id
        url = f"http://127.0.0.1:{self.port}/{self.path}{self.query}"
        async with aconnect_sse(http, "GET", url, headers=headers) as source:
            self.opened += 1
            async for received in source.aiter_sse():
                assert received.id
                self.last_id = received.id
                self.seen.append(received)
                if until(self):
                    return

    @property
    def numbers(self) -> list[int]:
        """The numbers of the notes that were seen, in order."""
        return [each.json()["number"] for each in self.seen if each.event == "note.written"]

    @property
    def others(self) -> list[str]:
        """The types of all else that was seen."""
        return [each.event for each in self.seen if each.event != "note.written"]


def enough(count: int) -> Callable[[Client], bool]:
    """Until so many notes were seen."""
    return lambda client: (
        len(client.seen) >= count and len(client.seen) - len(client.others) >= count
    )


async def request(port: int, user_id: UUID, query: str = "", **headers: str) -> socket.socket:
    """Send the request of a stream over a bare socket, and read nothing yet."""
    loop = asyncio.get_running_loop()
    line = socket.socket()
    line.setblocking(False)
    await loop.sock_connect(line, ("127.0.0.1", port))
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"GET /{query} HTTP/1.1\r\nhost: here\r\nx-user: {user_id}\r\n{more}\r\n"
    await loop.sock_sendall(line, head.encode())
    return line


async def raw_stream(
    app: SSEEndpoint, user_id: UUID, until: Callable[[list[ReceivedEvent]], bool], query: str = ""
) -> tuple[bytes, list[ReceivedEvent]]:
    """The very bytes that the application sends, and what a parser by the standard makes of it."""
    parser, bodies, seen = SSEParser(), [b""], list[ReceivedEvent]()
    enough = asyncio.Event()

    async def send(message: Any) -> None:
        body = message.get("body", b"")
        bodies.append(body)
        seen.extend(parser.feed(body))
        if until(seen):
            enough.set()

    async def receive() -> dict[str, Any]:
        await enough.wait()
        return {"type": "http.disconnect"}

    headers = [(b"x-user", str(user_id).encode())]
    scope = {"type": "http", "method": "GET", "headers": headers, "query_string": query.encode()}
    await app(scope, receive, send)
    return b"".join(bodies), seen


async def eventually(true: Callable[[], bool], within: float = 30.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  # whatever it is, it has no event to wait for
            await asyncio.sleep(0.005)
