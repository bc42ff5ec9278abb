"""What anybody may see of an event: secrets never, personal values masked, at every depth."""

from collections.abc import Mapping
from uuid import UUID

import attrs

from dashtam_events._frozen import EMPTY
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import MASK, personal, redact, secret
from dashtam_events.recorded import EventMetadata, RecordedEvent, StreamId, UnknownEvent

CANARY = "CANARY-7f3a"
SHOWN = {"city": "Bern", "street": MASK}


@attrs.frozen
class Address:
    city: str
    street: str = personal()
    gate_code: str | None = secret(default=None)


HOME = Address("Bern", CANARY, CANARY)


@event
class Moved(DomainEvent):
    home: Address
    others: tuple[Address, ...] = ()
    named: Mapping[str, Address] = EMPTY
    known: frozenset[Address] = frozenset()
    phone: str | None = personal(default=None)
    token: str | None = secret(default=None)


def moved() -> Moved:
    return Moved(
        home=HOME,
        others=(HOME,),
        named={"summer": HOME},
        known=frozenset({HOME}),
        phone=CANARY,
        token=CANARY,
    )


def test_redacting_masks_personal_values_and_leaves_secrets_out() -> None:
    shown = redact(moved())
    assert shown["home"] == SHOWN
    assert shown["others"] == (SHOWN,)
    assert shown["named"] == {"summer": SHOWN}
    assert shown["known"] == (SHOWN,)
    assert shown["phone"] == MASK
    assert "token" not in shown


def test_a_personal_value_that_is_none_is_shown_as_none() -> None:
    assert redact(Moved(home=HOME))["phone"] is None


def test_the_repr_shows_what_redacting_shows() -> None:
    assert CANARY not in repr(moved())
    assert "Bern" in repr(moved())
    assert repr(moved()).startswith("Moved(event_id=UUID(")


def test_the_repr_of_what_a_store_keeps_around_an_event_shows_no_more() -> None:
    metadata = EventMetadata(actor=CANARY, ip_address=CANARY, user_agent=CANARY, trace_id="t")
    recorded = RecordedEvent(
        position=1,  # type: ignore[arg-type]  # a plain number serves
        stream=StreamId("user", UUID(int=1)),
        version=1,
        recorded_at=moved().occurred_at,
        event=moved(),
        metadata=metadata,
    )
    assert CANARY not in repr(recorded)
    assert (
        repr(metadata)
        == "EventMetadata(actor='***', ip_address='***', user_agent='***', trace_id='t')"
    )


def test_extras_are_masked_because_a_misspelt_key_lands_there() -> None:
    metadata = EventMetadata.of({"ip_adress": CANARY, "trace_id": "t"})
    assert metadata.extras == {"ip_adress": CANARY}
    assert repr(metadata) == "EventMetadata(trace_id='t', extras='***')"
    assert CANARY not in str(redact(metadata))
    assert repr(EventMetadata(trace_id="t")) == "EventMetadata(trace_id='t')"


def test_the_repr_of_an_unknown_event_does_not_show_its_bytes() -> None:
    unknown = UnknownEvent(name="X", schema_version=1, data=CANARY.encode())
    assert CANARY not in repr(unknown)
    assert "<11 bytes>" in repr(unknown)
