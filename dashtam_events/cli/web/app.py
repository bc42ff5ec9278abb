"""The service behind the page: commands in, a snapshot and a live stream out."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from dashtam_events._ids import new_id
from dashtam_events.cli.story import DEMO_USER
from dashtam_events.cli.web.answers import BadBody, answer, body_of, problem
from dashtam_events.cli.web.appended import CATEGORIES, AppendedEvent
from dashtam_events.cli.web.commands import refusal
from dashtam_events.cli.web.guard import Guard
from dashtam_events.cli.web.ledger import Ledger
from dashtam_events.cli.web.page import STATIC, page
from dashtam_events.cli.web.trail import following_trail
from dashtam_events.errors import AggregateNotFound, InvalidCursor
from dashtam_events.recorded import EventMetadata
from dashtam_events.sse import SSEEndpoint

__all__ = ["create_app"]

_RECENT, _AUDITED = 100, 25
_LONGEST_MARK = 64
_VERSION = re.compile("[1-9][0-9]{0,8}")


def create_app(path: Path, *, pause: float = 0.4) -> Starlette:
    """The page and its service, on the store in a file; the audit trail is kept beside it.

    Args:
        path: the file; it is created where it is missing.
        pause: seconds that an import rests at each step, so that a person can follow it.
    """
    routes = [
        Route("/", _index),
        Route("/live", _live_app),
        Route("/api/snapshot", _snapshot),
        Route("/api/position", _position),
        Route("/api/audit", _audit),
        Route("/api/syncs", _syncs),
        Route("/api/connections", _begin, methods=["POST"]),
        Route("/api/connections/{id:uuid}", _connection),
        Route("/api/connections/{id:uuid}/{command:str}", _command, methods=["POST"]),
        Route("/api/imports", _import, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard)],
        lifespan=_lifespan(path, pause),
        exception_handlers={AggregateNotFound: _not_found, BadBody: _bad_request},
    )


def _lifespan(path: Path, pause: float) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None, None]:
        async with (
            Ledger.open(path, pause=pause) as ledger,
            following_trail(ledger.store, path.with_suffix(".audit.db")) as trail,
        ):
            live = _endpoint(ledger)
            app.state.ledger, app.state.trail, app.state.live = ledger, trail, live
            async with live.lifespan():
                yield

    return lifespan


def _endpoint(ledger: Ledger) -> SSEEndpoint:
    return SSEEndpoint(
        authenticate=_authenticate,
        store=ledger.store,
        event_class=AppendedEvent,
        categories=CATEGORIES,
        retry=1.0,
        poll=0.5,
    )


async def _authenticate(_scope: MutableMapping[str, Any]) -> UUID:
    # Where a service looks up the session that the cookie of the request names.
    return DEMO_USER


def _metadata(request: Request, body: Mapping[str, Any]) -> EventMetadata:
    """In what circumstances a request had something happen; the page may name the correlation."""
    named = body.get("correlation_id")
    if named is not None and not (isinstance(named, str) and len(named) <= _LONGEST_MARK):
        raise BadBody
    return EventMetadata(
        correlation_id=named or str(new_id()),
        ip_address=request.client.host if request.client else None,
        user_agent=request.headers.get("user-agent", "")[:200] or None,
    )


async def _index(_request: Request) -> Response:
    return HTMLResponse(page(), headers={"cache-control": "no-store"})


class _Live:
    """The endpoint, which exists only while the application runs."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["app"].state.live(scope, receive, send)


_live_app = _Live()


async def _snapshot(request: Request) -> Response:
    # Asked for before the log is read: what comes meanwhile is after the last event that is read.
    end = await request.app.state.live.cursor()
    snapshot = await request.app.state.ledger.snapshot(recent=_RECENT)
    return answer(snapshot | {"cursor": snapshot.pop("last_event_id") or end})


async def _position(request: Request) -> Response:
    position = await request.app.state.ledger.store.last_position()
    return answer({"position": position or 0})


async def _audit(request: Request) -> Response:
    try:
        found = await request.app.state.trail.page(
            limit=_AUDITED, cursor=request.query_params.get("cursor"), user_id=DEMO_USER
        )
    except InvalidCursor:
        return problem(HTTPStatus.BAD_REQUEST, "there is no such page of the audit trail")
    shown = ("id", "occurred_at", "action", "outcome", "resource_type", "resource_id")
    more = ("event_id", "ip_address", "correlation_id", "leaf_hash")
    records = [{name: getattr(each, name) for name in shown + more} for each in found.records]
    return answer({"records": records, "next": found.next})


async def _syncs(request: Request) -> Response:
    return answer(await request.app.state.ledger.syncs())


async def _connection(request: Request) -> Response:
    version = request.query_params.get("at_version", "")
    if not _VERSION.fullmatch(version):
        return problem(HTTPStatus.BAD_REQUEST, "at_version is a number of events, from 1")
    ledger: Ledger = request.app.state.ledger
    return answer(await ledger.connection_at(request.path_params["id"], int(version)))


async def _begin(request: Request) -> Response:
    body = await body_of(request)
    slug, alias = body.get("provider_slug"), body.get("alias") or None
    if not isinstance(slug, str) or not isinstance(alias, str | None):
        raise BadBody
    try:
        begun = await request.app.state.ledger.begin(slug, alias, _metadata(request, body))
    except ValueError as error:
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    return answer({"id": begun}, HTTPStatus.CREATED)


async def _command(request: Request) -> Response:
    ledger: Ledger = request.app.state.ledger
    name = request.path_params["command"]
    metadata = _metadata(request, await body_of(request))
    try:
        refused = refusal(await ledger.command(request.path_params["id"], name, metadata))
    except KeyError:
        return problem(HTTPStatus.NOT_FOUND, "there is no such command")
    if refused is not None:
        return problem(HTTPStatus.CONFLICT, refused)
    return answer({"correlation_id": metadata.correlation_id})


async def _import(request: Request) -> Response:
    body = await body_of(request)
    metadata = _metadata(request, body)
    try:
        stream = request.app.state.ledger.imports.begin(body.get("statement"), metadata)
    except KeyError:
        return problem(HTTPStatus.NOT_FOUND, "there is no such statement")
    return answer({"stream": str(stream)}, HTTPStatus.ACCEPTED)


async def _not_found(_request: Request, _error: Exception) -> Response:
    return problem(HTTPStatus.NOT_FOUND, "there is no such connection")


async def _bad_request(_request: Request, _error: Exception) -> Response:
    return problem(HTTPStatus.BAD_REQUEST, "the body is not what this page sends")
