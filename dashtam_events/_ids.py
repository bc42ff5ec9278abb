"""The one place that mints identifiers."""

from uuid import UUID

from uuid_utils.compat import uuid7

__all__ = ["new_id"]


def new_id() -> UUID:
    """A new UUID of version 7 (RFC 9562, 5.7): it sorts by the time it was made."""
    return uuid7()
