"""A Redis that is gone, drops every packet, or falls silent on one connection."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from dashtam_events.sse import SSEEndpoint, SSESubscription
from dashtam_events.sse._breaker import CircuitBreaker
from dashtam_events.sse.redis import RedisTransport
from tests.loops import quickest
from tests.sse.redis_server import Server, running, taken, told
from tests.sse.serving import authenticate, eventually, raw_stream


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path) as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Redis]:
    # Some releases of redis-py would give up by themselves; what is tested must not need it.
    async with Redis.from_url(server.url, socket_timeout=None) as client:
        yield client


def now() -> float:
    return asyncio.get_running_loop().time()


async def listening(subscription: SSESubscription) -> None:
    """Wait until a new subscription has its place: what is published from here on is heard."""
    await eventually(lambda: subscription.cursor is not None)


class Line:
    """What is connected when it falls silent, or before it is mended, stays silent for good."""

    def __init__(self, target: int) -> None:
        self._target, self.port, self.begun = target, 0, 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._carries = asyncio.Event()

    def fall_silent(self) -> None:
        """Swallow all that comes, on new connections too."""
        self._carries.clear()

    def mend(self) -> None:
        """Carry for those who connect from now on."""
        self._carries = asyncio.Event()
        self._carries.set()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Line", None]:
        """Carry until the end."""
        self.mend()
        server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        for one, other in ((client, writer), (reader, back)):
            self._tasks.add(asyncio.create_task(_pour(one, other, self._carries)))
        self.begun += 1


async def _pour(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, carries: asyncio.Event
) -> None:
    try:
        while data := await reader.read(65536):
            if carries.is_set():
                writer.write(data)
    finally:
        with suppress(OSError):
            writer.transport.abort()


def test_an_open_circuit_lets_one_ask_after_a_rest_and_everybody_after_an_answer() -> None:
    breaker = CircuitBreaker(rest=0.0, longest=60.0)
    assert [breaker.allows() for _ in range(3)] == [True] * 3
    breaker.fail("TimeoutError")
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    assert breaker.failure == "TimeoutError"
    breaker.succeed()
    assert [breaker.allows() for _ in range(3)] == [True] * 3


def test_an_open_circuit_rests_first() -> None:
    breaker = CircuitBreaker(rest=60.0, longest=0.0)
    breaker.fail("TimeoutError")
    assert not breaker.allows()


async def test_of_many_who_publish_into_a_black_hole_the_first_waits_and_the_others_do_not(
    server: Server,
    client: Redis,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dashtam_events.sse.redis._REST", 60.0)
    transport, me = RedisTransport(client, publish_timeout=30), uuid4()
    await transport.publish(told(me))
    server.pause()

    async def trial() -> float:
        nonlocal transport
        transport, begun = RedisTransport(client, publish_timeout=0.3), now()
        await transport.publish(told(me))
        return now() - begun

    async def ask(*_given: object, **_options: object) -> None:
        raise AssertionError("Redis was asked")

    assert 0.25 <= await quickest(trial, 0.6) < 0.6
    waited = len(caplog.records)
    monkeypatch.setattr(client.connection_pool, "get_connection", ask)
    for _ in range(100):
        await transport.publish(told(me))
        await transport.broadcast(told(me))
    failed = [(record.message, vars(record)["error_type"]) for record in caplog.records]
    assert failed == [("sse_publish_failed", "TimeoutError")] * (waited + 200)


async def test_publishing_begins_again_within_two_seconds_of_redis_being_back(
    server: Server, client: Redis
) -> None:
    async def trial() -> float:
        transport, me = RedisTransport(client, publish_timeout=0.2), uuid4()
        server.pause()
        await transport.publish(told(me, 1))
        server.go_on()
        begun = now()
        async with Redis.from_url(server.url) as other:
            before = await other.xlen(f"sse:stream:user:{me}")
            while await other.xlen(f"sse:stream:user:{me}") == before:
                await transport.publish(told(me, 2))
                await asyncio.sleep(0.01)
        return now() - begun

    assert await quickest(trial, 2) < 2


async def test_publishing_begins_again_at_once_where_the_process_listens(
    server: Server,
    client: Redis,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where its connection was lost too, and is made anew, nobody rests any longer."""
    monkeypatch.setattr("dashtam_events.sse.redis._REST", 60.0)
    transport, me = RedisTransport(client, ping_interval=0.1), uuid4()
    async with transport.subscribe(me) as subscription:
        server.pause()
        await transport.publish(told(me, 1))
        await eventually(lambda: "sse_redis_connection_lost" in caplog.messages)
        server.go_on()
        # Redis may still do what it was asked meanwhile.
        async with asyncio.timeout(30):
            while not any(each.event.data["number"] == 2 for each in subscription.take()):
                await transport.publish(told(me, 2))
                await asyncio.sleep(0.01)


async def test_an_event_that_redis_refuses_keeps_no_other_from_being_told(
    client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    transport, me, other = RedisTransport(client, publish_timeout=30), uuid4(), uuid4()
    await client.set(f"sse:stream:user:{other}", "no stream")
    async with transport.subscribe(me) as subscription:
        await listening(subscription)
        await transport.publish(told(other))
        await transport.publish(told(me, 1))
        assert await taken(subscription, 1) == [1]
    assert [record.message for record in caplog.records if "publish" in record.message] == [
        "sse_publish_failed"
    ]


@pytest.mark.parametrize("way", ["stop", "pause"])
async def test_where_redis_is_away_one_new_stream_waits_half_a_second_and_the_others_do_not(
    server: Server, client: Redis, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashtam_events.sse.redis._REST", 60.0)
    getattr(server, way)()
    app = SSEEndpoint(authenticate=authenticate, subscriber=RedisTransport(client))

    async def trial() -> float:
        nonlocal app
        app = SSEEndpoint(authenticate=authenticate, subscriber=RedisTransport(client))
        begun = now()
        await raw_stream(app, uuid4(), bool)
        return now() - begun

    assert await quickest(trial, 0.8) < 0.8
    # Whoever waits now waits too long to be overlooked.
    monkeypatch.setattr("dashtam_events.sse.redis._FIRST_WAIT", 60.0)
    async with asyncio.timeout(30):
        for _ in range(19):
            await raw_stream(app, uuid4(), bool)


@pytest.mark.parametrize("way", ["stop", "pause"])
async def test_streams_that_opened_while_redis_was_away_go_on_when_it_is_back(
    server: Server, client: Redis, way: str
) -> None:
    """The one that resumes gets what it had missed before, and both what comes after."""
    transport, me = RedisTransport(client, publish_timeout=30), uuid4()
    async with transport.subscribe(me) as opened:
        await listening(opened)
        cursor = opened.cursor
    await transport.publish(told(me, 1))
    getattr(server, way)()
    async with transport.subscribe(me, after=cursor) as one, transport.subscribe(uuid4()) as two:
        server.start() if way == "stop" else server.go_on()
        assert await taken(one, 1) == [1]
        await transport.publish(told(me, 2))
        await transport.broadcast(told(me, 3))
        assert await taken(one, 2) == [2, 3]
        assert await taken(two, 1) == [3]


@pytest.mark.parametrize("lasts", [False, True])
async def test_a_connection_that_falls_silent_is_made_anew_and_nothing_kept_is_lost(
    server: Server, client: Redis, caplog: pytest.LogCaptureFixture, lasts: bool
) -> None:
    """No end and no reset comes: the partition is seen by a ping without an answer.

    Where it lasts, the first connection that is made anew is swallowed by it too.
    """
    me, publisher = uuid4(), RedisTransport(client, publish_timeout=30)
    async with (
        Line(server.port).open() as line,
        Redis(port=line.port, socket_timeout=None) as far,
        RedisTransport(far, ping_interval=1).subscribe(me) as subscription,
    ):
        await listening(subscription)
        await publisher.publish(told(me, 0))
        assert await taken(subscription, 1) == [0]
        line.fall_silent()
        before = line.begun
        if lasts:
            await eventually(lambda: line.begun > before)
        line.mend()
        for number in range(1, 20):
            await publisher.publish(told(me, number))
        assert await taken(subscription, 19) == list(range(1, 20))
        await publisher.publish(told(me, 20))
        assert await taken(subscription, 1) == [20]
        assert subscription.take() == []
    lost = [r for r in caplog.records if r.message == "sse_redis_connection_lost"]
    assert [vars(record)["error_type"] for record in lost] == ["TimeoutError"] * (1 + lasts)


class _PatientPubSub(PubSub):
    """Takes the answer to a ping whenever it comes."""

    answers: list[Any]
    asked = False

    async def ping(self, message: Any = None) -> Any:
        self.asked = True
        return await super().ping(message)

    async def get_message(
        self, ignore_subscribe_messages: bool = False, timeout: float | None = 0.0
    ) -> Any:
        asked, self.asked = self.asked, False
        answer = await super().get_message(ignore_subscribe_messages, 20.0 if asked else timeout)
        if asked:
            self.answers.append(answer)
        return answer


class _Pinging(Redis):
    """Writes down how its pings were answered while it listened."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.answers: list[Any] = []

    def pubsub(self, **kwargs: Any) -> PubSub:
        pubsub = _PatientPubSub(self.connection_pool, **kwargs)
        pubsub.answers = self.answers
        return pubsub


@pytest.mark.parametrize(
    "options",
    [{}, {"decode_responses": True}, {"protocol": 2}, {"protocol": 3, "health_check_interval": 1}],
)
async def test_a_connection_on_which_nothing_is_said_is_kept(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    me = uuid4()
    caplog.set_level(logging.DEBUG, "dashtam_events.sse")
    monkeypatch.setattr("dashtam_events.sse.redis._PATIENCE", 30.0)
    async with _Pinging(port=server.port, **options) as client:
        transport = RedisTransport(client, ping_interval=0.05, publish_timeout=30)
        async with transport.subscribe(me) as subscription:
            await listening(subscription)
            await asyncio.sleep(options.get("health_check_interval", 0))
            await eventually(lambda: len(client.answers) > 3)
            assert None not in client.answers
            await transport.publish(told(me, 1))
            assert await taken(subscription, 1) == [1]
    assert [r.message for r in caplog.records if r.name == "dashtam_events.sse"] == []


async def test_a_server_that_never_answers_leaves_no_task_behind(
    server: Server, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashtam_events.sse.redis._PATIENCE", 60.0)
    transport = RedisTransport(client, ping_interval=0.05)
    before = asyncio.all_tasks()
    async with transport.subscribe(uuid4()):
        server.pause()
        async with transport.subscribe(uuid4()):
            await asyncio.sleep(0.3)
    await eventually(lambda: asyncio.all_tasks() == before)


async def test_many_streams_and_events_at_once_fit_into_the_connections_of_a_client(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashtam_events.sse.redis._FIRST_WAIT", 60.0)
    monkeypatch.setattr("dashtam_events.sse.redis._PATIENCE", 30.0)
    users = [uuid4() for _ in range(300)]
    async with Redis.from_url(server.url, max_connections=50) as client, AsyncExitStack() as stack:
        transport = RedisTransport(client, publish_timeout=60)
        subscriptions = [await stack.enter_async_context(transport.subscribe(me)) for me in users]
        await client.client_kill_filter(_type="pubsub")
        await asyncio.gather(*(transport.publish(told(me, 1)) for me in users))
        for subscription in subscriptions:
            assert await taken(subscription, 1) == [1]
    assert {record.message for record in caplog.records} <= {"sse_redis_connection_lost"}


async def test_streams_that_come_and_go_while_the_connection_is_cut_leave_the_others_hearing(
    server: Server, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Only one makes the connection anew: never in the midst of what another does over it."""
    me, chance = uuid4(), random.Random(7)
    transport = RedisTransport(client, publish_timeout=30, ping_interval=0.2)

    async def come_and_go() -> None:
        for _ in range(15):
            async with transport.subscribe(uuid4()):
                await asyncio.sleep(chance.uniform(0, 0.02))

    async def cut() -> None:
        async with Redis.from_url(server.url) as other:
            while True:
                await other.client_kill_filter(_type="pubsub")
                await asyncio.sleep(chance.uniform(0, 0.05))

    async with transport.subscribe(me) as subscription:
        await listening(subscription)
        cutting = asyncio.create_task(cut())
        await asyncio.gather(*(come_and_go() for _ in range(20)))
        cutting.cancel()
        for number in range(10):
            await transport.publish(told(me, number))
        assert await taken(subscription, 10) == list(range(10))
    assert [record for record in caplog.records if record.name == "asyncio"] == []
    lost = {vars(record).get("error_type") for record in caplog.records}
    assert lost <= {"ConnectionError", "TimeoutError"}


async def test_who_leaves_while_a_lost_connection_is_closed_leaves_none_behind(
    server: Server, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, go_on, close = asyncio.Event(), asyncio.Event(), PubSub.aclose

    async def slow(pubsub: PubSub) -> None:
        closing.set()
        await go_on.wait()
        await close(pubsub)  # type: ignore[no-untyped-call]  # it has no types

    monkeypatch.setattr("dashtam_events.sse.redis._PATIENCE", 30.0)
    monkeypatch.setattr(PubSub, "aclose", slow)
    async with AsyncExitStack() as stack:
        subscription = await stack.enter_async_context(RedisTransport(client).subscribe(uuid4()))
        await listening(subscription)
        await client.client_kill_filter(_type="pubsub")
        await closing.wait()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
    assert client.connection_pool._in_use_connections == set()


async def test_a_lost_connection_that_cannot_be_closed_is_made_anew(
    server: Server, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(pubsub: PubSub) -> None:
        raise KeyError(pubsub)

    transport, me = RedisTransport(client, publish_timeout=30), uuid4()
    async with transport.subscribe(me) as subscription:
        await listening(subscription)
        with monkeypatch.context() as patched:
            patched.setattr(PubSub, "aclose", fail)
            before = transport._pubsub
            await client.client_kill_filter(_type="pubsub")
            await eventually(lambda: transport._pubsub not in (before, None))
        await transport.publish(told(me, 1))
        assert await taken(subscription, 1) == [1]


async def test_a_connection_that_is_lost_while_it_is_asked_is_not_made_anew_by_redis_py(
    server: Server, client: Redis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ping = PubSub.ping

    async def last(pubsub: PubSub, message: Any = None) -> Any:
        monkeypatch.setattr(PubSub, "ping", ping)
        await ping(pubsub, message)
        connection: Any = pubsub.connection
        await connection.disconnect(nowait=True)

    transport = RedisTransport(client, ping_interval=0.1)
    monkeypatch.setattr(PubSub, "ping", last)
    async with transport.subscribe(uuid4()) as subscription:
        await listening(subscription)
        await eventually(lambda: "sse_redis_connection_lost" in caplog.messages, within=10)


class _SlowOnce(Redis):
    """Tells the time late when it is asked first after `late` was cleared."""

    late: asyncio.Event
    asked = False

    async def time(self, **kwargs: Any) -> Any:
        answer = await super().time(**kwargs)
        if not self.late.is_set() and not self.asked:
            self.asked = True
            await self.late.wait()
        return answer


async def test_what_was_read_before_the_connection_was_lost_again_does_not_count(
    server: Server,
) -> None:
    me = uuid4()
    async with _SlowOnce(port=server.port) as client, Redis(port=server.port) as other:
        client.late = asyncio.Event()
        client.late.set()
        publisher = RedisTransport(other, publish_timeout=30)
        async with RedisTransport(client).subscribe(me) as subscription:
            await listening(subscription)
            await publisher.publish(told(me, 0))
            assert await taken(subscription, 1) == [0]
            client.late.clear()
            await other.client_kill_filter(_type="pubsub")
            await eventually(lambda: client.asked)
            await publisher.publish(told(me, 1))
            await other.client_kill_filter(_type="pubsub")
            await publisher.publish(told(me, 2))
            assert await taken(subscription, 2) == [1, 2]
            client.late.set()
            await asyncio.sleep(0.05)
            await publisher.publish(told(me, 3))
            assert await taken(subscription, 1) == [3]
