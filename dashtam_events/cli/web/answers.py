"""Answers in JSON, and problems as RFC 9457 describes them."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dashtam_events.sse import encode_data

__all__ = ["BadBody", "answer", "body_of", "problem"]

_MOST_BYTES = 4096
_NOT_KEPT = {"cache-control": "no-store"}


class BadBody(Exception):
    """The body of a request is not what the page sends."""


def answer(content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    """An object of JSON, written as the data of a server-sent event is."""
    return _json(content, status, "application/json")


def problem(status: HTTPStatus, detail: str, **more: Any) -> Response:
    """Why it was not done (RFC 9457)."""
    told = {"title": status.phrase, "status": status.value, "detail": detail} | more
    return _json(told, status, "application/problem+json")


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that a request holds.

    Raises:
        BadBody: it holds none, or a larger one than any page sends.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise BadBody
    try:
        body_object = json.loads(body)
    except (ValueError, RecursionError):
        raise BadBody from None
    if not isinstance(body_object, dict):
        raise BadBody
    return body_object


def _json(content: Mapping[str, Any], status: HTTPStatus, kind: str) -> Response:
    return Response(encode_data(content), status, headers=_NOT_KEPT, media_type=kind)
