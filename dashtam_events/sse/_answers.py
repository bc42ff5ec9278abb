"""The answers to a request that are no stream, and the head of those that are."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

__all__ = ["bad_query", "last", "method_not_allowed", "stream_headers", "unauthorized"]

_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Headers = list[tuple[bytes, bytes]]

_STREAM: _Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


async def _start(send: _Send, status: int, headers: _Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def last(send: _Send, body: bytes) -> None:
    """The whole of a body, or the last of it."""
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def stream_headers(send: _Send) -> None:
    """A stream follows; no proxy is to keep or to hold back any of it."""
    await _start(send, 200, [*_STREAM])


async def _problem(
    send: _Send, status: int, title: str, headers: _Headers, **further: object
) -> None:
    """An answer as RFC 9457 has it."""
    body = msgspec.json.encode({"title": title, "status": status} | further)
    kind = (b"content-type", b"application/problem+json")
    size = (b"content-length", str(len(body)).encode())
    await _start(send, status, [kind, size, (b"cache-control", b"no-store"), *headers])
    await last(send, body)


async def unauthorized(send: _Send) -> None:
    """Nobody is signed in. A browser does not come back by itself after this."""
    await _problem(send, 401, "sign in first", [(b"www-authenticate", b"Bearer")])


async def method_not_allowed(send: _Send) -> None:
    """A stream is read, and nothing else."""
    await _problem(send, 405, "only GET and HEAD", [(b"allow", b"GET, HEAD")])


async def bad_query(send: _Send, reason: str, known: list[str]) -> None:
    """The query cannot be served; here is what can be asked for."""
    await _problem(send, 400, reason, [], known_categories=known)
