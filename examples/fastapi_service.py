"""A service with FastAPI: connections by HTTP, an audit trail, and live updates in the browser.

It has two databases, and no transaction spans both:

- `events.db`, the event store, holds the connections. The events of a command and the credentials
  that they belong to are stored together or not at all, and browsers are shown what is there.
- `service.db`, SQLAlchemy's, holds the audit trail and whatever else the service keeps. All that a
  request writes in its session is committed together or not at all.

`Call.record` therefore goes in this order: audit rows, events, commit. A command that is refused
or that loses a race leaves nothing in either. A process that dies just before the commit leaves
events without audit rows; `catch_up` adds those at the next start. Logs come after the commit.

Run it to see it at work, on files in a temporary folder. With `--serve` it stays at
http://127.0.0.1:8000, where `ann-token` is a bearer token that it knows.
"""

import asyncio
import logging
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4, uuid5

import attrs
import httpx
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from returns.pipeline import is_successful
from returns.result import Result
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Route

from dashtam_events import (
    CATALOGUE,
    AggregateNotFound,
    ConnectionRepository,
    CredentialType,
    InMemoryEventBus,
    ProviderConnection,
    ProviderConnectionError,
    ProviderCredentials,
    Relay,
    SQLiteEventStore,
    SSEEvent,
    SSEEventCategory,
    VersionConflict,
)
from dashtam_events.adapters.audit import AuditEventHandler, AuditLog, create_audit_tables
from dashtam_events.adapters.logging import LoggingEventHandler
from dashtam_events.adapters.wiring import wire
from dashtam_events.bus.session import real_savepoints
from dashtam_events.sse import SSEEndpoint

PROVIDERS = uuid4()
# A real service verifies signed tokens.
TOKENS = {"ann-token": uuid4(), "bob-token": uuid4()}


async def user_of(scope: MutableMapping[str, Any]) -> UUID | None:
    """Whose bearer token a request carries; the API and the live stream both ask this."""
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    return TOKENS.get(token) if scheme.lower() == "bearer" else None


class Service:
    """What all requests share: the two databases, the bus, and the live stream."""

    def __init__(self, folder: Path) -> None:
        self.store = SQLiteEventStore(folder / "events.db", registry=CATALOGUE)
        self.connections = ConnectionRepository(self.store)
        self.live = SSEEndpoint(
            authenticate=user_of,
            store=self.store,
            event_class=SSEEvent,
            categories=SSEEventCategory,
        )
        url = f"sqlite+aiosqlite:///{folder / 'service.db'}"
        self.engine = real_savepoints(create_async_engine(url))
        self.sessions = async_sessionmaker(self.engine)
        self.bus = InMemoryEventBus()
        wiring = wire(self.bus, CATALOGUE, logging=LoggingEventHandler(), audit=AuditEventHandler())
        # There is no mail and no login here, and the live stream reads the store itself.
        wiring.check(without=("email", "sessions", "sse"))

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncGenerator[None]:
        """Open everything, and close it in the end."""
        try:
            await create_audit_tables(self.engine)
            async with self.store, self.live.lifespan():
                await self.catch_up()
                yield
                await self.bus.aclose()
        finally:
            await self.engine.dispose()

    async def catch_up(self) -> None:
        """Add the audit rows that were never committed; an event that has one keeps it."""
        bus = InMemoryEventBus()
        audit = AuditEventHandler(own_sessions=self.sessions, own=lambda _event: True)
        wire(bus, CATALOGUE, audit=audit)
        await Relay(self.store, bus).run_once()


@attrs.frozen
class Call:
    """One request: who asks, from where, and the session that is its own."""

    service: Service
    session: AsyncSession
    user: UUID
    metadata: Mapping[str, Any]

    async def connection(self, id: UUID) -> ProviderConnection:
        """One of the user's connections; those of others do not exist for them."""
        connection = await self.service.connections.get(id)
        if connection.user_id != self.user:
            raise AggregateNotFound(str(connection.stream))
        return connection

    async def record(self, connection: ProviderConnection) -> dict[str, Any]:
        """Keep what was decided and the trail of it; returns the connection as it is shown."""
        async with self.session.begin():
            for event in connection.pending_events:
                await self.service.bus.publish(event, session=self.session, metadata=self.metadata)
            await self.service.connections.save(connection, metadata=self.metadata)
        return {"id": connection.id, "alias": connection.alias, "status": connection.status}


async def call_of(request: Request) -> AsyncGenerator[Call]:
    """What FastAPI hands to each route."""
    if (user := await user_of(request.scope)) is None:
        raise HTTPException(401, "Send a bearer token.", headers={"WWW-Authenticate": "Bearer"})
    trace = request.headers.get("traceparent", "").split("-")
    metadata = {
        "ip_address": request.client.host if request.client else None,
        "user_agent": request.headers.get("user-agent"),
        "trace_id": trace[1] if len(trace) == 4 else None,
    }
    service: Service = request.app.state.service
    async with service.sessions() as session:
        yield Call(service, session, user, metadata)


class Wanted(BaseModel):
    """A connection that a user asks for."""

    provider_slug: str = Field(min_length=1, max_length=50)
    alias: str | None = Field(default=None, max_length=100)


def credentials() -> ProviderCredentials:
    """What the provider would answer, encrypted by the service."""
    return ProviderCredentials(encrypted_data=b"sealed", credential_type=CredentialType.OAUTH2)


Command = Literal["connect", "refresh", "sync", "expire", "disconnect"]
COMMANDS: Mapping[
    Command, Callable[[ProviderConnection], Result[None, ProviderConnectionError]]
] = {
    "connect": lambda connection: connection.mark_connected(credentials()),
    "refresh": lambda connection: connection.update_credentials(credentials()),
    "sync": ProviderConnection.record_sync,
    "expire": ProviderConnection.mark_expired,
    "disconnect": ProviderConnection.mark_disconnected,
}
api = APIRouter()


@api.post("/connections", status_code=201)
async def start(call: Annotated[Call, Depends(call_of)], wanted: Wanted) -> Any:
    """Begin a connection."""
    connection = ProviderConnection.start(
        user_id=call.user,
        provider_id=uuid5(PROVIDERS, wanted.provider_slug),
        provider_slug=wanted.provider_slug,
        alias=wanted.alias,
    )
    return await call.record(connection)


@api.post("/connections/{id}/{command}")
async def command(call: Annotated[Call, Depends(call_of)], id: UUID, command: Command) -> Any:
    """Give a connection a command; a refusal is its answer, not an accident."""
    connection = await call.connection(id)
    answer = COMMANDS[command](connection)
    if not is_successful(answer):
        refusal = answer.failure()
        return problem(409, refusal.value, kind=refusal.name.lower())
    return await call.record(connection)


@api.get("/audit")
async def audit(call: Annotated[Call, Depends(call_of)]) -> Any:
    """What the trail has of the user, newest first."""
    page = await AuditLog(call.service.engine).page(user_id=call.user)
    return [{"action": each.action, "ip_address": each.ip_address} for each in page.records]


def problem(
    status: int, detail: str, *, kind: str = "", headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Problem details as in RFC 9457."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase}
    if kind:
        title = kind.replace("_", " ").capitalize()
        body = {"type": f"https://example.com/problems/{kind}", "title": title}
    content = body | {"status": status, "detail": detail}
    return JSONResponse(content, status, headers, media_type="application/problem+json")


PROBLEMS: Mapping[type[Exception], tuple[int, str]] = {
    AggregateNotFound: (404, "There is no such connection."),
    VersionConflict: (409, "Somebody else was faster: look again."),
    RequestValidationError: (422, "The request is not as /docs describes it."),
}


async def as_problem(_request: Request, error: Any) -> JSONResponse:
    """Whatever else is in the way, said in the same form."""
    status, detail = PROBLEMS.get(type(error)) or (error.status_code, error.detail)
    return problem(status, detail, headers=getattr(error, "headers", None))


def create_app(folder: Path) -> FastAPI:
    """The application, its databases in a folder."""
    service = Service(folder)
    app = FastAPI(title="Connections", lifespan=service.lifespan)
    app.state.service = service
    app.include_router(api)
    app.router.routes.append(Route("/events", service.live))
    for kind in (*PROBLEMS, StarletteHTTPException):
        app.add_exception_handler(kind, as_problem)
    return app


async def ask(client: httpx.AsyncClient, method: str, path: str, **options: Any) -> Any:
    """Make a request and print what came back."""
    response = await client.request(method, path, **options)
    print(f"{method} {path} -> {response.status_code} {response.text}")
    return response.json()


async def visit(url: str) -> None:
    """Be a client for a while: of the API, and of the live stream beside it."""
    async with httpx.AsyncClient(base_url=url) as client:
        await ask(client, "GET", "/audit")
        client.headers["Authorization"] = "Bearer ann-token"
        async with client.stream("GET", "/events", params={"categories": "provider"}) as live:
            wanted = {"provider_slug": "schwab", "alias": "My IRA"}
            started = await ask(client, "POST", "/connections", json=wanted)
            for word in ("sync", "connect", "refresh", "disconnect"):
                await ask(client, "POST", f"/connections/{started['id']}/{word}")
            await ask(client, "GET", "/audit")
            async for line in live.aiter_lines():
                if line.startswith("event: "):
                    print(f"live: {line.removeprefix('event: ')}")
                if line == "event: provider.disconnected":
                    return


async def show(folder: Path) -> None:
    """Serve on a free port of this machine, visit, and stop."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app(folder), log_level="warning", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await visit(f"http://127.0.0.1:{listening.getsockname()[1]}")
        server.should_exit = True
        await serving


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, format="logged: %(message)s")
    logging.getLogger("dashtam_events").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as name:
        if "--serve" in sys.argv:
            uvicorn.run(create_app(Path(name)), ws="none")
        else:
            asyncio.run(show(Path(name)))
