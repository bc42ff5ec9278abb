"""A store, a clock and hands for the runners of one test, and what to wait for."""

import asyncio
from collections.abc import Awaitable, Callable

from dashtam_events.event import DomainEvent
from dashtam_events.processes import ProcessRunner
from dashtam_events.store import EventStore
from dashtam_events.subscriptions import InMemoryCheckpointStore, Retry
from dashtam_events.testing import HeldClock
from tests.processes.orders import NOON, Hands, OrderPlaced, Watch, happen, order, told

__all__ = ["BEGUN", "ONE", "PLACED", "REMINDED", "RETRY", "TWO"]
__all__ += ["House", "begun", "have", "until"]

ONE, TWO = order(1), order(2)
PLACED = OrderPlaced(order=ONE, occurred_at=NOON)
BEGUN = ["ProcessReacted", "DeadlineSet"]
REMINDED = ["DeadlineReached", "ProcessReacted", "CommandIssued", "CommandExecuted"]


async def at_once(_seconds: float) -> None:
    """A pause that is none."""


RETRY = Retry(attempts=2, sleep=at_once)


class House:
    """A store, where it is kept how far, a clock, and hands; runners come and go."""

    def __init__(self, store: EventStore, clock: HeldClock) -> None:
        self.store = store
        self.clock = clock
        self.checkpoints = InMemoryCheckpointStore()
        self.hands = Hands()

    def runner(self, store: EventStore | None = None, *, poll: float = 5.0) -> ProcessRunner:
        return ProcessRunner(
            Watch,
            store or self.store,
            self.hands,
            checkpoints=self.checkpoints,
            clock=self.clock.now,
            retry=RETRY,
            poll=poll,
        )

    async def happen(self, *events: DomainEvent) -> None:
        await happen(self.store, *events)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110  # what is awaited is in a store
            await asyncio.sleep(0.005)


async def have(house: House, count: int) -> bool:
    await asyncio.sleep(0)
    return len(house.hands.done) >= count


async def begun(house: House) -> bool:
    return await told(house.store, ONE) == BEGUN
