"""Any registry can be described as plain data."""

import json
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal, Optional
from uuid import UUID

import attrs
import pytest

from dashtam_events._frozen import EMPTY
from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.export import describe
from dashtam_events.declaration import SSE, Audit, Email, LogLevel, Phase
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal, secret
from dashtam_events.registry import EventRegistry


class Colour(Enum):
    RED = "red"


@attrs.frozen
class Money:
    amount: Decimal


@event
class DoorOpened(DomainEvent):
    pass


@event(
    name="parcel.delivered",
    category="parcels",
    workflow="delivery",
    phase=Phase.SUCCEEDED,
    audit=Audit("PARCEL_DELIVERED", resource="parcel", resource_id="parcel_id"),
    email=Email(when="wanted"),
    sse=SSE("parcel.done", "parcel_id", who="user_id"),
    log_level=LogLevel.DEBUG,
    ends_sessions=True,
)
class ParcelDelivered(DomainEvent):
    parcel_id: UUID
    user_id: UUID
    wanted: bool = False
    signature: str = personal()
    pin: str | None = secret(default=None)


@event
class ThingsCounted(DomainEvent):
    union: int | str | None
    optional: Optional[UUID]  # noqa: UP045  # the older spelling must read the same
    items: tuple[Decimal, ...]
    pair: tuple[int, Money]
    names: frozenset[str]
    prices: Mapping[str, tuple[Money, ...]]
    choice: Literal["a", "b"]
    size: Annotated[int, "metres"]
    colour: Colour = Colour.RED
    labels: Mapping[str, str] = EMPTY
    count: int = 0


def types_of(cls: type[DomainEvent]) -> dict[str, str]:
    (described,) = describe(EventRegistry([cls])).values()
    return {field["name"]: field["type"] for field in described["fields"]}


def test_a_bare_event_asks_for_nothing() -> None:
    assert describe(EventRegistry([DoorOpened])) == {
        "DoorOpened": {
            "module": "test_catalogue_export",
            "category": None,
            "workflow": None,
            "phase": None,
            "fields": [],
            "log_level": "info",
            "audit": None,
            "email": None,
            "ends_sessions": False,
            "sse": None,
        }
    }


def test_all_that_an_event_declares_is_told_under_its_stored_name() -> None:
    described = describe(EventRegistry([ParcelDelivered]))["parcel.delivered"]
    assert described == {
        "module": "test_catalogue_export",
        "category": "parcels",
        "workflow": "delivery",
        "phase": "succeeded",
        "fields": [
            {"name": "parcel_id", "type": "UUID"},
            {"name": "user_id", "type": "UUID"},
            {"name": "wanted", "type": "bool", "default": "False"},
            {"name": "signature", "type": "str", "privacy": "personal"},
            {"name": "pin", "type": "str | None", "privacy": "secret", "default": "None"},
        ],
        "log_level": "debug",
        "audit": {
            "action": "PARCEL_DELIVERED",
            "resource_type": "parcel",
            "user_id": "user_id",
            "resource_id": "parcel_id",
        },
        "email": {"when": "wanted"},
        "ends_sessions": True,
        "sse": {"type": "parcel.done", "payload": {"parcel_id": "parcel_id", "who": "user_id"}},
    }


def test_types_read_as_they_are_written_without_modules() -> None:
    assert types_of(ThingsCounted) == {
        "union": "int | str | None",
        "optional": "UUID | None",
        "items": "tuple[Decimal, ...]",
        "pair": "tuple[int, Money]",
        "names": "frozenset[str]",
        "prices": "dict[str, tuple[Money, ...]]",
        "choice": "Literal['a', 'b']",
        "size": "int",
        "colour": "Colour",
        "labels": "dict[str, str]",
        "count": "int",
    }


def test_only_a_field_that_may_be_left_out_has_a_default() -> None:
    (described,) = describe(EventRegistry([ThingsCounted])).values()
    defaults = {
        field["name"]: field["default"] for field in described["fields"] if "default" in field
    }
    assert defaults == {"colour": "<Colour.RED: 'red'>", "labels": "{}", "count": "0"}


def test_the_order_is_that_of_registration() -> None:
    assert list(describe(EventRegistry([ThingsCounted, DoorOpened]))) == [
        "ThingsCounted",
        "DoorOpened",
    ]


def test_it_goes_through_json_and_comes_back_equal() -> None:
    registry = CATALOGUE | EventRegistry([ParcelDelivered, ThingsCounted])
    described = describe(registry)
    assert json.loads(json.dumps(described)) == described


@pytest.mark.parametrize("cls", CATALOGUE, ids=lambda cls: cls.__name__)
def test_the_module_of_a_catalogue_event_is_one_of_seven(cls: type[DomainEvent]) -> None:
    (described,) = describe(EventRegistry([cls])).values()
    assert described["module"] in {
        "authentication",
        "authorization",
        "data",
        "portfolio",
        "provider",
        "rate_limit",
        "session",
    }
