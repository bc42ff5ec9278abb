"""What an event is called in logs, templates and reasons: its name in snake case."""

import re
from functools import cache

__all__ = ["snake_name"]

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@cache
def snake_name(name: str) -> str:
    """The stored name of an event in snake case, without the suffix `Event`.

    `ProviderConnectionSucceeded` is `provider_connection_succeeded`, `SessionCreatedEvent` is
    `session_created`.
    """
    return _WORD_STARTS.sub("_", name.removesuffix("Event") or name).lower()
