"""A scenario passes where the aggregate did as the test says, and says where it did not."""

import re
from typing import assert_type
from uuid import UUID

import pytest
from returns.result import Failure

from dashtam_events.errors import InvalidEventClass, UnappliedEvent
from dashtam_events.event import DomainEvent, event
from dashtam_events.testing import given, like
from tests.testing.parcels import (
    Grams,
    Parcel,
    ParcelDelivered,
    ParcelMoved,
    ParcelPosted,
    Place,
)

ID = UUID(int=7)
GHENT, PARIS = Place(name="Ghent"), Place(name="Paris")
POSTED = ParcelPosted(weight=Grams(300), origin=GHENT, recipient="Ada")
DELIVERED = ParcelDelivered()


@event
class Unheard(DomainEvent):
    """Nothing that happens to parcels."""


def unmet(sentence: str) -> "pytest.RaisesExc[AssertionError]":
    return pytest.raises(AssertionError, match=re.escape(sentence))


def test_the_aggregate_has_the_history_that_was_given() -> None:
    scenario = given(Parcel, POSTED, ParcelMoved(place=PARIS), id=ID)
    assert_type(scenario.aggregate, Parcel)
    assert (scenario.aggregate.id, scenario.aggregate.version) == (ID, 2)
    assert scenario.aggregate.places == [GHENT, PARIS]
    assert scenario.aggregate.pending_events == ()


def test_the_aggregate_must_know_the_events_of_its_history() -> None:
    with pytest.raises(UnappliedEvent):
        given(Parcel, Unheard())


def test_classes_are_met_by_events_of_those_classes() -> None:
    parcel = given(Parcel, POSTED).when(lambda it: it.move(PARIS)).then(ParcelMoved)
    assert_type(parcel, Parcel)
    assert parcel.places == [GHENT, PARIS]


def test_an_event_is_met_by_its_fields_whatever_its_id_and_instant() -> None:
    outcome = given(Parcel, POSTED).when(lambda it: it.move(PARIS, "late"))
    outcome.then(ParcelMoved(place=PARIS, note="late"))


def test_like_is_met_by_the_fields_it_names() -> None:
    outcome = given(Parcel, POSTED).when(lambda it: it.move(PARIS, "late"))
    outcome.then(like(ParcelMoved, note="late"))


def test_like_refuses_a_field_that_the_event_has_not() -> None:
    with pytest.raises(ValueError, match="ParcelMoved has no field note_"):
        like(ParcelMoved, note_="late")


def test_like_refuses_a_class_that_is_no_event() -> None:
    with pytest.raises(InvalidEventClass):
        like(DomainEvent)


def test_another_class_fails() -> None:
    outcome = given(Parcel, POSTED).when(lambda it: it.move(PARIS))
    with unmet("1. expected ParcelDelivered, recorded ParcelMoved("):
        outcome.then(ParcelDelivered)


def test_another_field_fails_and_both_values_are_shown() -> None:
    outcome = given(Parcel, POSTED).when(lambda it: it.move(PARIS, "late"))
    with unmet("1. ParcelMoved: note is 'late', expected 'early'"):
        outcome.then(ParcelMoved(place=PARIS, note="early"))


def test_a_missing_event_fails_and_those_that_fit_are_marked() -> None:
    outcome = given(Parcel, POSTED).when(lambda it: it.move(PARIS))
    with unmet("1. as expected\n  2. expected ParcelDelivered, recorded nothing"):
        outcome.then(ParcelMoved, ParcelDelivered)


def test_an_event_too_many_fails() -> None:
    outcome = given(Parcel, POSTED).when(lambda it: it.move(PARIS))
    with unmet("1. recorded ParcelMoved("):
        outcome.then_nothing()


def test_a_personal_value_that_differs_is_not_shown() -> None:
    outcome = given(Parcel, POSTED).when(lambda it: it.deliver("Grace"))
    with pytest.raises(AssertionError) as failed:
        outcome.then(ParcelDelivered(signed_by="Heidi"))
    assert "signed_by differs (it is personal, so it is not shown)" in str(failed.value)
    assert not {"Grace", "Heidi"} & set(re.findall(r"\w+", str(failed.value)))


def test_a_personal_value_within_a_public_field_is_not_shown() -> None:
    outcome = given(Parcel, POSTED).when(lambda it: it.move(Place(name="Paris", street="Rivoli")))
    with pytest.raises(AssertionError) as failed:
        outcome.then(ParcelMoved(place=Place(name="Paris", street="Montaigne")))
    assert "place differs in what is not shown" in str(failed.value)
    assert "Rivoli" not in str(failed.value)


def test_secrets_do_not_count_unless_they_are_asked_for() -> None:
    coded = ParcelPosted(weight=Grams(1), origin=GHENT, recipient="Ada", pickup_code="1234")
    outcome = given(Parcel).when(lambda it: it.record(coded))
    outcome.then(ParcelPosted(weight=Grams(1), origin=GHENT, recipient="Ada"))
    outcome.then(like(ParcelPosted, pickup_code="1234"))
    with unmet("pickup_code differs (it is secret, so it is not shown)"):
        outcome.then(like(ParcelPosted, pickup_code="4321"))


def test_a_refusal_is_met_by_the_error_or_its_class() -> None:
    outcome = given(Parcel, POSTED, DELIVERED).when(lambda it: it.move(PARIS))
    assert outcome.then_refused("it is delivered").is_delivered
    outcome.then_refused(str)


def test_a_refusal_for_another_reason_fails() -> None:
    outcome = given(Parcel, POSTED, DELIVERED).when(lambda it: it.move(PARIS))
    with unmet("expected the refusal 'it is lost', but the refusal is 'it is delivered'"):
        outcome.then_refused("it is lost")
    with unmet("expected the refusal int, but"):
        outcome.then_refused(int)


def test_a_command_that_was_accepted_is_no_refusal() -> None:
    outcome = given(Parcel, POSTED).when(lambda it: it.move(PARIS))
    with unmet("expected the refusal str, but it was accepted\n  1. recorded ParcelMoved("):
        outcome.then_refused(str)


def test_a_refusal_that_records_something_fails() -> None:
    def refuse_too_late(parcel: Parcel) -> object:
        parcel.deliver()
        return Failure("no")

    with unmet("the command was refused, but recorded\n  1. recorded ParcelDelivered("):
        given(Parcel, POSTED).when(refuse_too_late).then_refused("no")


def test_a_refused_command_does_not_pass_for_one_that_records_nothing() -> None:
    outcome = given(Parcel, POSTED, DELIVERED).when(lambda it: it.move(PARIS))
    with unmet("the command was refused: 'it is delivered'"):
        outcome.then_nothing()


def test_nothing_is_met_by_a_command_that_had_nothing_to_do() -> None:
    given(Parcel, POSTED).when(lambda it: it.move(GHENT)).then_nothing()


def test_an_exception_is_met_by_its_kind_and_returned() -> None:
    outcome = given(Parcel, POSTED, DELIVERED).when(lambda it: it.deliver())
    error = outcome.then_raises(ValueError)
    assert_type(error, ValueError)
    assert str(error) == "it is delivered"


def test_an_exception_of_another_kind_is_raised_again() -> None:
    outcome = given(Parcel, POSTED, DELIVERED).when(lambda it: it.deliver())
    with pytest.raises(ValueError, match="it is delivered"):
        outcome.then_raises(KeyError)


@pytest.mark.parametrize("question", ["then", "then_nothing", "then_refused"])
def test_an_exception_that_nobody_expects_is_raised_again(question: str) -> None:
    outcome = given(Parcel, POSTED, DELIVERED).when(lambda it: it.deliver())
    arguments = (str,) if question == "then_refused" else ()
    with pytest.raises(ValueError, match="it is delivered"):
        getattr(outcome, question)(*arguments)


def test_a_command_that_raised_nothing_fails_where_an_exception_is_expected() -> None:
    with unmet("expected ValueError, but nothing was raised\n  1. recorded ParcelDelivered("):
        given(Parcel, POSTED).when(lambda it: it.deliver()).then_raises(ValueError)


def test_an_exception_after_something_was_recorded_fails() -> None:
    def twice(parcel: Parcel) -> None:
        parcel.deliver()
        parcel.deliver()

    with unmet("the command raised, but recorded before\n  1. recorded ParcelDelivered("):
        given(Parcel, POSTED).when(twice).then_raises(ValueError)


def test_a_command_that_starts_an_aggregate_is_asked_about_that_one() -> None:
    outcome = given(Parcel).when(lambda _: Parcel.post(ID, "Ada"))
    assert outcome.then(like(ParcelPosted, weight=300)).id == ID


def test_what_an_aggregate_recorded_before_the_command_is_not_asked_about() -> None:
    given(Parcel.post(ID, "Ada")).when(lambda it: it.deliver()).then(ParcelDelivered)
