"""A bus that breaks a promise fails the contract, at the test that states it."""

import asyncio
from typing import Any

import pytest

from dashtam_events.bus import EventContext, InMemoryEventBus
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import EventMetadata
from dashtam_events.testing.bus_contract import BusContract


class Swallowing(InMemoryEventBus):
    """Forgets every third event."""

    count = 0

    async def publish(self, event: DomainEvent, **circumstances: Any) -> None:
        self.count += 1
        if self.count % 3:
            await super().publish(event, **circumstances)


class FirstOnly(InMemoryEventBus):
    """Tells only the handler that came first."""

    def subscribe(self, events: Any, handler: Any, **options: Any) -> None:
        if not self._subscriptions_to(events):
            super().subscribe(events, handler, **options)


class Remembering(InMemoryEventBus):
    """Keeps the metadata of a publish on itself."""

    current = EventMetadata()

    def subscribe(self, events: Any, handler: Any, **options: Any) -> None:
        async def hear(happened: Any) -> None:
            await asyncio.sleep(0)
            await handler(happened, EventContext(metadata=self.current))

        super().subscribe(events, hear, **options)

    async def publish(self, event: DomainEvent, **circumstances: Any) -> None:
        self.current = EventMetadata.of(circumstances.get("metadata"))
        await super().publish(event, **circumstances)


class OneAfterTheOther(InMemoryEventBus):
    """Waits for a handler before it begins the next."""

    async def _run_concurrently(self, subscriptions: Any, event: Any, context: Any) -> None:
        for each in subscriptions:
            await super()._run_concurrently((each,), event, context)


CONTRACT = BusContract()
LIES = [
    (Swallowing, CONTRACT.test_every_event_is_heard_once_and_in_order),
    (FirstOnly, CONTRACT.test_all_handlers_hear_and_start_in_the_order_of_their_subscription),
    (Remembering, CONTRACT.test_fifty_publishers_never_see_each_others_context),
    (OneAfterTheOther, CONTRACT.test_handlers_run_concurrently),
]


@pytest.mark.parametrize(("lying", "promise"), LIES, ids=lambda each: each.__name__)
async def test_the_contract_finds_the_lie(lying: type[InMemoryEventBus], promise: Any) -> None:
    with pytest.raises((AssertionError, TimeoutError)):
        async with asyncio.timeout(1):
            await promise(lying())


@pytest.mark.parametrize("promise", [promise for _, promise in LIES], ids=lambda p: p.__name__)
async def test_an_honest_bus_keeps_the_same_promise(promise: Any) -> None:
    await promise(InMemoryEventBus())
