"""What a subscription says about itself: how it is, and what it just did."""

import contextlib
import inspect
import traceback
from collections.abc import Callable
from enum import StrEnum
from types import CodeType

import attrs

from dashtam_events._alone import raise_alone
from dashtam_events.errors import CodecError, StoreUnavailable
from dashtam_events.recorded import Position
from dashtam_events.subscriptions.errors import CheckpointUnavailable, InboxUnavailable

__all__ = ["ErrorPlace", "GroupHealth", "Health", "Observer"]
__all__ += ["Signal", "SignalKind", "SubscriptionState"]

_AWAY = (CheckpointUnavailable, InboxUnavailable, StoreUnavailable)
_MACHINERY = {contextlib.__file__}


class SubscriptionState(StrEnum):
    """What a subscription is doing.

    `IDLE`: it was not started. `RUNNING`: it deals with events, or waits for more. `RETRYING`: a
    handler, the store or the checkpoints failed, and it will try again. `STOPPED`: it was
    stopped or cancelled. `FAILED`: an error ended it.
    """

    IDLE = "idle"
    RUNNING = "running"
    RETRYING = "retrying"
    STOPPED = "stopped"
    FAILED = "failed"


@attrs.frozen
class ErrorPlace:
    """An error by its class and by where it was raised; its text may hold values and is left out.

    `place` is `module.function:line`, or the path in an event that cannot be read. `reason` names
    what is underneath where a store, an inbox or the checkpoints are away, such as the class and
    the code of the error of the driver.
    """

    type: str
    place: str
    reason: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> "ErrorPlace":
        """The class and the innermost place of an error."""
        kind = type(error)
        name = kind.__qualname__
        if kind.__module__ not in ("builtins", "dashtam_events.errors"):
            name = f"{kind.__module__}.{name}"
        return cls(name, _place(error), error.reason if isinstance(error, _AWAY) else None)


def _place(error: BaseException) -> str:
    path = getattr(error, "path", None)
    if isinstance(error, CodecError) and isinstance(path, str):
        return path
    places = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if places and places[-1][0].f_code is raise_alone.__code__:
        # It stands for an error of somebody else: what was tried is the place, not the turning.
        while len(places) > 1 and _turns_errors(places[-1][0].f_code):
            places.pop()
    if not places:
        return "unknown"
    frame, line = places[-1]
    return f"{frame.f_globals.get('__name__', 'unknown')}.{frame.f_code.co_qualname}:{line}"


def _turns_errors(code: CodeType) -> bool:
    """Whether this is of a context manager that raises errors of ours in the place of others."""
    is_generator = code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR)
    return bool(is_generator) or code is raise_alone.__code__ or code.co_filename in _MACHINERY


@attrs.frozen(kw_only=True)
class Health:
    """How a subscription is.

    `position` is how far it has come. `lag_events` is the most that can be ahead of it:
    positions may leave gaps, and events that are not wanted count too; it is 0 where there are
    none. `lag_seconds` is for how long the next wanted event has been recorded: 0.0 where there
    is none, None where it cannot be read. `parked_streams` counts the streams of which an event
    is set aside.
    """

    state: SubscriptionState
    position: Position | None
    lag_events: int
    lag_seconds: float | None
    parked_streams: int
    last_error: ErrorPlace | None


@attrs.frozen(kw_only=True)
class GroupHealth:
    """How a member of a consumer group is, and the partitions that it holds.

    `members` counts those that were alive when it last looked, itself among them. `position` is
    that of the partition which is furthest behind, and so are `lag_events` and `lag_seconds`;
    where it holds none, it is None, and they are 0. All else is as in `Health`.
    """

    state: SubscriptionState
    member: str
    members: int
    partitions: frozenset[int]
    position: Position | None
    lag_events: int
    lag_seconds: float | None
    parked_streams: int
    last_error: ErrorPlace | None


class SignalKind(StrEnum):
    """What a subscription tells its observer of.

    `HANDLED`: an event was dealt with, in so many seconds. `RETRYING`: it failed, and is tried
    again after so many. `PARKED`: it was set aside. `SAVED`: the checkpoint was moved. `FAILED`:
    the store or the checkpoints cannot be reached, or the subscription ends.
    """

    HANDLED = "handled"
    RETRYING = "retrying"
    PARKED = "parked"
    SAVED = "saved"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class Signal:
    """One thing that a subscription did; what does not apply is None.

    `partition` is that of a consumer group.
    """

    kind: SignalKind
    subscription: str
    partition: int | None = None
    position: Position | None = None
    event_type: str | None = None
    seconds: float | None = None
    error: ErrorPlace | None = None


Observer = Callable[[Signal], None]
"""Called in the subscription's task for each signal; it counts, and returns at once."""
