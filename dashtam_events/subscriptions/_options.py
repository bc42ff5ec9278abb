"""What a runner is set to, and the part of a log that it may be confined to."""

from collections.abc import Callable
from datetime import datetime

import attrs

from dashtam_events.recorded import Position
from dashtam_events.subscriptions._batches import Filter, Start
from dashtam_events.subscriptions._log import Log
from dashtam_events.subscriptions.checkpoint import Checkpoint
from dashtam_events.subscriptions.health import Observer
from dashtam_events.subscriptions.retrying import Parking, Retry

__all__ = ["Options", "Part", "checked_name"]

_LONGEST_NAME = 200


@attrs.frozen(kw_only=True)
class Part:
    """A partition that a member of a group deals with.

    `held` is its checkpoint as it was acquired; `is_held` says whether the lease lasts, by the
    clock of this process.
    """

    held: Checkpoint
    log: Log
    is_held: Callable[[], bool]


@attrs.frozen(kw_only=True)
class Options:
    """What a runner is set to; subscriptions and projectors say what each of them means."""

    wanted: Filter
    start: Start | Position | datetime = Start.BEGINNING
    version: int = 1
    batch_size: int = attrs.field(default=100, validator=attrs.validators.ge(1))
    poll: float = attrs.field(default=5.0, validator=attrs.validators.gt(0))
    retry: Retry = attrs.field(factory=Retry)
    parking: Parking = attrs.field(factory=Parking)
    observer: Observer | None = None
    until: Position | None = None
    part: Part | None = None


def checked_name(name: str) -> str:
    """A name that every database takes.

    Raises:
        TypeError: it is no text.
        ValueError: it is empty or too long, or holds a NUL.
    """
    if not isinstance(name, str):
        raise TypeError(f"a name is a text, and not {type(name).__name__}")
    if not 0 < len(name) <= _LONGEST_NAME or "\0" in name:
        raise ValueError(f"a name has from 1 to {_LONGEST_NAME} characters, and no NUL among them")
    return name
