"""A shop whose orders are watched: paid ones are sent, unpaid ones reminded of."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs

from dashtam_events.event import DomainEvent, event
from dashtam_events.processes import (
    PROCESS_EVENTS,
    DeadlineReached,
    IssuedCommand,
    ProcessManager,
    on_deadline,
    reacts_to,
)
from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store import EventStore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@event
class OrderPlaced(DomainEvent):
    order: UUID | None


@event
class PaymentPostponed(DomainEvent):
    order: UUID
    minutes: int


@event
class OrderPaid(DomainEvent):
    order: UUID


@event
class OrderClosed(DomainEvent):
    order: UUID


REGISTRY = PROCESS_EVENTS | EventRegistry([OrderPlaced, PaymentPostponed, OrderPaid, OrderClosed])


@attrs.frozen(kw_only=True)
class Send:
    order: UUID


@attrs.frozen(kw_only=True)
class Thank:
    order: UUID
    words: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Remind:
    order: UUID
    since: datetime


Command = Send | Thank | Remind


class Watch(ProcessManager[Command], stream="watch"):
    @reacts_to(OrderPlaced, by="order", starts=True)
    def _placed(self, event: OrderPlaced) -> None:
        self.set_deadline("payment", event.occurred_at + 10 * MINUTE)

    @reacts_to(PaymentPostponed, by="order")
    def _postponed(self, event: PaymentPostponed) -> None:
        self.set_deadline("payment", event.occurred_at + event.minutes * MINUTE)

    @reacts_to(OrderPaid, by=lambda event: event.order)
    def _paid(self, event: OrderPaid) -> None:
        self.cancel_deadline("payment")
        self.send(Send(order=event.order))
        self.send(Thank(order=event.order, words=("dear", "you")))

    @reacts_to(OrderClosed, by="order")
    def _closed(self, _event: OrderClosed) -> None:
        self.end()

    @on_deadline("payment")
    def _unpaid(self, reached: DeadlineReached) -> None:
        self.send(Remind(order=self.id, since=reached.due_at))


class Hands:
    """Executes commands by writing them down; fails where it is told to."""

    def __init__(self) -> None:
        self.done: list[IssuedCommand[Command]] = []
        self.errors: list[BaseException] = []

    async def __call__(self, issued: IssuedCommand[Command]) -> None:
        self.done.append(issued)
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop()

    @property
    def commands(self) -> list[Command]:
        return [issued.command for issued in self.done]


def order(number: int) -> UUID:
    return UUID(int=number)


async def happen(store: EventStore, *events: Any) -> None:
    """Each in the stream of its order."""
    for each in events:
        await store.append(StreamId("order", each.order), [each])


async def story(store: EventStore, id: UUID) -> list[RecordedEvent]:
    """What the process of an order wrote."""
    return [recorded async for recorded in store.read_stream(StreamId("watch", id))]


async def told(store: EventStore, id: UUID) -> list[str]:
    return [type(recorded.event).__name__ for recorded in await story(store, id)]
