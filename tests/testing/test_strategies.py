"""Generated events are events that a store takes and gives back."""

import itertools
from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import find as find_simplest
from hypothesis import strategies as st

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.codec import EventCodec
from dashtam_events.declaration import Privacy
from dashtam_events.errors import InvalidEventClass
from dashtam_events.event import DomainEvent, event, spec_of
from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.testing import events, recorded_events
from tests.testing.parcels import REGISTRY, Everything, ParcelMoved, ParcelPosted, Place

OURS = EventRegistry([*REGISTRY, Everything])
CODEC = EventCodec(CATALOGUE | OURS)
_T = TypeVar("_T")


def find(strategy: st.SearchStrategy[_T], wanted: Callable[[_T], bool]) -> _T:
    """One that is as wanted; the simplest is not looked for, which could take minutes."""
    quickly = settings(phases=[Phase.generate], database=None)
    return find_simplest(strategy, wanted, settings=quickly)


@given(events(CATALOGUE))
def test_every_event_of_the_catalogue_comes_back_from_the_codec(made: DomainEvent) -> None:
    assert CODEC.decode(CODEC.encode(made)) == made


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(events(OURS))
def test_events_with_fields_of_every_type_come_back_from_the_codec(made: DomainEvent) -> None:
    assert CODEC.decode(CODEC.encode(made)) == made


@pytest.mark.parametrize("cls", [*CATALOGUE, *OURS], ids=lambda cls: cls.__name__)
def test_a_strategy_of_a_class_makes_events_of_that_class(cls: type[DomainEvent]) -> None:
    assert type(find(events(cls), lambda _: True)) is cls


@given(events(REGISTRY))
def test_the_identity_is_a_version_7_id_and_an_instant_in_utc(made: DomainEvent) -> None:
    assert (made.event_id.version, made.occurred_at.tzinfo) == (7, UTC)


@given(events(CATALOGUE))
def test_secrets_are_none(made: DomainEvent) -> None:
    secrets = spec_of(type(made)).fields_of(Privacy.SECRET)
    assert all(getattr(made, name) is None for name in secrets)


def test_secrets_come_where_they_are_asked_for() -> None:
    find(events(ParcelPosted, secrets=True), lambda made: made.pickup_code is not None)


def test_optional_fields_are_tried_with_and_without_a_value() -> None:
    find(events(Everything), lambda made: made.maybe is None)
    find(events(Everything), lambda made: made.maybe not in (None, Decimal(0)))


def test_classes_that_hold_values_of_their_own_kind_are_made() -> None:
    find(events(ParcelMoved), lambda made: made.place.within is not None)


@given(events(ParcelMoved, place=st.builds(Place, name=st.just("Paris")), note="late"))
def test_a_field_takes_a_strategy_or_a_value_of_its_own(made: ParcelMoved) -> None:
    assert (made.place, made.note) == (Place(name="Paris"), "late")


@given(events(REGISTRY, note="late", event_id=UUID(int=7)))
def test_each_class_of_a_registry_takes_the_fields_that_it_has(made: DomainEvent) -> None:
    assert made.event_id == UUID(int=7)
    assert not isinstance(made, ParcelMoved) or made.note == "late"


@pytest.mark.parametrize("source", [ParcelMoved, REGISTRY])
def test_a_field_that_no_class_has_is_refused(source: EventRegistry) -> None:
    with pytest.raises(ValueError, match="no event here has a field noet"):
        events(source, noet="late")


def test_an_empty_registry_is_refused() -> None:
    with pytest.raises(ValueError, match="register an event first"):
        events(EventRegistry())


def test_a_class_that_is_no_event_is_refused() -> None:
    with pytest.raises(InvalidEventClass):
        events(DomainEvent)


@event
class Enclosed(DomainEvent):
    """An event whose field is another event."""

    inner: ParcelPosted


def test_an_event_within_an_event_is_made_like_any() -> None:
    made = find(events(Enclosed), lambda each: each.inner.recipient != "")
    assert made.inner.pickup_code is None


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(recorded_events(REGISTRY, min_size=1))
def test_a_history_is_as_a_store_gives_it(history: tuple[RecordedEvent, ...]) -> None:
    assert [each.version for each in history] == [*range(1, len(history) + 1)]
    assert len({each.stream for each in history}) == 1
    assert len({each.event.event_id for each in history}) == len(history)
    for one, next_one in itertools.pairwise(history):
        assert one.position < next_one.position
        assert one.recorded_at <= next_one.recorded_at


def test_a_history_may_have_a_stream_and_events_of_its_own() -> None:
    stream, late = StreamId("parcel", "1"), events(ParcelMoved, note="late")
    made = find(recorded_events(late, stream=stream, min_size=2), lambda _: True)
    assert {each.stream for each in made} == {stream}
    assert {getattr(each.event, "note", None) for each in made} == {"late"}


def test_positions_of_a_history_may_leave_gaps() -> None:
    find(recorded_events(ParcelMoved), lambda made: bool(made) and made[-1].position > len(made))
