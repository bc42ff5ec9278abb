"""The Redis transport against a real server, which goes away and comes back."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from dashtam_events.errors import SubscriptionEnded
from dashtam_events.sse import (
    ServerSentEvent,
    SSEEndpoint,
    SSEPublisher,
    SSESubscriber,
)
from dashtam_events.sse.redis import RedisTransport
from dashtam_events.testing.sse import ReceivedEvent
from tests.sse.redis_server import Server, running, taken, told
from tests.sse.serving import authenticate, eventually, raw_stream


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path) as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscription is entered when it listens, however long that takes here."""
    monkeypatch.setattr("dashtam_events.sse.redis._FIRST_WAIT", 30.0)


@pytest.fixture
async def transport(client: Redis) -> AsyncIterator[RedisTransport]:
    yield RedisTransport(client, publish_timeout=30)
    await asyncio.sleep(0)
    current = asyncio.current_task()
    assert [task for task in asyncio.all_tasks() if task is not current] == []


def at_least(count: int) -> Callable[[list[ReceivedEvent]], bool]:
    return lambda seen: len(seen) >= count


async def test_it_is_a_publisher_and_a_subscriber(transport: RedisTransport) -> None:
    publisher: SSEPublisher = transport
    subscriber: SSESubscriber = transport
    assert isinstance(publisher, RedisTransport)
    assert isinstance(subscriber, RedisTransport)


async def test_channels_and_streams_are_those_already_in_use(
    client: Redis, transport: RedisTransport
) -> None:
    me, event = uuid4(), told(uuid4())
    mine = told(me, 7)
    async with client.pubsub() as pubsub:
        await pubsub.subscribe(f"sse:user:{me}", "sse:broadcast")
        await transport.publish(mine)
        await transport.broadcast(event)
        heard: dict[str, Any] = {}
        while len(heard) < 2:
            message: Any = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
            if message is not None:
                heard[message["channel"].decode()] = json.loads(message["data"])
    assert heard == {f"sse:user:{me}": mine.to_dict(), "sse:broadcast": event.to_dict()}
    kept: Any = await client.xrange(f"sse:stream:user:{me}")
    ((_, fields),) = kept
    assert json.loads(fields[b"data"]) == mine.to_dict()


async def test_the_latest_1000_events_are_kept_and_every_write_renews_their_time(
    client: Redis,
) -> None:
    transport = RedisTransport(client, kept=10, kept_for=1_000, publish_timeout=30)
    me = uuid4()
    key = f"sse:stream:user:{me}"
    for number in range(15):
        await transport.publish(told(me, number))
    assert await client.xlen(key) == 10
    assert 900 <= await client.ttl(key) <= 1_000
    await client.expire(key, 500)
    await transport.publish(told(me))
    assert await client.ttl(key) > 900


async def test_two_processes_hear_each_other(server: Server, transport: RedisTransport) -> None:
    me, other = uuid4(), uuid4()
    async with (
        Redis.from_url(server.url, decode_responses=True) as second,
        transport.subscribe(me) as one,
        RedisTransport(second).subscribe(me) as two,
        RedisTransport(second).subscribe(other) as third,
    ):
        for number in range(50):
            await transport.publish(told(me, number))
        await transport.broadcast(told(other, 99))
        assert await taken(one, 51) == await taken(two, 51) == [*range(50), 99]
        assert await taken(third, 1) == [99]


async def test_a_second_listener_of_a_user_hears_and_the_first_goes_on_alone(
    transport: RedisTransport,
) -> None:
    me = uuid4()
    async with transport.subscribe(me) as first:
        async with transport.subscribe(me) as second:
            await transport.publish(told(me, 1))
            assert await taken(second, 1) == [1]
        await transport.publish(told(me, 2))
        assert await taken(first, 2) == [1, 2]


async def test_a_user_who_left_comes_back_beside_others(transport: RedisTransport) -> None:
    me = uuid4()
    async with transport.subscribe(uuid4()):
        for number in range(20):
            async with transport.subscribe(me) as subscription:
                await transport.publish(told(me, number))
                assert await taken(subscription, 1) == [number]


async def test_what_came_since_is_replayed_then_live_with_no_gap_and_no_repeat(
    transport: RedisTransport,
) -> None:
    """Publishing goes on all the while, so that what was kept and what is heard overlap."""
    me, count, cursor = uuid4(), 300, None
    seen: list[object] = []
    await transport.publish(told(me, -1))

    async def publish() -> None:
        for number in range(count):
            await transport.publish(told(me, number))

    async with transport.subscribe(me) as opened:
        cursor = opened.cursor
    publishing = asyncio.create_task(publish())
    async with asyncio.timeout(60):
        while len(seen) < count:
            async with transport.subscribe(me, after=cursor) as subscription:
                assert subscription.reset is None
                for _ in range(min(7, count - len(seen))):
                    event = await anext(subscription)
                    seen.append(event.data["number"])
                    cursor = str(event.event_id)
        await publishing
    assert seen == list(range(count))


async def test_a_stream_that_was_empty_is_resumed_from_when_it_was_opened(
    transport: RedisTransport,
) -> None:
    me = uuid4()
    async with transport.subscribe(me) as opened:
        cursor = opened.cursor
    assert cursor is not None
    await transport.publish(told(me, 1))
    async with transport.subscribe(me, after=cursor) as subscription:
        assert subscription.reset is None
        assert await taken(subscription, 1) == [1]


@pytest.mark.parametrize("cursor", ["yesterday", str(UUID(int=4711)), "at-1"])
async def test_a_cursor_that_is_not_kept_starts_over_with_the_oldest(
    transport: RedisTransport, cursor: str
) -> None:
    me = uuid4()
    first = told(me, 1)
    await transport.publish(first)
    await transport.publish(told(me, 2))
    async with transport.subscribe(me, after=cursor) as subscription:
        assert subscription.reset is not None
        assert subscription.reset.reason in ("malformed", "unknown", "trimmed")
        assert subscription.reset.oldest == str(first.event_id)
        assert await taken(subscription, 2) == [1, 2]


async def test_an_event_that_was_trimmed_is_told_from_one_that_never_was(client: Redis) -> None:
    transport, me = RedisTransport(client, kept=5, publish_timeout=30), uuid4()
    sent = [told(me, number) for number in range(10)]
    for event in sent:
        await transport.publish(event)
    async with transport.subscribe(me, after=str(sent[0].event_id)) as subscription:
        assert subscription.reset is not None
        assert subscription.reset.reason == "trimmed"
        assert await taken(subscription, 5) == [5, 6, 7, 8, 9]


async def test_somebody_elses_event_is_unknown(transport: RedisTransport) -> None:
    theirs = told(uuid4())
    await transport.publish(theirs)
    async with transport.subscribe(uuid4(), after=str(theirs.event_id)) as subscription:
        assert subscription.reset is not None


async def test_a_message_that_is_none_is_logged_and_passed_over(
    client: Redis, transport: RedisTransport, caplog: pytest.LogCaptureFixture
) -> None:
    me = uuid4()
    async with transport.subscribe(me) as subscription:
        for nonsense in ("the-canary", "{}", "[1]", '{"event_id": "the-canary"}'):
            await client.publish(f"sse:user:{me}", nonsense)
        await transport.publish(told(me, 1))
        assert await taken(subscription, 1) == [1]
    assert [record.message for record in caplog.records] == ["sse_message_not_understood"] * 4
    assert "canary" not in "".join(str(vars(record)) for record in caplog.records)


async def test_while_redis_is_away_publishing_warns_and_fails_open(
    server: Server, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    transport = RedisTransport(client)
    server.stop()
    begun = asyncio.get_running_loop().time()
    event = ServerSentEvent(event_type="note.read", user_id=uuid4(), data={"text": "the-canary"})
    with caplog.at_level(logging.WARNING, "dashtam_events.sse"):
        await transport.publish(event)
        await transport.broadcast(event)
    assert asyncio.get_running_loop().time() - begun < 20
    assert [record.message for record in caplog.records] == ["sse_publish_failed"] * 2
    assert "canary" not in "".join(str(vars(record)) for record in caplog.records)


async def test_a_subscription_outlives_redis_and_misses_nothing_that_is_kept(
    server: Server, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    transport, me = RedisTransport(client, publish_timeout=30), uuid4()
    async with transport.subscribe(me) as subscription:
        await transport.publish(told(me, 1))
        assert await taken(subscription, 1) == [1]
        server.stop()
        await eventually(lambda: bool(caplog.records), within=60)
        server.start()
        # Somebody else is quicker to publish than this process to listen again.
        async with Redis.from_url(server.url) as other:
            for number in (2, 3):
                await RedisTransport(other, publish_timeout=30).publish(told(me, number))
        assert await taken(subscription, 2) == [2, 3]
        await transport.publish(told(me, 4))
        assert await taken(subscription, 1) == [4]
        assert subscription.take() == []


async def test_a_subscription_that_missed_what_is_not_kept_ends(
    server: Server, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    transport, me = RedisTransport(client, publish_timeout=30), uuid4()
    async with transport.subscribe(me) as subscription:
        await transport.publish(told(me, 1))
        assert await taken(subscription, 1) == [1]
        server.stop()
        await eventually(lambda: bool(caplog.records), within=60)
        for file in server.folder.glob("*.aof"):
            file.unlink()
        server.start()
        with pytest.raises(SubscriptionEnded):
            await taken(subscription, 1)


async def test_an_endpoint_resumes_from_redis(transport: RedisTransport) -> None:
    """And a broadcast, which is not kept, resumes after the kept event before it."""
    me = uuid4()
    app = SSEEndpoint(authenticate=authenticate, subscriber=transport)

    async def tell() -> None:
        await eventually(lambda: app.counters.sent_bytes > 0)
        await transport.publish(told(me, 1))
        await transport.broadcast(told(uuid4(), 50))
        await transport.publish(told(me, 2))

    telling = asyncio.create_task(tell())
    async with asyncio.timeout(60):
        _, seen = await raw_stream(app, me, lambda seen: len(seen) == 4)
        await telling
        ids = [event.id for event in seen]
        assert len(set(ids)) == 4
        for cursor, missed in ((ids[0], [1, 2]), (ids[1], [2]), (ids[2], [2])):
            query = f"last_event_id={cursor}"
            _, again = await raw_stream(app, me, at_least(1 + len(missed)), query)
            assert again[0].type == "stream.open"
            assert [json.loads(event.data)["number"] for event in again[1:]] == missed
