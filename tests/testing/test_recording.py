"""A recording bus delivers like any other, and remembers."""

import re
from typing import TYPE_CHECKING, assert_type
from uuid import UUID

import pytest

from dashtam_events.bus.protocol import EventBus, EventContext
from dashtam_events.errors import BusClosed
from dashtam_events.recorded import EventMetadata, Position, RecordedEvent, StreamId
from dashtam_events.testing import PublishedEvent, RecordingEventBus, like
from tests.testing.parcels import ParcelDelivered, ParcelMoved, Place

if TYPE_CHECKING:
    _bus: EventBus = RecordingEventBus()

MOVED, DELIVERED = ParcelMoved(place=Place(name="Paris")), ParcelDelivered(signed_by="Ada")


async def test_what_was_published_is_remembered_in_order() -> None:
    bus = RecordingEventBus()
    await bus.publish(MOVED)
    await bus.publish(DELIVERED)
    assert bus.events == (MOVED, DELIVERED)
    assert bus.published(ParcelDelivered) == (DELIVERED,)
    assert_type(bus.published(ParcelDelivered), tuple[ParcelDelivered, ...])


async def test_metadata_is_remembered_with_the_event() -> None:
    bus = RecordingEventBus()
    await bus.publish(MOVED, metadata={"correlation_id": "c", "tenant": "t"})
    metadata = EventMetadata(correlation_id="c", extras={"tenant": "t"})
    assert bus.log == (PublishedEvent(event=MOVED, metadata=metadata),)


async def test_what_a_store_recorded_is_remembered_with_its_metadata() -> None:
    recorded = RecordedEvent(
        position=Position(1),
        stream=StreamId("parcel", UUID(int=7)),
        version=1,
        recorded_at=MOVED.occurred_at,
        event=MOVED,
        metadata=EventMetadata(actor="Ada"),
    )
    bus = RecordingEventBus()
    await bus.publish(MOVED, recorded=recorded)
    assert bus.log == (PublishedEvent(event=MOVED, metadata=recorded.metadata, recorded=recorded),)


async def test_handlers_hear_of_the_event_and_of_its_metadata() -> None:
    heard: list[tuple[ParcelMoved, str | None]] = []

    async def handler(event: ParcelMoved, context: EventContext) -> None:
        heard.append((event, context.metadata.correlation_id))

    bus = RecordingEventBus()
    bus.subscribe(ParcelMoved, handler)
    await bus.publish(MOVED, metadata={"correlation_id": "c"})
    assert heard == [(MOVED, "c")]


async def test_what_a_handler_publishes_comes_after_what_it_heard() -> None:
    bus = RecordingEventBus()

    async def handler(_event: ParcelMoved) -> None:
        await bus.publish(DELIVERED)

    bus.subscribe(ParcelMoved, handler)
    await bus.publish(MOVED)
    bus.assert_published(ParcelMoved, ParcelDelivered)


async def test_what_a_closed_bus_refuses_is_not_remembered() -> None:
    bus = RecordingEventBus()
    await bus.aclose()
    with pytest.raises(BusClosed):
        await bus.publish(MOVED)
    assert bus.log == ()


async def test_the_assertion_takes_classes_events_and_fields() -> None:
    bus = RecordingEventBus()
    bus.assert_published()
    await bus.publish(MOVED)
    await bus.publish(DELIVERED)
    bus.assert_published(ParcelMoved(place=Place(name="Paris")), like(ParcelDelivered))


async def test_the_assertion_fails_and_shows_no_personal_value() -> None:
    bus = RecordingEventBus()
    await bus.publish(DELIVERED)
    differing = re.escape("the published events differ\n  1. ParcelDelivered: signed_by differs")
    with pytest.raises(AssertionError, match=differing) as failed:
        bus.assert_published(like(ParcelDelivered, signed_by="Grace"))
    assert "Ada" not in str(failed.value)


async def test_it_forgets_what_was_published_and_keeps_who_subscribed() -> None:
    heard: list[ParcelMoved] = []

    async def handler(event: ParcelMoved) -> None:
        heard.append(event)

    bus = RecordingEventBus()
    bus.subscribe(ParcelMoved, handler)
    await bus.publish(MOVED)
    bus.clear()
    assert bus.events == ()
    await bus.publish(MOVED)
    assert heard == [MOVED, MOVED]
