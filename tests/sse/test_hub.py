"""The hub: everybody hears, nobody waits, and who falls behind is told."""

import asyncio
from uuid import UUID, uuid4

import pytest

from dashtam_events.errors import SlowSubscriber, SSEEncodingError, SubscriptionEnded
from dashtam_events.sse import ServerSentEvent, SSEHub, SSEPublisher, SSESubscriber, SSESubscription


def told(user_id: UUID, number: int = 0) -> ServerSentEvent:
    return ServerSentEvent(event_type="note.read", user_id=user_id, data={"number": number})


async def taken(subscription: SSESubscription, count: int) -> list[object]:
    return [(await anext(subscription)).data["number"] for _ in range(count)]


def test_it_is_a_publisher_and_a_subscriber() -> None:
    hub = SSEHub()
    publisher: SSEPublisher = hub
    subscriber: SSESubscriber = hub
    assert isinstance(publisher, SSEHub)
    assert isinstance(subscriber, SSEHub)


async def test_a_user_hears_on_every_connection_in_order_and_nobody_else_hears() -> None:
    hub, me, other = SSEHub(), uuid4(), uuid4()
    async with hub.subscribe(me) as one, hub.subscribe(me) as two, hub.subscribe(other) as third:
        for number in range(5):
            await hub.publish(told(me, number))
        await hub.publish(told(other, 9))
        assert await taken(one, 5) == await taken(two, 5) == [0, 1, 2, 3, 4]
        assert await taken(third, 1) == [9]
        assert one.take() == two.take() == third.take() == []


async def test_a_broadcast_reaches_everybody_and_all_share_its_bytes() -> None:
    hub = SSEHub()
    event = told(uuid4())
    async with hub.subscribe(uuid4()) as one, hub.subscribe(uuid4()) as two:
        await hub.broadcast(event)
        (first,), (second,) = one.take(), two.take()
    assert first.event is second.event is event
    assert first.frame is second.frame is event.encode()


async def test_one_who_waits_is_woken() -> None:
    hub, me = SSEHub(), uuid4()
    async with hub.subscribe(me) as subscription:
        waiting = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0.01)
        await hub.publish(told(me, 7))
        assert (await waiting).data["number"] == 7


@pytest.mark.parametrize("limits", [{"max_events": 3}, {"max_bytes": 500}])
async def test_who_reads_too_slowly_is_cut_off_and_told(limits: dict[str, int]) -> None:
    """And never dropped from in silence: what comes after a gap is not taken any more."""
    hub, me = SSEHub(**limits), uuid4()
    async with hub.subscribe(me) as slow, hub.subscribe(me) as quick:
        for number in range(20):
            await hub.publish(told(me, number))
            assert await taken(quick, 1) == [number]
        with pytest.raises(SlowSubscriber):
            await anext(slow)
        await hub.publish(told(me, 20))
        assert slow.take() == []


async def test_one_event_beyond_the_bounds_gets_through_alone() -> None:
    hub, me = SSEHub(max_bytes=10), uuid4()
    async with hub.subscribe(me) as subscription:
        await hub.publish(told(me, 1))
        assert await taken(subscription, 1) == [1]
        await hub.publish(told(me, 2))
        assert await taken(subscription, 1) == [2]


async def test_who_has_left_hears_nothing_and_is_forgotten() -> None:
    hub, me = SSEHub(), uuid4()
    async with hub.subscribe(me) as subscription:
        pass
    await hub.publish(told(me))
    assert subscription.take() == []
    assert hub._listening == {}


async def test_what_cannot_be_carried_is_told_to_nobody() -> None:
    hub, me = SSEHub(), uuid4()
    event = ServerSentEvent(event_type="note.read", user_id=me, data={"x": float("nan")})
    async with hub.subscribe(me) as subscription:
        for tell in (hub.publish, hub.broadcast):
            with pytest.raises(SSEEncodingError):
                await tell(event)
        assert subscription.take() == []


async def test_to_resume_is_to_be_told_that_nothing_is_kept() -> None:
    async with SSEHub().subscribe(uuid4(), after=str(uuid4())) as subscription:
        assert subscription.cursor is None
        assert subscription.reset is not None
        assert subscription.reset.reason == "unknown"


async def test_a_subscription_whose_source_has_gone_gives_the_rest_and_raises() -> None:
    hub, me = SSEHub(), uuid4()
    async with hub.subscribe(me) as subscription:
        await hub.publish(told(me, 1))
        subscription.end()
        assert await taken(subscription, 1) == [1]
        with pytest.raises(SubscriptionEnded):
            await anext(subscription)
