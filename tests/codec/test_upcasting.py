"""An event that was stored in an earlier form is read as what it is today."""

from decimal import Decimal
from typing import Any

import pytest

from dashtam_events.codec import EncodedEvent, EventCodec
from dashtam_events.errors import DecodingError, FutureSchemaVersion
from dashtam_events.event import DomainEvent, event
from dashtam_events.registry import EventRegistry

GOLDEN_V1 = (
    b'{"event_id":"01890a5d-ac96-774b-bcce-b302099a8057",'
    b'"occurred_at":"2026-01-02T03:04:05Z","amount":12.5}'
)
GOLDEN_V2 = (
    b'{"event_id":"01890a5d-ac96-774b-bcce-b302099a8057",'
    b'"occurred_at":"2026-01-02T03:04:05Z","amount":"12.50"}'
)


def with_text(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "amount": f"{raw['amount']:.2f}"}


def with_currency(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "currency": "EUR"}


@event(version=3, upcasters={1: with_text, 2: with_currency})
class FeeCharged(DomainEvent):
    amount: Decimal
    currency: str
    note: str = "none"


CODEC = EventCodec(EventRegistry([FeeCharged]))


def stored(version: int, data: bytes) -> EncodedEvent:
    return EncodedEvent(name="FeeCharged", version=version, data=data, subject=None)


@pytest.mark.parametrize(("version", "data"), [(1, GOLDEN_V1), (2, GOLDEN_V2)])
def test_an_old_form_goes_through_every_upcaster_from_its_own(version: int, data: bytes) -> None:
    read = CODEC.decode(stored(version, data))
    assert isinstance(read, FeeCharged)
    assert (str(read.amount), read.currency, read.note) == ("12.50", "EUR", "none")
    assert CODEC.encode(read).version == 3


def test_a_form_of_tomorrow_is_refused() -> None:
    with pytest.raises(FutureSchemaVersion):
        CODEC.decode(stored(4, GOLDEN_V2))


def test_the_result_of_an_upcaster_is_checked_like_any_other() -> None:
    with pytest.raises(DecodingError, match=r"FeeCharged\.amount"):
        CODEC.decode(stored(2, GOLDEN_V1))


@pytest.mark.parametrize("wrong", [lambda raw: raw["CANARY"], lambda raw: None, lambda raw: [raw]])
def test_an_upcaster_that_fails_is_named_by_its_step(wrong: Any) -> None:
    @event(version=2, upcasters={1: wrong})
    class FeeWaived(DomainEvent):
        amount: Decimal

    codec = EventCodec(EventRegistry([FeeWaived]))
    with pytest.raises(DecodingError, match="upcaster from version 1") as caught:
        codec.decode(EncodedEvent(name="FeeWaived", version=1, data=GOLDEN_V1, subject=None))
    assert "CANARY" not in str(caught.value)
    assert caught.value.__context__ is None
