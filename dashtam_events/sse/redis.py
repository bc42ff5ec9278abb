"""Server-sent events through Redis, between processes: the only module that knows redis-py."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from uuid import UUID

import msgspec

from dashtam_events.errors import MissingExtra
from dashtam_events.sse._resuming import Kept, Listener
from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.subscription import Bounds, Delivery, SSESubscription

try:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub
    from redis.exceptions import RedisError
except ModuleNotFoundError as _absent:
    raise MissingExtra("redis") from _absent

__all__ = ["RedisTransport"]

_BROADCAST = "sse:broadcast"
_USER = "sse:user:"
_KEPT = "sse:stream:user:"
_FIELD = "data"
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_FAILURES = (RedisError, OSError)


class RedisTransport:
    """An `SSEPublisher` and `SSESubscriber` for any number of processes.

    An event travels as the JSON of `to_dict` on the channel `sse:user:{user_id}`, a broadcast on
    `sse:broadcast`. The latest events of each user are kept in the Redis Stream
    `sse:stream:user:{user_id}`, in the field `data`; so a client can resume where it was, as long
    as that is kept. Broadcasts are not kept.

    One connection listens for all subscriptions of a process. When it is lost, it is made anew
    for as long as it takes, and what was missed meanwhile is read from the streams: nothing is
    lost or told twice as long as it is kept; where it is not, the subscription ends. Belongs to
    one event loop.

    Args:
        client: a client of redis-py's asyncio, which stays the caller's to close.
        event_class: what messages are read as.
        kept: how many events are kept for a user.
        kept_for: how many seconds after the last of them.
        publish_timeout: seconds that publishing may take before it is given up.
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
        max_events: int = 2_048,
        max_bytes: int = 2 << 20,
        logger: logging.Logger | None = None,
    ) -> None:
        self._client, self._event_class = client, event_class
        self._kept, self._kept_for, self._publish_timeout = kept, kept_for, publish_timeout
        self._bounds = Bounds(events=max_events, bytes=max_bytes)
        self._logger = logger or logging.getLogger("dashtam_events.sse")
        self._listening: dict[str, dict[Listener, asyncio.Event]] = {}
        self._heard: set[str] = set()
        self._pubsub: PubSub | None = None
        self._reader: asyncio.Task[None] | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()

    async def publish(self, event: ServerSentEvent) -> None:
        """Tell one user, and keep the event. See `SSEPublisher.publish`.

        Where Redis is away, that is logged as `sse_publish_failed`, and nobody is told.
        """
        data, key = msgspec.json.encode(event.to_dict()), f"{_KEPT}{event.user_id}"
        # One transaction: what a reader finds in the stream is on its way on the channel.
        telling = self._client.pipeline(transaction=True)
        telling.xadd(key, {_FIELD: data}, maxlen=self._kept, approximate=False)
        telling.expire(key, self._kept_for)
        telling.publish(f"{_USER}{event.user_id}", data)
        await self._tell(event, telling.execute())

    async def broadcast(self, event: ServerSentEvent) -> None:
        """Tell everybody who is connected anywhere. See `SSEPublisher.broadcast`.

        Where Redis is away, that is logged as `sse_publish_failed`, and nobody is told.
        """
        data = msgspec.json.encode(event.to_dict())
        await self._tell(event, self._client.publish(_BROADCAST, data))

    async def _tell(self, event: ServerSentEvent, telling: Awaitable[Any]) -> None:
        try:
            async with asyncio.timeout(self._publish_timeout):
                await telling
        except _FAILURES as error:
            self._warn("sse_publish_failed", error, event_type=str(event.event_type))

    @asynccontextmanager
    async def subscribe(
        self, user_id: UUID, *, after: str | None = None
    ) -> AsyncGenerator[SSESubscription, None]:
        """Listen for one user. See `SSESubscriber.subscribe`.

        It is entered when what was missed has been read; where Redis is away, after
        `publish_timeout`, and what was missed comes when Redis is back.
        """
        channel = f"{_USER}{user_id}"
        listener, joined = Listener(self._bounds, after), asyncio.Event()
        self._listening.setdefault(channel, {})[listener] = joined
        self._begin(channel, listener)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(joined.wait(), self._publish_timeout)
            listener.enter()
            yield listener.subscription
        finally:
            await self._leave(channel, listener)

    def _begin(self, channel: str, listener: Listener) -> None:
        if self._reader is None:
            self._reader = asyncio.create_task(self._read(), name="dashtam-events-sse-redis")
        elif channel in self._heard:
            self._do(self._catch_up(channel, listener))
        else:
            self._do(self._ask(channel))

    async def _leave(self, channel: str, listener: Listener) -> None:
        listening = self._listening[channel]
        del listening[listener]
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

    def _do(self, errand: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _ask(self, channel: str) -> None:
        """Listen to a channel, or no more, whatever is wanted by the time it comes to that."""
        async with self._asking:
            pubsub = self._pubsub
            if pubsub is None:
                return
            # The reader sees for itself that the connection is lost, and makes another.
            with suppress(*_FAILURES):
                if channel in self._listening:
                    await pubsub.subscribe(channel)
                else:
                    await pubsub.unsubscribe(channel)

    async def _read(self) -> None:
        pause = _SHORTEST_PAUSE
        while True:
            pubsub = self._client.pubsub()
            try:
                async with self._asking:
                    await pubsub.subscribe(_BROADCAST, *self._listening)
                    self._pubsub = pubsub
                async for message in pubsub.listen():
                    pause = _SHORTEST_PAUSE
                    self._hear(message)
            except _FAILURES as error:
                self._warn("sse_redis_connection_lost", error, retry_in=pause)
            finally:
                if self._pubsub is pubsub:
                    self._pubsub = None
                    self._heard.clear()
                with suppress(*_FAILURES):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]  # it has no types
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _hear(self, message: dict[str, Any]) -> None:
        channel = _text(message["channel"])
        if message["type"] == "subscribe":
            # For the first time or after the connection was lost: there may be a gap before it.
            self._heard.add(channel)
            for listener in self._listening.get(channel, {}):
                listener.hold()
                self._do(self._catch_up(channel, listener))
        elif message["type"] == "message":
            delivery = self._delivery(message["data"], resumable=channel != _BROADCAST)
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
                kept = await self._read_kept(channel.removeprefix(_USER))
                seconds, micros = await self._client.time()
            except _FAILURES as error:
                self._warn("sse_redis_not_readable", error, retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            instant = seconds * 1000 + micros // 1000
            full = len(kept) >= self._kept
            lost_before = kept[0].instant if full else instant - self._kept_for * 1000
            listener.join(kept, instant=instant, lost_before=lost_before)
            if joined := self._listening.get(channel, {}).get(listener):
                joined.set()
            return

    async def _read_kept(self, user_id: str) -> list[Kept]:
        found = cast("list[tuple[Any, dict[Any, Any]]]", await self._client.xrange(_KEPT + user_id))
        kept: list[Kept] = []
        for entry, fields in found:
            data = next((value for name, value in fields.items() if _text(name) == _FIELD), b"")
            delivery = self._delivery(data, resumable=True)
            if delivery is not None:
                kept.append(Kept(delivery=delivery, instant=int(_text(entry).partition("-")[0])))
        return kept

    def _delivery(self, data: bytes | str, *, resumable: bool) -> Delivery | None:
        """What a message says; nothing where it cannot be understood, which is logged."""
        try:
            event = self._event_class.from_dict(msgspec.json.decode(data))
            return Delivery(event=event, frame=event.encode(), resumable=resumable)
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            self._warn("sse_message_not_understood", error)
            return None

    def _warn(self, message: str, error: Exception, **facts: object) -> None:
        self._logger.warning(message, extra={"error_type": type(error).__name__} | facts)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
