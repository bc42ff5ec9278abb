"""The types of server-sent events, their categories, and what the catalogue sends of them."""

from collections import Counter
from uuid import UUID, uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.live import (
    SSE_PAYLOADS,
    SSEEvent,
    SSEEventCategory,
    SSEEventType,
    get_category_for_event_type,
)
from dashtam_events.declaration import SSE
from dashtam_events.event import DomainEvent, event, spec_of
from dashtam_events.sse import ServerSentEvent

SHOWN = [spec.sse for spec in map(spec_of, CATALOGUE) if spec.sse]
KNOWN = {str(known) for known in SSEEventType}
REFUSAL = "event_type is none of SSEEventType: a type of your own is a ServerSentEvent's"


@event(sse=SSE("transfer.failed"))
class TransferFailed(DomainEvent):
    """An event of somebody's own."""

    user_id: UUID


def test_there_are_29_types_in_six_categories() -> None:
    assert Counter(map(get_category_for_event_type, SSEEventType)) == {
        SSEEventCategory.DATA_SYNC: 9,
        SSEEventCategory.PROVIDER: 4,
        SSEEventCategory.AI: 3,
        SSEEventCategory.IMPORT: 4,
        SSEEventCategory.PORTFOLIO: 3,
        SSEEventCategory.SECURITY: 6,
    }


@pytest.mark.parametrize("event_type", SSEEventType)
def test_a_type_may_be_given_as_text(event_type: SSEEventType) -> None:
    as_text = get_category_for_event_type(event_type.value)
    assert as_text is get_category_for_event_type(event_type)


@given(st.one_of(st.text(), st.sampled_from(SSEEventType).map("{}.more".format)))
def test_an_unknown_type_is_refused_without_being_repeated(unknown: str) -> None:
    assume(unknown not in KNOWN)
    with pytest.raises(ValueError, match=r"^event_type is none of SSEEventType: ") as refusal:
        get_category_for_event_type(unknown)
    assert str(refusal.value) == REFUSAL


def test_whoever_shows_an_event_of_their_own_by_the_catalogues_class_is_told_of_the_other() -> None:
    failed = TransferFailed(user_id=uuid4())
    with pytest.raises(ValueError, match="ServerSentEvent") as refusal:
        SSEEvent.from_event(failed)
    assert str(refusal.value) == REFUSAL
    shown = ServerSentEvent.from_event(failed)
    assert shown is not None
    assert shown.event_type == "transfer.failed"


@pytest.mark.parametrize("event_type", SSEEventType)
def test_a_member_is_named_after_its_type(event_type: SSEEventType) -> None:
    assert event_type.name == event_type.value.replace(".", "_").upper()


def test_every_type_says_what_it_carries() -> None:
    assert list(SSE_PAYLOADS) == list(SSEEventType)
    assert all(keys and len(set(keys)) == len(keys) for keys in SSE_PAYLOADS.values())


@pytest.mark.parametrize("sse", SHOWN, ids=lambda sse: str(sse.type))
def test_an_event_sends_exactly_what_its_type_carries(sse: SSE) -> None:
    assert isinstance(sse.type, SSEEventType)
    assert tuple(sse.payload) == SSE_PAYLOADS[sse.type]


def test_no_two_events_send_the_same_type() -> None:
    assert len({sse.type for sse in SHOWN}) == len(SHOWN) == 24


def test_the_types_that_only_a_service_itself_sends() -> None:
    assert KNOWN - {sse.type for sse in SHOWN} == {
        "provider.token.expiring",
        "ai.response.chunk",
        "ai.tool.executing",
        "ai.response.complete",
        "security.session.expiring",
    }
