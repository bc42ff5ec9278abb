"""What keeps other pages, and other machines, away from a server on this one."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE = frozenset({"GET", "HEAD"})
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Answers requests that name this machine and, where they change something, come from here.

    The name is looked at because a page elsewhere can have its own name lead to this machine; the
    origin because any page can send a form to any address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if _name_in(f"//{headers.get('host', '')}") not in _HOSTS:
            refused = PlainTextResponse("this page is for this machine alone", 421)
            await refused(scope, receive, guarded)
        elif scope["method"] not in _SAFE and not _is_from_here(headers):
            refused = PlainTextResponse("a page of another origin may not do that", 403)
            await refused(scope, receive, guarded)
        else:
            await self._app(scope, receive, guarded)


def _name_in(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_from_here(headers: Headers) -> bool:
    """Every browser names the origin of a request that changes something."""
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    return headers.get("origin") == f"http://{headers.get('host')}"
