"""The handler that shows events live: by their declaration, to their subject."""

from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_events import CATALOGUE, DomainEvent, EventContext, InMemoryEventBus, event
from dashtam_events.adapters.sse import SSEEventHandler
from dashtam_events.catalogue import ProviderDisconnectionSucceeded
from dashtam_events.catalogue.live import SSE_PAYLOADS, SSEEvent, SSEEventType
from dashtam_events.event import spec_of
from dashtam_events.sse import ServerSentEvent, SSEHub
from dashtam_events.testing import events


class Written:
    """A publisher that remembers."""

    def __init__(self) -> None:
        self.published: list[ServerSentEvent] = []

    async def publish(self, event: ServerSentEvent) -> None:
        self.published.append(event)

    async def broadcast(self, event: ServerSentEvent) -> None:
        raise AssertionError("an event of one user is not for all")


@pytest.mark.parametrize("cls", CATALOGUE.streamed(), ids=lambda cls: cls.__name__)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
async def test_an_event_is_shown_to_its_subject_with_the_keys_of_its_type(
    cls: type[DomainEvent], data: st.DataObject
) -> None:
    happened = data.draw(events(cls))
    written = Written()
    await SSEEventHandler(written, event_class=SSEEvent)(happened, EventContext())
    subject = getattr(happened, spec_of(cls).subject or "")
    if subject is None:
        assert written.published == []
        return
    (shown,) = written.published
    assert isinstance(shown, SSEEvent)
    assert shown.event_id == happened.event_id
    assert shown.user_id == subject
    assert tuple(shown.data) == SSE_PAYLOADS[SSEEventType(shown.event_type)]


async def test_what_is_not_declared_is_passed_over() -> None:
    @event
    class Unseen(DomainEvent):
        """Nobody is shown this."""

    written = Written()
    await SSEEventHandler(written)(Unseen(), EventContext())
    assert written.published == []


async def test_from_the_bus_to_a_listener() -> None:
    bus, hub, me = InMemoryEventBus(), SSEHub(), uuid4()
    bus.subscribe(CATALOGUE.streamed(), SSEEventHandler(hub, event_class=SSEEvent))
    gone = ProviderDisconnectionSucceeded(
        user_id=me, connection_id=uuid4(), provider_id=uuid4(), provider_slug="schwab"
    )
    async with hub.subscribe(me) as subscription:
        await bus.publish(gone)
        shown = await anext(subscription)
    assert shown.event_type == "provider.disconnected"
    assert shown.event_id == gone.event_id
