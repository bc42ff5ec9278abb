"""The one place that reads the clock."""

from datetime import UTC, datetime

__all__ = ["now"]


def now() -> datetime:
    """The current instant, aware and in UTC, to the microsecond."""
    return datetime.now(UTC)
