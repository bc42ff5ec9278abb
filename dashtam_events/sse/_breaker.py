"""Not asking again and again who does not answer: a circuit breaker."""

from time import monotonic

__all__ = ["CircuitBreaker"]


class CircuitBreaker:
    """Open after a failure: for a while nobody asks, then one does, and the others go on not to.

    Args:
        rest: seconds after a failure for which nobody asks.
        longest: seconds that one who asks may take.
    """

    def __init__(self, *, rest: float, longest: float) -> None:
        self._rest, self._longest = rest, longest
        self._retry_at: float | None = None
        self.failure: str = ""

    def allows(self) -> bool:
        """Whether to ask. Who is told so reports how it went, unless it was cancelled."""
        if self._retry_at is None:
            return True
        instant = monotonic()
        if instant < self._retry_at:
            return False
        self._retry_at = instant + self._longest + self._rest
        return True

    def fail(self, failure: str) -> None:
        """There was no answer; `failure` is kept for those who are not allowed to ask."""
        self._retry_at, self.failure = monotonic() + self._rest, failure

    def succeed(self) -> None:
        """There was an answer: everybody asks."""
        self._retry_at = None
