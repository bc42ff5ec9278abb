"""Time and ids that stand still, so that a test can write down what it expects."""

from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID

__all__ = ["HeldClock", "HeldIds"]

_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class HeldClock:
    """A clock that shows one instant (aware, UTC) until it is moved."""

    def __init__(self, instant: datetime = _NOON) -> None:
        self.instant: datetime = instant

    def now(self, zone: tzinfo | None = UTC) -> datetime:
        """The instant it shows."""
        return self.instant.astimezone(zone)

    def advance(self, by: timedelta) -> datetime:
        """Move it on, or back; returns the instant it shows then."""
        self.instant += by
        return self.instant


class HeldIds:
    """Ids of version 7 that count from 1: `00000000-0000-7000-8000-000000000001` is the first."""

    def __init__(self) -> None:
        self._given = 0

    def __call__(self) -> UUID:
        """The next id."""
        self._given += 1
        return self.nth(self._given)

    def nth(self, number: int) -> UUID:
        """The id that is given out as the nth, counted from 1."""
        return UUID(int=0x7 << 76 | 0x2 << 62 | number)
