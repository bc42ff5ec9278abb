"""Server-sent events through Redis, between processes: the only module that knows redis-py."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, cast
from uuid import UUID

import msgspec

from dashtam_events.errors import MissingExtra
from dashtam_events.sse._breaker import CircuitBreaker
from dashtam_events.sse._messages import FIELD, Messages, text
from dashtam_events.sse._resuming import Listener
from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.subscription import Bounds, SSESubscription

try:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError, ResponseError
except ModuleNotFoundError as _absent:
    raise MissingExtra("redis") from _absent

__all__ = ["RedisTransport"]

_BROADCAST = "sse:broadcast"
_USER = "sse:user:"
_KEPT = "sse:stream:user:"
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between attempts
_PATIENCE = 2.0  # seconds for a command of the listening side
_FIRST_WAIT = 0.5  # seconds that a new stream waits for what it missed
_REST = 1.0  # seconds for which nobody waits again after somebody waited in vain
_WRITERS, _READERS = 32, 8  # redis-py refuses more connections than its pool may hold
_FAILURES = (RedisError, OSError)


class RedisTransport:
    """An `SSEPublisher` and `SSESubscriber` for any number of processes.

    An event travels as the JSON of `to_dict` on the channel `sse:user:{user_id}`, a broadcast on
    `sse:broadcast`. The latest events of each user are kept in the Redis Stream
    `sse:stream:user:{user_id}`, in the field `data`; so a client can resume where it was, as long
    as that is kept. Broadcasts are not kept.

    One connection listens for all subscriptions of a process. When it is lost, it is made anew
    for as long as it takes, and what was missed meanwhile is read from the streams: nothing is
    lost or told twice as long as it is kept; where it is not, the subscription ends. A connection
    that is open and silent is asked whether it lives, so that a partition is noticed too. Belongs
    to one event loop.

    Args:
        client: a client of redis-py's asyncio, which stays the caller's to close.
        event_class: what messages are read as.
        kept: how many events are kept for a user.
        kept_for: how many seconds after the last of them.
        publish_timeout: seconds that publishing may take before it is given up.
        ping_interval: seconds of silence after which the connection that listens is sent a ping;
            when as many more pass without an answer, it is made anew.
        max_events: how many events may wait for one subscription.
        max_bytes: how many bytes of them.
        logger: by default `dashtam_events.sse`.
    """

    def __init__(
        self,
        client: Redis,
        *,
        event_class: type[ServerSentEvent] = ServerSentEvent,
        kept: int = 1_000,
        kept_for: int = 3_600,
        publish_timeout: float = 2.0,
        ping_interval: float = 5.0,
        max_events: int = 2_048,
        max_bytes: int = 2 << 20,
        logger: logging.Logger | None = None,
    ) -> None:
        self._client, self._kept, self._kept_for = client, kept, kept_for
        self._publish_timeout, self._ping_interval = publish_timeout, ping_interval
        self._bounds = Bounds(events=max_events, bytes=max_bytes)
        self._logger = logger or logging.getLogger("dashtam_events.sse")
        self._messages = Messages(event_class, self._logger)
        self._publishing = CircuitBreaker(rest=_REST, longest=publish_timeout)
        self._joining = CircuitBreaker(rest=_REST, longest=_FIRST_WAIT)
        self._writing, self._reading = asyncio.Semaphore(_WRITERS), asyncio.Semaphore(_READERS)
        self._listening: dict[str, dict[Listener, asyncio.Event]] = {}
        self._heard: set[str] = set()
        self._pubsub: PubSub | None = None
        self._reader: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._catching_up: dict[Listener, asyncio.Task[None]] = {}
        self._asking = asyncio.Lock()

    async def publish(self, event: ServerSentEvent) -> None:
        """Tell one user, and keep the event. See `SSEPublisher.publish`.

        Where Redis is away, that is logged as `sse_publish_failed`, and the event is given up:
        after `publish_timeout`, or at once for a second after another waited in vain.
        """
        data, key = msgspec.json.encode(event.to_dict()), f"{_KEPT}{event.user_id}"
        # One transaction: what a reader finds in the stream is on its way on the channel.
        telling = self._client.pipeline(transaction=True)
        telling.xadd(key, {FIELD: data}, maxlen=self._kept, approximate=False)
        telling.expire(key, self._kept_for)
        telling.publish(f"{_USER}{event.user_id}", data)
        await self._tell(event, telling.execute)

    async def broadcast(self, event: ServerSentEvent) -> None:
        """Tell everybody who is connected anywhere. See `SSEPublisher.broadcast`.

        Where Redis is away, it is as with `publish`.
        """
        data = msgspec.json.encode(event.to_dict())
        await self._tell(event, lambda: self._client.publish(_BROADCAST, data))

    async def _tell(self, event: ServerSentEvent, telling: Callable[[], Awaitable[Any]]) -> None:
        failure = self._publishing.failure
        if self._publishing.allows():
            try:
                async with asyncio.timeout(self._publish_timeout), self._writing:
                    await telling()
            except _FAILURES as error:
                failure = type(error).__name__
                # An answer that says no came quickly, and is about this event only.
                if not isinstance(error, ResponseError):
                    self._publishing.fail(failure)
            else:
                self._publishing.succeed()
                return
        facts = {"error_type": failure, "event_type": str(event.event_type)}
        self._logger.warning("sse_publish_failed", extra=facts)

    @asynccontextmanager
    async def subscribe(
        self, user_id: UUID, *, after: str | None = None
    ) -> AsyncGenerator[SSESubscription, None]:
        """Listen for one user. See `SSESubscriber.subscribe`.

        It is entered when what was missed has been read; where Redis is away, after half a
        second, or at once when another has waited for it in vain in the second before. What was
        missed comes when Redis is back.
        """
        channel = f"{_USER}{user_id}"
        listener, joined = Listener(self._bounds, after), asyncio.Event()
        self._listening.setdefault(channel, {})[listener] = joined
        self._begin(channel, listener)
        try:
            await self._wait_for(joined)
            listener.enter()
            yield listener.subscription
        finally:
            await self._leave(channel, listener)

    async def _wait_for(self, joined: asyncio.Event) -> None:
        if not self._joining.allows():
            return
        try:
            await asyncio.wait_for(joined.wait(), _FIRST_WAIT)
        except TimeoutError as error:
            self._joining.fail(type(error).__name__)
        else:
            self._joining.succeed()

    def _begin(self, channel: str, listener: Listener) -> None:
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(), name="dashtam-events-sse-redis")
        elif channel in self._heard:
            self._start_catching_up(channel, listener)
        else:
            self._do(self._ask(channel))

    async def _leave(self, channel: str, listener: Listener) -> None:
        listening = self._listening[channel]
        del listening[listener]
        if catching_up := self._catching_up.pop(listener, None):
            catching_up.cancel()
        if not listening:
            del self._listening[channel]
            self._heard.discard(channel)
            self._do(self._ask(channel))
        if not self._listening:
            await self._rest()

    async def _rest(self) -> None:
        """Nobody listens: leave no task and no connection behind."""
        reader, self._reader = self._reader, None
        tasks = [*self._errands, *([reader] if reader else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _start_catching_up(self, channel: str, listener: Listener) -> None:
        # One that began before the connection was lost may have read too early to close the gap.
        if earlier := self._catching_up.get(listener):
            earlier.cancel()
        self._catching_up[listener] = self._do(self._catch_up(channel, listener))

    def _do(self, errand: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
        return task

    async def _ask(self, channel: str) -> None:
        """Listen to a channel, or no more, whatever is wanted by the time it comes to that."""
        async with self._asking:
            pubsub = self._pubsub
            if pubsub is None:
                return
            # The reader sees for itself that the connection is lost, and makes another.
            with suppress(*_FAILURES):
                async with asyncio.timeout(_PATIENCE):
                    wanted = channel in self._listening
                    await (pubsub.subscribe if wanted else pubsub.unsubscribe)(channel)

    async def _read(self) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            pubsub = self._client.pubsub()
            try:
                async with self._asking, asyncio.timeout(_PATIENCE):
                    await pubsub.subscribe(_BROADCAST, *self._listening)
                    self._pubsub = pubsub
                with _never_anew(pubsub):
                    while True:
                        message = await self._next(pubsub)
                        pause = _SHORTEST_PAUSE
                        self._hear(message)
            except Exception as error:  # noqa: BLE001  # whatever it is, the process goes on hearing
                self._warn("sse_redis_connection_lost", error, retry_in=pause)
            finally:
                if self._pubsub is pubsub:
                    self._pubsub = None
                    self._heard.clear()
                closing = asyncio.create_task(self._close(pubsub))
                try:
                    await asyncio.shield(closing)
                except asyncio.CancelledError:
                    await closing
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _close(self, pubsub: PubSub) -> None:
        """Give its connection back, closed."""
        # Who is asking over it just now comes first, and is not disturbed.
        async with self._asking:
            # Closing may wait for the other side; the second time there is nothing to wait for.
            for _ in range(2):
                with suppress(Exception):
                    async with asyncio.timeout(_PATIENCE):
                        await pubsub.aclose()  # type: ignore[no-untyped-call]  # it has no types

    async def _next(self, pubsub: PubSub) -> dict[str, Any]:
        """The next message. A connection on which none comes has to answer a ping."""
        async with asyncio.timeout(2 * self._ping_interval + _PATIENCE):
            message = await pubsub.get_message(timeout=self._ping_interval)
            if message is None:
                await pubsub.ping()
                message = await pubsub.get_message(timeout=self._ping_interval)
            if message is None:
                raise TimeoutError
            return cast("dict[str, Any]", message)

    def _hear(self, message: dict[str, Any]) -> None:
        kind, channel = message["type"], text(message["channel"] or "")
        if kind == "subscribe":
            self._publishing.succeed()
            self._joining.succeed()
            # For the first time or after the connection was lost: there may be a gap before it.
            self._heard.add(channel)
            for listener in self._listening.get(channel, {}):
                listener.hold()
                self._start_catching_up(channel, listener)
        elif kind == "message":
            delivery = self._messages.delivery(message["data"], resumable=channel != _BROADCAST)
            if delivery is not None:
                for listener in self._listeners(channel):
                    listener.hear(delivery)

    def _listeners(self, channel: str) -> Iterable[Listener]:
        if channel != _BROADCAST:
            return self._listening.get(channel, ())
        return [listener for listening in self._listening.values() for listener in listening]

    async def _catch_up(self, channel: str, listener: Listener) -> None:
        pause = _SHORTEST_PAUSE
        while listener in self._listening.get(channel, ()):
            try:
                async with self._reading, asyncio.timeout(_PATIENCE):
                    entries = await self._client.xrange(_KEPT + channel.removeprefix(_USER))
                    seconds, micros = await self._client.time()
            except _FAILURES as error:
                self._warn("sse_redis_not_readable", error, retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            kept = self._messages.kept(cast("list[tuple[Any, dict[Any, Any]]]", entries))
            instant = seconds * 1000 + micros // 1000
            full = len(kept) >= self._kept
            lost_before = kept[0].instant if full else instant - self._kept_for * 1000
            listener.join(kept, instant=instant, lost_before=lost_before)
            if joined := self._listening.get(channel, {}).get(listener):
                joined.set()
            return

    def _warn(self, message: str, error: Exception, **facts: object) -> None:
        self._logger.warning(message, extra={"error_type": type(error).__name__} | facts)


class _Once(Retry):
    """Does a thing once, and only over a connection that there is."""

    def __init__(self, connection: Any) -> None:
        super().__init__(NoBackoff(), 0)
        self._connection = connection

    async def call_with_retry(self, do: Any, *_given: Any, **_options: Any) -> Any:
        if not self._connection.is_connected:
            raise ConnectionError
        return await do()


@contextmanager
def _never_anew(pubsub: PubSub) -> Generator[None]:
    """Have redis-py report that the connection is lost, in place of making it anew.

    Those who read and those who ask would each make it anew, in the midst of what the other does.
    """
    connection: Any = pubsub.connection
    usual, connection.retry = connection.retry, _Once(connection)
    try:
        yield
    finally:
        connection.retry = usual
