"""The check of a registry passes for sound events, and names each thing that is wrong."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import strategies as st

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal, secret
from dashtam_events.registry import EventRegistry
from dashtam_events.testing import check_registry, events
from tests.testing.parcels import REGISTRY


def found(*classes: type[DomainEvent], **options: Any) -> str:
    """The message of a check that fails."""
    with pytest.raises(AssertionError) as failed:
        check_registry(EventRegistry(classes), **options)
    return str(failed.value)


def renamed(**options: Any) -> Any:
    """An event under the stored name of another: the same one, some releases later."""
    return event(name="LoanGranted", **options)


@event
class LoanGranted(DomainEvent):
    """A loan was granted, as the first release told it."""

    loan_id: UUID
    amount: int


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A golden file that holds the first release."""
    path = tmp_path / "golden.json"
    check_registry(EventRegistry([LoanGranted]), golden=path, update=True)
    return path


def test_the_catalogue_and_a_registry_of_ones_own_pass() -> None:
    check_registry(CATALOGUE)
    check_registry(REGISTRY)


def test_a_missing_docstring_is_found() -> None:
    @event
    class Mute(DomainEvent):
        pass

    assert "Mute has no docstring: say when it is emitted" in found(Mute)


def test_names_of_secrets_and_of_personal_data_ask_for_their_marks() -> None:
    @event
    class Leaky(DomainEvent):
        """Everything here should be marked."""

        reset_token: str
        home_address: str
        pin: int
        api_key: str = personal()

    message = found(Leaky)
    assert message.startswith("4 found")
    assert "Leaky.reset_token has the name of a secret value: mark it secret()" in message
    assert "Leaky.home_address has the name of a personal value: mark it personal()" in message
    assert "Leaky.pin has the name of a secret value" in message
    assert "Leaky.api_key has the name of a secret value" in message


def test_marks_within_the_values_of_a_public_field_are_asked_for_too() -> None:
    @event
    class Sent(DomainEvent):
        """A letter was sent."""

        to: tuple[Recipient, ...]

    assert "Sent.to.email has the name of a personal value" in found(Sent)


@attrs.frozen
class Recipient:
    email: str
    phone: str = personal()


def test_marked_exempt_and_telling_nothing_passes() -> None:
    @event
    class Discreet(DomainEvent):
        """Nobody learns anything from it."""

        token_id: UUID
        token_count: int
        email_is_known: bool
        shipping: str
        email: str = personal()
        phone: str | None = secret(default=None)
        token_type: str = "bearer"

    registry = EventRegistry([Discreet])
    check_registry(registry, exempt=["Discreet.token_type"])
    assert found(Discreet).startswith("1 found")


def test_a_type_that_the_codec_does_not_know_is_found() -> None:
    @event
    class Odd(DomainEvent):
        """A field has a type without a hook."""

        number: complex

    message = found(Odd)
    assert "Odd cannot be stored: the field 'number' has the type complex" in message


def test_a_value_that_changes_on_the_way_is_found() -> None:
    @event
    class Growing(DomainEvent):
        """A field that is another each time it is made."""

        count: int = attrs.field(default=0, converter=_one_more)

    assert "ValueError: count changed on the way" in found(Growing)


def _one_more(value: int) -> int:
    return value + 1


def test_an_event_whose_values_are_restricted_needs_an_example_of_its_own() -> None:
    @event
    class Rated(DomainEvent):
        """Only a few values are allowed."""

        stars: int = attrs.field(validator=attrs.validators.in_([1, 2, 3]))

    assert "Rated does not come back from the codec as it was: ValueError" in found(Rated)
    stars = events(Rated, stars=st.sampled_from([1, 2, 3]))
    check_registry(EventRegistry([Rated]), examples={Rated: stars})


def test_what_the_golden_file_holds_passes(golden: Path) -> None:
    check_registry(EventRegistry([LoanGranted]), golden=golden)


def test_a_missing_golden_file_and_a_new_event_ask_for_an_update(tmp_path: Path) -> None:
    message = found(LoanGranted, golden=tmp_path / "none.json")
    assert "LoanGranted version 1 is not in the golden file" in message
    assert "pytest --update-event-forms, adds it" in message
    assert not (tmp_path / "none.json").exists()


def test_a_damaged_golden_file_is_found_and_left_alone(golden: Path) -> None:
    golden.write_text("{", encoding="utf-8")
    assert "is damaged" in found(LoanGranted, golden=golden, update=True)
    assert golden.read_text(encoding="utf-8") == "{"


def test_an_event_that_is_gone_is_found_with_and_without_an_update(golden: Path) -> None:
    for update in (False, True):
        assert "LoanGranted is gone: keep its class" in found(golden=golden, update=update)


@renamed()
class AmountBecameText(DomainEvent):
    """A field has another type."""

    loan_id: UUID
    amount: str


@renamed()
class AmountIsGone(DomainEvent):
    """A field is gone."""

    loan_id: UUID


@renamed()
class CurrencyIsRequired(DomainEvent):
    """A field without a default is new."""

    loan_id: UUID
    amount: int
    currency: str


@renamed()
class AmountBecameSecret(DomainEvent):
    """A field is no longer stored."""

    loan_id: UUID
    amount: int | None = secret(default=None)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (AmountBecameText, "the type of 'amount' was int, and is str"),
        (AmountIsGone, "the field 'amount' is gone"),
        (CurrencyIsRequired, "the field 'currency' is new"),
        (AmountBecameSecret, "the privacy of 'amount' was public, and is secret"),
    ],
)
@pytest.mark.parametrize("update", [False, True])
def test_a_stored_form_that_changes_without_a_version_is_never_taken(
    golden: Path, changed: type[DomainEvent], difference: str, update: bool
) -> None:
    before = golden.read_text(encoding="utf-8")
    message = found(changed, golden=golden, update=update)
    assert "LoanGranted version 1 has another form than the one that was stored" in message
    assert difference in message
    assert "Declare version=2 with an upcaster from 1, upcasters={1: ...}" in message
    assert golden.read_text(encoding="utf-8") == before


def test_a_change_that_leaves_what_is_stored_readable_asks_for_an_update(golden: Path) -> None:
    @renamed()
    class Wider(DomainEvent):
        """A field with a default is new, and one is personal now."""

        loan_id: UUID
        amount: int = personal()
        currency: str = "EUR"

    example = json.loads(golden.read_text(encoding="utf-8"))["LoanGranted"]["1"]["example"]
    assert "What is stored still reads as it did" in found(Wider, golden=golden)
    check_registry(EventRegistry([Wider]), golden=golden, update=True)
    check_registry(EventRegistry([Wider]), golden=golden)
    form = json.loads(golden.read_text(encoding="utf-8"))["LoanGranted"]["1"]
    assert form["fields"]["currency"] == {"type": "str", "privacy": "public", "default": "'EUR'"}
    assert form["example"] == example


def _to_cents(raw: dict[str, Any]) -> dict[str, Any]:
    return {"loan_id": raw["loan_id"], "cents": raw["amount"] * 100, **_identity(raw)}


def _identity(raw: dict[str, Any]) -> dict[str, Any]:
    return {name: raw[name] for name in ("event_id", "occurred_at") if name in raw}


@renamed(version=2, upcasters={1: _to_cents})
class LoanGrantedInCents(DomainEvent):
    """A loan was granted, as the second release tells it."""

    loan_id: UUID
    cents: int


def test_a_new_version_is_added_beside_the_old_one(golden: Path) -> None:
    registry = EventRegistry([LoanGrantedInCents])
    message = found(LoanGrantedInCents, golden=golden)
    assert "LoanGranted version 2 is not in the golden file" in message
    check_registry(registry, golden=golden, update=True)
    check_registry(registry, golden=golden)
    versions = json.loads(golden.read_text(encoding="utf-8"))["LoanGranted"]
    assert [*versions] == ["1", "2"]
    assert all("example" in form for form in versions.values())


def test_a_version_that_goes_back_is_found(golden: Path) -> None:
    check_registry(EventRegistry([LoanGrantedInCents]), golden=golden, update=True)
    message = found(LoanGranted, golden=golden)
    assert "LoanGranted went back from version 2 to 1" in message


def test_an_upcaster_that_cannot_read_what_was_stored_is_found(golden: Path) -> None:
    @renamed(version=2, upcasters={1: lambda raw: {"event_id": raw["event_id"]}})
    class Broken(DomainEvent):
        """Its upcaster forgets the fields."""

        loan_id: UUID
        cents: int

    message = found(Broken, golden=golden, update=True)
    assert "LoanGranted version 1, as it was stored, can no longer be read" in message


@attrs.frozen
class Money:
    amount: int
    currency: str = "EUR"


@attrs.frozen
class Sum:
    amount: int


def test_a_change_within_a_nested_value_is_found(tmp_path: Path) -> None:
    @event(name="Paid")
    class PaidMoney(DomainEvent):
        """Something was paid."""

        price: Money | None

    @event(name="Paid")
    class PaidSum(DomainEvent):
        """Something was paid."""

        price: Sum | None

    path = tmp_path / "golden.json"
    check_registry(EventRegistry([PaidMoney]), golden=path, update=True)
    message = found(PaidSum, golden=path)
    was = "the type of 'price' was Money(amount: int, currency: str) | None"
    assert f"{was}, and is Sum(amount: int) | None" in message


def test_everything_that_is_wrong_is_told_at_once() -> None:
    @event
    class Careless(DomainEvent):
        password: str

    message = found(Careless)
    assert message.startswith("2 found in EventRegistry(1 events):\n  - Careless has no docstring")
    assert "\n  - Careless.password has the name of a secret value" in message
