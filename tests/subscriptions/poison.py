"""Handlers that fail where they are told to, and waiting without losing time."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import EventStore
from dashtam_events.subscriptions import CheckpointStore, Parking, Retry, Subscription


async def no_time(_seconds: float) -> None:
    """A pause that does not last."""


EAGER = Retry(attempts=3, sleep=no_time)


class Broken(Exception):
    """It may pass."""


class Handler:
    """Keeps what it dealt with; fails at some numbers, for good or so many times."""

    def __init__(self) -> None:
        self.dealt: list[int] = []
        self.seen: list[RecordedEvent] = []
        self.tries: Counter[int] = Counter()
        self.mistakes: set[int] = set()
        self.failing: dict[int, int] = {}
        self.error: Exception = Broken("a secret value")

    async def __call__(self, recorded: RecordedEvent) -> None:
        number: int = recorded.event.number  # type: ignore[attr-defined]  # all of these have one
        self.tries[number] += 1
        if number in self.mistakes:
            raise ValueError("a secret value")
        if self.failing.get(number, 0) >= self.tries[number]:
            raise self.error
        self.dealt.append(number)
        self.seen.append(recorded)


def subscribed(
    store: EventStore, checkpoints: CheckpointStore, handler: Any, **options: Any
) -> Subscription:
    given: dict[str, Any] = {"retry": EAGER, "parking": Parking(limit=1.0), "poll": 0.05} | options
    return Subscription("doors", store, handler, checkpoints=checkpoints, **given)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another task."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is waited for rings no bell
            await asyncio.sleep(0.005)
