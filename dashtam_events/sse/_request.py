"""What a client asked for, read from the scope of its request."""

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs

import attrs

__all__ = ["BadQuery", "Request", "read_request"]


class BadQuery(Exception):
    """The query cannot be served; the message says why and repeats nothing of it."""


@attrs.frozen(kw_only=True)
class Request:
    """The cursor of a client (None: it has none), and the categories it wants (None: all)."""

    cursor: str | None
    categories: frozenset[str] | None


def read_request(scope: MutableMapping[str, Any], known: frozenset[str]) -> Request:
    """What the query and the header `Last-Event-ID` ask for; the header counts for more.

    Raises:
        BadQuery: it names an unknown category, or cannot be read.
    """
    try:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=100)
    except ValueError:
        raise BadQuery("the query is too long") from None
    given = ",".join(query.get("categories", []))
    categories = frozenset(word for word in given.split(",") if word)
    if not categories <= known:
        raise BadQuery("categories= names a category that there is none of")
    cursor = _header(scope, b"last-event-id") or query.get("last_event_id", [""])[-1]
    return Request(cursor=cursor or None, categories=categories or None)


def _header(scope: MutableMapping[str, Any], name: bytes) -> str:
    found = [value for key, value in scope.get("headers", ()) if key.lower() == name]
    return found[-1].decode("latin-1") if found else ""
