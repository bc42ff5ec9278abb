"""Parcels on their way: events and an aggregate of somebody's own, for the tests of the kit."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal, NewType
from uuid import UUID

import attrs
from returns.result import Failure, Result, Success

from dashtam_events.aggregate import Aggregate, applies
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal, secret
from dashtam_events.registry import EventRegistry

Grams = NewType("Grams", int)


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@attrs.frozen(kw_only=True)
class Place:
    """Where something is; places lie within places."""

    name: str
    street: str | None = personal(default=None)
    within: "Place | None" = None


@event
class ParcelPosted(DomainEvent):
    """A parcel was handed in."""

    weight: Grams
    origin: Place
    recipient: str = personal()
    pickup_code: str | None = secret(default=None)


@event
class ParcelMoved(DomainEvent):
    """A parcel arrived somewhere on its way."""

    place: Place
    note: str = ""


@event
class ParcelDelivered(DomainEvent):
    """A parcel is where it should be."""

    signed_by: str | None = personal(default=None)


@event
class Everything(DomainEvent):
    """A field of every type that the codec knows without a hook."""

    whole: int
    real: float
    exact: Decimal
    text: str
    yes: bool
    instant: datetime
    day: date
    id: UUID
    size: Size
    maybe: Decimal | None
    either: Literal["a", "b"]
    marked: Annotated[str, "a remark"]
    place: Place
    places: tuple[Place, ...]
    pair: tuple[str, int]
    kinds: frozenset[Size]
    counts: Mapping[str, int]


REGISTRY = EventRegistry([ParcelPosted, ParcelMoved, ParcelDelivered])


class Parcel(Aggregate, stream="parcel"):
    """It moves until it is delivered."""

    def __init__(self, id: UUID) -> None:
        super().__init__(id)
        self.places: list[Place] = []
        self.is_delivered = False

    @classmethod
    def post(cls, id: UUID, recipient: str) -> "Parcel":
        parcel = cls(id)
        origin = Place(name="Ghent")
        parcel.record(ParcelPosted(weight=Grams(300), origin=origin, recipient=recipient))
        return parcel

    def move(self, place: Place, note: str = "") -> Result[None, str]:
        if self.is_delivered:
            return Failure("it is delivered")
        if place not in self.places:
            self.record(ParcelMoved(place=place, note=note))
        return Success(None)

    def deliver(self, signed_by: str | None = None) -> None:
        if self.is_delivered:
            raise ValueError("it is delivered")
        self.record(ParcelDelivered(signed_by=signed_by))

    @applies(ParcelPosted)
    def _posted(self, event: ParcelPosted) -> None:
        self.places.append(event.origin)

    @applies(ParcelMoved)
    def _moved(self, event: ParcelMoved) -> None:
        self.places.append(event.place)

    @applies(ParcelDelivered)
    def _delivered(self, event: ParcelDelivered) -> None:
        self.is_delivered = True
