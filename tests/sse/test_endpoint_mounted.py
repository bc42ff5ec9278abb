"""The endpoint inside of the frameworks that people use, with their own lifespans."""

import asyncio
from typing import Any
from uuid import uuid4

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount, Route

from dashtam_events import InMemoryEventStore
from dashtam_events.sse import SSEEndpoint
from tests.sse.serving import (
    NOTES,
    Client,
    NoteWritten,
    authenticate,
    enough,
    eventually,
    served,
    write,
)


async def passed_on(request: Any, call_next: Any) -> Any:
    """A middleware that does nothing, in a task of its own."""
    return await call_next(request)


def in_starlette(endpoint: SSEEndpoint) -> Any:
    return Starlette(routes=[Route("/events", endpoint)], lifespan=endpoint.lifespan)


def mounted(endpoint: SSEEndpoint) -> Any:
    return Starlette(routes=[Mount("/events", endpoint)], lifespan=endpoint.lifespan)


def behind_middleware(endpoint: SSEEndpoint) -> Any:
    between = [Middleware(BaseHTTPMiddleware, dispatch=passed_on)]
    routes = [Route("/events", endpoint)]
    return Starlette(routes=routes, middleware=between, lifespan=endpoint.lifespan)


def in_fastapi(endpoint: SSEEndpoint) -> Any:
    app = fastapi.FastAPI(lifespan=endpoint.lifespan)
    app.mount("/events", endpoint)
    return app


@pytest.mark.parametrize("build", [in_starlette, mounted, behind_middleware, in_fastapi])
async def test_it_streams_and_ends_with_the_server(build: Any) -> None:
    me, store = uuid4(), InMemoryEventStore(registry=NOTES)
    endpoint = SSEEndpoint(authenticate=authenticate, store=store, send_timeout=60)
    async with served(build(endpoint), lifespan="on") as port:
        client = Client(port=port, user_id=me, path="events/")
        reading = asyncio.create_task(client.run(enough(50)))
        await eventually(lambda: endpoint.counters.open == 1)
        for number in range(50):
            await write(store, [NoteWritten(user_id=me, number=number)])
        await reading
        await eventually(lambda: endpoint.counters.open == 0)
    assert client.numbers == list(range(50))
    assert client.opened == 1


@pytest.mark.parametrize("build", [in_starlette, behind_middleware])
async def test_a_client_that_takes_nothing_is_cut_off_behind_them_too(build: Any) -> None:
    me, store = uuid4(), InMemoryEventStore(registry=NOTES)
    endpoint = SSEEndpoint(authenticate=authenticate, store=store, send_timeout=0.2)
    await write(store, [NoteWritten(user_id=me, number=n, text="x" * 50_000) for n in range(300)])
    stuck = asyncio.Event()

    async def send(message: Any) -> None:
        if len(message.get("body", b"")) > 10_000:
            await stuck.wait()

    async def receive() -> Any:
        await stuck.wait()

    headers = [(b"x-user", str(me).encode()), (b"last-event-id", b"at-0")]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/events",
        "headers": headers,
        "query_string": b"",
    }
    serving = asyncio.create_task(build(endpoint)(scope, receive, send))
    await eventually(lambda: endpoint.counters.ended["slow"] == 1, within=4.5)
    stuck.set()
    await asyncio.wait([serving])
