"""The server-sent events of the catalogue."""

from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.live import (
    SSE_PAYLOADS,
    SSEEvent,
    SSEEventCategory,
    SSEEventType,
    get_category_for_event_type,
)
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.testing import events
from dashtam_events.testing.sse import parse_sse


@pytest.mark.parametrize("event_type", SSEEventType)
def test_each_type_is_accepted_as_text_too(event_type: SSEEventType) -> None:
    shown = SSEEvent(event_type=event_type.value, user_id=uuid4(), data={})
    assert shown.event_type is event_type
    assert shown.category is get_category_for_event_type(event_type)
    assert f"\nevent: {event_type.value}\n" in shown.to_sse_format()
    assert type(shown.to_dict()["event_type"]) is str
    assert SSEEvent.from_dict(shown.to_dict()) == shown
    assert hash(shown) == hash(shown.event_id)


def test_the_category_is_a_category() -> None:
    shown = SSEEvent(event_type="sync.accounts.started", user_id=uuid4(), data={})
    assert shown.category is SSEEventCategory.DATA_SYNC


@pytest.mark.parametrize("unknown", ["", "the.canary", "sync", "error", 17, None])
def test_any_other_type_is_a_value_error(unknown: str) -> None:
    with pytest.raises(ValueError, match="event_type") as refused:
        SSEEvent(event_type=unknown, user_id=uuid4(), data={})
    assert "canary" not in str(refused.value)


def test_from_a_dict_too() -> None:
    values = SSEEvent(event_type="import.started", user_id=uuid4(), data={}).to_dict()
    with pytest.raises(ValueError, match="event_type"):
        SSEEvent.from_dict(values | {"event_type": "import.begun"})


def test_24_events_of_the_catalogue_are_shown_live() -> None:
    assert len(CATALOGUE.streamed()) == 24


@pytest.mark.parametrize("cls", CATALOGUE.streamed(), ids=lambda cls: cls.__name__)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_they_are_shown_with_the_keys_of_their_type(
    cls: type[DomainEvent], data: st.DataObject
) -> None:
    """And what a browser receives has the domain event's id."""
    happened = data.draw(events(cls))
    shown = SSEEvent.from_event(happened)
    user_id = getattr(happened, spec_of(cls).subject or "user_id")
    if user_id is None:
        assert shown is None
        return
    assert shown is not None
    assert shown.user_id == user_id
    assert tuple(shown.data) == SSE_PAYLOADS[shown.event_type]
    [received] = parse_sse(shown.encode())
    assert (received.id, received.type) == (str(happened.event_id), shown.event_type.value)


OTHERS = [cls for cls in CATALOGUE if cls not in CATALOGUE.streamed()]


@settings(deadline=None)
@given(st.sampled_from(OTHERS).flatmap(events))
def test_the_others_are_not_shown(happened: DomainEvent) -> None:
    assert SSEEvent.from_event(happened) is None
