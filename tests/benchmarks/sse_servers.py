"""The servers that the SSE benchmark compares: `python sse_servers.py NAME`; each says its port.

Each tells all its clients the same events, of six fields, when it is asked to: `POST /tell?n=100`.
"""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

sys.path.append(str(Path(__file__).parents[2]))

import uvicorn  # the path to these files comes first

from dashtam_events import SSE, DomainEvent, EventRegistry, InMemoryEventStore, StreamId, event
from dashtam_events.sse import ServerSentEvent, SSEEndpoint, SSEHub

EVERYBODY = UUID("8c0f5d5e-5b0f-4a52-9f6b-2f3b1c6a7d10")
FIELDS: dict[str, Any] = {
    "connection_id": "0190a9a0-0000-7000-8000-000000000000",
    "provider_slug": "schwab",
    "account_count": 7,
    "progress_percent": 50,
    "file_name": "statement.qfx",
    "note": "nightly sync, nothing unusual",
}

Tell = Callable[[int], Coroutine[Any, Any, None]]


@event(category="bench", sse=SSE("bench.told", *FIELDS))
class Told(DomainEvent):
    """What everybody is told."""

    user_id: UUID
    connection_id: str
    provider_slug: str
    account_count: int
    progress_percent: int
    file_name: str
    note: str


class Queues:
    """What the others' endpoints read from: a queue for each connection."""

    def __init__(self) -> None:
        self.all: set[asyncio.Queue[tuple[str, str]]] = set()

    async def tell(self, count: int) -> None:
        """Tell everybody; the JSON is made once, which is kind to whoever would make it often."""
        for _ in range(count):
            data = json.dumps(FIELDS)
            for queue in self.all:
                queue.put_nowait((str(uuid4()), data))
            await asyncio.sleep(0)

    async def listen(self) -> AsyncIterator[tuple[str, str]]:
        """The events for one connection."""
        queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.all.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.all.discard(queue)


async def everybody(scope: Any) -> UUID:
    """All clients are one user."""
    return EVERYBODY


def ours_from_a_hub() -> tuple[Any, Tell]:
    """Events published directly."""
    hub = SSEHub()

    async def tell(count: int) -> None:
        for _ in range(count):
            shown = ServerSentEvent(event_type="bench.told", user_id=EVERYBODY, data=FIELDS)
            await hub.publish(shown)
            await asyncio.sleep(0)

    return SSEEndpoint(authenticate=everybody, subscriber=hub, max_per_user=10_000), tell


def ours_from_a_store() -> tuple[Any, Tell]:
    """Events appended to a store, from where they can be resumed."""
    store = InMemoryEventStore(registry=EventRegistry([Told]))

    async def tell(count: int) -> None:
        for _ in range(count):
            await store.append(StreamId("bench", "all"), [Told(user_id=EVERYBODY, **FIELDS)])
            await asyncio.sleep(0)

    return SSEEndpoint(authenticate=everybody, store=store, max_per_user=10_000), tell


def of_sse_starlette() -> tuple[Any, Tell]:
    """EventSourceResponse of sse-starlette."""
    from sse_starlette import EventSourceResponse
    from sse_starlette import ServerSentEvent as Theirs
    from starlette.applications import Starlette
    from starlette.routing import Route

    queues = Queues()

    async def endpoint(request: Any) -> Any:
        async def told() -> AsyncIterator[Any]:
            async for event_id, data in queues.listen():
                yield Theirs(data=data, event="bench.told", id=event_id, sep="\n")

        return EventSourceResponse(told())

    return Starlette(routes=[Route("/", endpoint)]), queues.tell


def of_fastapi() -> tuple[Any, Tell]:
    """EventSourceResponse of FastAPI itself."""
    from fastapi import FastAPI
    from fastapi.sse import EventSourceResponse
    from fastapi.sse import ServerSentEvent as Theirs

    queues, app = Queues(), FastAPI()

    @app.get("/", response_class=EventSourceResponse)
    async def endpoint() -> AsyncIterator[Theirs]:
        async for event_id, data in queues.listen():
            yield Theirs(raw_data=data, event="bench.told", id=event_id)

    return app, queues.tell


def of_streaming_response() -> tuple[Any, Tell]:
    """StreamingResponse of FastAPI, the frames made by hand."""
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    queues, app = Queues(), FastAPI()

    @app.get("/")
    async def endpoint() -> StreamingResponse:
        async def told() -> AsyncIterator[str]:
            async for event_id, data in queues.listen():
                yield f"id: {event_id}\nevent: bench.told\ndata: {data}\n\n"

        return StreamingResponse(told(), media_type="text/event-stream")

    return app, queues.tell


SERVERS: dict[str, Callable[[], tuple[Any, Tell]]] = {
    "ours, from a hub": ours_from_a_hub,
    "ours, from a store": ours_from_a_store,
    "sse-starlette": of_sse_starlette,
    "FastAPI, EventSourceResponse": of_fastapi,
    "FastAPI, StreamingResponse": of_streaming_response,
}


def with_tell(app: Any, tell: Tell) -> Any:
    """The application, and beside it the way to ask for events."""
    telling: set[asyncio.Task[None]] = set()

    async def both(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or scope["path"] != "/tell":
            await app(scope, receive, send)
            return
        task = asyncio.create_task(tell(int(scope["query_string"].removeprefix(b"n="))))
        telling.add(task)
        task.add_done_callback(telling.discard)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return both


def main(name: str) -> None:
    """Serve until a signal comes."""
    app, tell = SERVERS[name]()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        options: dict[str, Any] = {"log_config": None, "timeout_graceful_shutdown": 5}
        server = uvicorn.Server(uvicorn.Config(with_tell(app, tell), backlog=4096, **options))
        print(listening.getsockname()[1], flush=True)
        asyncio.run(server.serve(sockets=[listening]))


if __name__ == "__main__":
    main(sys.argv[1])
