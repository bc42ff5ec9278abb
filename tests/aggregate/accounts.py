"""A bank of two commands: an aggregate of somebody's own, for the tests of the kit."""

from decimal import Decimal
from uuid import UUID

import attrs

from dashtam_events.aggregate import Aggregate, applies
from dashtam_events.event import DomainEvent, event
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry


@event
class Deposited(DomainEvent):
    amount: Decimal


@event
class Withdrawn(DomainEvent):
    amount: Decimal


@event
class Renamed(DomainEvent):
    name: str


REGISTRY = EventRegistry([Deposited, Withdrawn, Renamed])


@attrs.frozen
class Balance:
    amount: Decimal
    movements: tuple[Decimal, ...]


class Account(Aggregate, stream="account"):
    snapshot_type = Balance

    def __init__(self, id: UUID) -> None:
        super().__init__(id)
        self.balance = Decimal(0)
        self.movements: list[Decimal] = []

    def deposit(self, amount: Decimal) -> None:
        self.record(Deposited(amount=amount))

    def withdraw(self, amount: Decimal) -> bool:
        if amount > self.balance:
            return False
        self.record(Withdrawn(amount=amount))
        return True

    @applies(Deposited, Withdrawn)
    def _moved(self, event: Deposited | Withdrawn) -> None:
        amount = event.amount if isinstance(event, Deposited) else -event.amount
        self.balance += amount
        self.movements.append(amount)

    def take_snapshot(self) -> Balance:
        return Balance(self.balance, tuple(self.movements))

    def restore_snapshot(self, state: Balance) -> None:
        self.balance, self.movements = state.amount, list(state.movements)


def stored(id: UUID, *events: DomainEvent) -> list[RecordedEvent]:
    """The events as a store gives them back."""
    return [
        RecordedEvent(
            position=Position(version),
            stream=StreamId("account", id),
            version=version,
            recorded_at=event.occurred_at,
            event=event,
        )
        for version, event in enumerate(events, start=1)
    ]
