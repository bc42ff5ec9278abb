"""What becomes of an event whose handler fails: tried again, set aside, or the end of it all."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from enum import StrEnum

import attrs

from dashtam_events.errors import CodecError
from dashtam_events.subscriptions.checkpoint import ParkedState

__all__ = ["FailureWindow", "Parking", "Retry", "Verdict", "classify"]

_MISTAKES = (
    *(CodecError, ArithmeticError, AssertionError, AttributeError, LookupError, NameError),
    *(NotImplementedError, TypeError, ValueError),
)
# One event that fails in a busy stream may have many behind it; it must not stop all others.
_MOST = 0.5
# A partition may hold hardly more than one stream: one or two that fail then have all behind them.
_FEWEST_FAILED = 3


class Verdict(StrEnum):
    """Whether trying again may help."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"


def classify(error: Exception) -> Verdict:
    """Permanent: what is a mistake in the code or in the event, and comes again each time.

    These are the built-in errors of types, names, values, look-ups and arithmetic, failed
    assertions, and events that cannot be decoded. Everything else may pass; so may an OSError
    that is one of them too, such as that of a certificate that has run out.
    """
    is_mistake = isinstance(error, _MISTAKES) and not isinstance(error, OSError)
    return Verdict.PERMANENT if is_mistake else Verdict.TRANSIENT


@attrs.frozen(kw_only=True)
class Retry:
    """How often a handler is tried, and how long apart.

    A permanent error is not tried again; a transient one up to `attempts` times in all. The
    first pause lasts `first` seconds, each one twice as long as the one before, `most` at the
    longest; half of each is left to chance, so that many subscribers do not come back together.
    While an event is tried again, those behind it wait.
    """

    attempts: int = attrs.field(default=10, validator=attrs.validators.ge(1))
    first: float = attrs.field(default=0.1, validator=attrs.validators.ge(0))
    most: float = attrs.field(default=5.0, validator=attrs.validators.ge(0))
    classify: Callable[[Exception], Verdict] = classify
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random

    def pause(self, attempt: int) -> float:
        """The seconds to wait after an attempt, counted from 1."""
        whole = min(self.most, self.first * 2.0 ** min(attempt - 1, 60))
        return whole * (0.5 + self.random() / 2)

    def gives_up(self, error: Exception, attempt: int) -> bool:
        """Whether an attempt was the last."""
        return attempt >= self.attempts or self.classify(error) is Verdict.PERMANENT


@attrs.frozen(kw_only=True)
class Parking:
    """What happens around an event that is set aside.

    With `stream_waits` later events of its stream are set aside behind it, so that a stream is
    always dealt with in order; without, they go on. The subscription stops where, of the last
    `window` events that it came to, more than the share `limit` failed, and at least `at_least`.
    It also stops where three or more failed, each in a stream of its own, and with those that
    wait behind them they are more than half (or `limit`, if that is greater), and at least
    `at_least`. In a consumer group each partition counts its own events. What the store of
    checkpoints has as parked counts also after a start: replay it or drop it, or raise `limit`,
    to go on. With a limit of 1 it never stops.
    """

    stream_waits: bool = True
    limit: float = attrs.field(default=0.1, validator=attrs.validators.ge(0))
    at_least: int = attrs.field(default=10, validator=attrs.validators.ge(1))
    window: int = attrs.field(default=200, validator=attrs.validators.ge(1))


class FailureWindow:
    """How the latest events ended."""

    def __init__(self, parking: Parking) -> None:
        self._parking = parking
        self._latest: deque[ParkedState | None] = deque(maxlen=parking.window)
        self._ended: Counter[ParkedState | None] = Counter()

    def add(self, state: ParkedState | None) -> None:
        """Count one more event: how it was set aside, None where it was dealt with."""
        if len(self._latest) == self._latest.maxlen:
            self._ended[self._latest[0]] -= 1
        self._latest.append(state)
        self._ended[state] += 1

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return self._ended[ParkedState.FAILED]

    @property
    def waiting(self) -> int:
        """How many were set aside behind those."""
        return self._ended[ParkedState.WAITING]

    @property
    def dealt(self) -> int:
        """How many they are."""
        return len(self._latest)

    @property
    def is_over(self) -> bool:
        """Whether too many of them were set aside."""
        limit, aside = self._parking.limit, self.failed + self.waiting
        if self._is_over(self.failed, limit):
            return True
        return self.failed >= _FEWEST_FAILED and self._is_over(aside, max(limit, _MOST))

    def _is_over(self, number: int, limit: float) -> bool:
        return number >= self._parking.at_least and number > limit * self.dealt
