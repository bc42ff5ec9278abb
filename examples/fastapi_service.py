"""A service with FastAPI: connections by HTTP, an audit trail, and live updates in the browser.

All of it is in one SQLite file, and each request has one session with one transaction: the events
of a command, its audit rows and the service's own table are committed together or not at all.
Logs and the browsers hear of it after the commit, the browsers from the store. Whatever goes wrong
is answered with problem details (RFC 9457) that quote no value.

Run it to see it at work, on a file in a temporary folder. With `--serve` it stays at
http://127.0.0.1:8000, where `ann-token` is a bearer token that it knows.
"""

import asyncio
import logging
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
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
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Route

from dashtam_events import (
    CATALOGUE,
    AggregateNotFound,
    ConnectionRepository,
    CredentialType,
    EncodingError,
    InMemoryEventBus,
    LimitExceeded,
    ProviderConnection,
    ProviderConnectionError,
    ProviderCredentials,
    SQLiteEventStore,
    SSEEvent,
    SSEEventCategory,
    StoreBusy,
    StoreUnavailable,
    VersionConflict,
)
from dashtam_events.adapters.audit import AuditEventHandler, AuditLog, create_audit_tables
from dashtam_events.adapters.logging import LoggingEventHandler
from dashtam_events.adapters.wiring import wire
from dashtam_events.bus.session import BEGIN, real_savepoints
from dashtam_events.sse import SSEEndpoint

PROVIDERS = uuid4()
# A real service verifies signed tokens.
TOKENS = {"ann-token": uuid4(), "bob-token": uuid4()}
# How many seconds a request waits for others that write.
PATIENCE = 2.0


async def user_of(scope: MutableMapping[str, Any]) -> UUID | None:
    """Whose bearer token a request carries; the API and the live stream both ask this."""
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    return TOKENS.get(token) if scheme.lower() == "bearer" else None


class Tables(DeclarativeBase):
    """The tables that are the service's own."""


class Shown(Tables):
    """A connection as its user is shown it."""

    __tablename__ = "shown_connections"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(index=True)
    alias: Mapped[str | None]
    status: Mapped[str]

    def as_json(self) -> dict[str, Any]:
        """What is answered for it."""
        return {"id": self.id, "alias": self.alias, "status": self.status}


class Service:
    """What all requests share: the database, the bus, and the live stream."""

    def __init__(self, file: Path) -> None:
        self.store = SQLiteEventStore(file, registry=CATALOGUE, busy_timeout=PATIENCE)
        self.live = SSEEndpoint(
            authenticate=user_of,
            store=self.store,
            event_class=SSEEvent,
            categories=SSEEventCategory,
        )
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{file}", connect_args={"timeout": PATIENCE}, hide_parameters=True
        )
        self.engine = real_savepoints(engine)
        self.sessions = async_sessionmaker(self.engine)
        self.bus = InMemoryEventBus()
        wiring = wire(self.bus, CATALOGUE, logging=LoggingEventHandler(), audit=AuditEventHandler())
        # There is no mail and no login here, and the live stream reads the store itself.
        wiring.check(without=("email", "sessions", "sse"))

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncGenerator[None]:
        """Open everything, and close it in the end."""
        try:
            async with self.store, self.live.lifespan():
                await create_audit_tables(self.engine)
                async with self.engine.begin() as connection:
                    await connection.run_sync(Tables.metadata.create_all)
                yield
                await self.bus.aclose()
        finally:
            await self.engine.dispose()


@attrs.frozen
class Call:
    """One request: who asks, from where, and in which session.

    All that it does with connections and tables is part of that session's transaction.
    """

    service: Service
    session: AsyncSession
    connections: ConnectionRepository
    user: UUID
    metadata: Mapping[str, Any]

    async def connection(self, id: UUID) -> ProviderConnection:
        """One of the user's connections; those of others do not exist for them."""
        connection = await self.connections.get(id)
        if connection.user_id != self.user:
            raise AggregateNotFound(str(connection.stream))
        return connection

    async def record(self, connection: ProviderConnection) -> dict[str, Any]:
        """Store what was decided, with the trail of it; returns the connection as it is shown."""
        events = connection.pending_events
        await self.connections.save(connection, metadata=self.metadata)
        for event in events:
            await self.service.bus.publish(event, session=self.session, metadata=self.metadata)
        shown = Shown(
            id=connection.id,
            user_id=connection.user_id,
            alias=connection.alias,
            status=connection.status.value,
        )
        await self.session.merge(shown)
        return shown.as_json()


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
        connections = ConnectionRepository(service.store.within(session))
        yield Call(service, session, connections, user, metadata)


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
    async with call.session.begin():
        return await call.record(connection)


@api.get("/connections")
async def connections(call: Annotated[Call, Depends(call_of)]) -> Any:
    """The user's connections."""
    # Who only reads need not wait for those who write.
    await call.session.connection(execution_options={BEGIN: "DEFERRED"})
    found = await call.session.scalars(select(Shown).where(Shown.user_id == call.user))
    return [shown.as_json() for shown in found]


@api.post("/connections/{id}/{command}")
async def command(call: Annotated[Call, Depends(call_of)], id: UUID, command: Command) -> Any:
    """Give a connection a command; a refusal is its answer, not an accident."""
    async with call.session.begin():
        connection = await call.connection(id)
        answer = COMMANDS[command](connection)
        if is_successful(answer):
            return await call.record(connection)
    refusal = answer.failure()
    return problem(409, refusal.value, kind=refusal.name.lower())


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


BUSY = (503, "The database is not available just now: try again.")
UNFIT = (422, "The request holds something that cannot be kept.")
PROBLEMS: Mapping[type[Exception], tuple[int, str]] = {
    RequestValidationError: (422, "The request is not as /docs describes it."),
    EncodingError: UNFIT,
    LimitExceeded: UNFIT,
    AggregateNotFound: (404, "There is no such connection."),
    # On SQLite the second waits for the first, and decides on what that one left; elsewhere it
    # may lose.
    VersionConflict: (409, "Somebody else was faster: look again."),
    StoreBusy: BUSY,
    StoreUnavailable: BUSY,
    OperationalError: BUSY,
    Exception: (500, "Something went wrong here."),
}


def answering(status: int, detail: str) -> Callable[[Request, Exception], Awaitable[JSONResponse]]:
    """A handler of exceptions that gives one answer, whatever they hold."""
    headers = {"Retry-After": "1"} if status == 503 else None

    async def answer(_request: Request, _error: Exception) -> JSONResponse:
        return problem(status, detail, headers=headers)

    return answer


async def refused(_request: Request, error: Any) -> JSONResponse:
    """What FastAPI and Starlette refuse, in the same form."""
    return problem(error.status_code, error.detail, headers=error.headers)


def create_app(file: Path) -> FastAPI:
    """The application, on a database file that is made where it is missing."""
    service = Service(file)
    app = FastAPI(title="Connections", lifespan=service.lifespan)
    app.state.service = service
    app.include_router(api)
    app.router.routes.append(Route("/events", service.live))
    app.add_exception_handler(StarletteHTTPException, refused)
    for kind, (status, detail) in PROBLEMS.items():
        app.add_exception_handler(kind, answering(status, detail))
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
            await ask(client, "GET", "/connections")
            await ask(client, "GET", "/audit")
            async for line in live.aiter_lines():
                if line.startswith("event: "):
                    print(f"live: {line.removeprefix('event: ')}")
                if line == "event: provider.disconnected":
                    return


async def show(file: Path) -> None:
    """Serve on a free port of this machine, visit, and stop."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app(file), log_level="warning", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await visit(f"http://127.0.0.1:{listening.getsockname()[1]}")
        server.should_exit = True
        await serving


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, format="logged: %(message)s")
    logging.getLogger("dashtam_events").setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "service.db"
        if "--serve" in sys.argv:
            uvicorn.run(create_app(file), ws="none")
        else:
            asyncio.run(show(file))
