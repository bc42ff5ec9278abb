"""The endpoint that browsers connect to: a plain ASGI application."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from random import uniform
from typing import Any
from uuid import UUID

import attrs

from dashtam_events._clock import now
from dashtam_events.sse import _answers
from dashtam_events.sse._cursor import LIVE
from dashtam_events.sse._feed import StoreFeed
from dashtam_events.sse._gathering import Gathering
from dashtam_events.sse._request import BadQuery, Request, read_request
from dashtam_events.sse._signals import on_exit_signal
from dashtam_events.sse._stream import Limits, Receive, Send, Stream, busy_frame
from dashtam_events.sse.counters import SSECounters
from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.protocol import SSESubscriber
from dashtam_events.sse.subscription import Bounds, SSESubscription
from dashtam_events.store.protocol import EventStore

__all__ = ["Authenticate", "SSEEndpoint", "SSEUser"]

_PARTING = 0.5  # seconds that clients get to take the last words of an endpoint that shuts down

Scope = MutableMapping[str, Any]


@attrs.frozen(kw_only=True)
class SSEUser:
    """Who a request comes from, and (aware) until when that is to be believed."""

    user_id: UUID
    expires_at: datetime | None = None


Authenticate = Callable[[Scope], Awaitable[SSEUser | UUID | None]]
"""Says from the ASGI scope of a request whose it is; None: nobody's, which is answered with 401.

Raising means that it cannot be said now: the client is told to come back later.
"""


class SSEEndpoint:
    """Shows each user their events while they happen, as `text/event-stream`.

    With a store, a client that comes back with the id it saw last gets every stored event after
    it, once, in commit order, whichever process it meets; what `subscriber` brings besides is
    heard by those who are connected, and its ids resume after the stored event before it. With
    a subscriber alone, resuming is as good as what that keeps: a Redis transport some, a hub
    nothing. A client that cannot go on where it was is told so by `stream.reset`.

    Mount it in any ASGI framework and hand `lifespan` to it, so that open streams do not hold up
    the end of the server. One endpoint belongs to one event loop. Do not both store an event and
    publish it to the subscriber: it would be shown twice.

    Args:
        authenticate: see `Authenticate`.
        store: where domain events are read from.
        subscriber: where events come from that are published directly, such as an `SSEHub`.
        event_class: what domain events are shown as; it decides the category of a type.
        categories: those that a client may ask for; with `SSEEvent` those of `SSEEventCategory`.
        retry: seconds after which a client comes back; about that, where many do at once.
        keep_alive: seconds without traffic after which a comment is sent.
        send_timeout: seconds after which a client that takes nothing is cut off.
        lifetime: seconds after which a stream ends, less up to a fifth of it, so that not all
            come back at once. It ends earlier where the user's token expires.
        max_per_user: streams that one user may have open; more are told to come back later.
        max_connections: the same for all users together.
        max_events: how many events may wait for one connection before it has to read them from
            the store again.
        max_bytes: how many bytes of them.
        poll: seconds after which the store is asked again, should its wake-up fail to come.
        logger: by default `dashtam_events.sse`.
    """

    def __init__(
        self,
        *,
        authenticate: Authenticate,
        store: EventStore | None = None,
        subscriber: SSESubscriber | None = None,
        event_class: type[ServerSentEvent] = ServerSentEvent,
        categories: Iterable[str] = (),
        retry: float = 3.0,
        keep_alive: float = 15.0,
        send_timeout: float = 5.0,
        lifetime: float = 600.0,
        max_per_user: int = 12,
        max_connections: int = 10_000,
        max_events: int = 1_024,
        max_bytes: int = 1 << 20,
        poll: float = 5.0,
        logger: logging.Logger | None = None,
    ) -> None:
        if store is None and subscriber is None:
            raise ValueError("give a store, a subscriber or both: there is nothing to show")
        self._authenticate, self._subscriber = authenticate, subscriber
        self._categories = frozenset(str(category) for category in categories)
        self._lifetime, self._per_user, self._most = lifetime, max_per_user, max_connections
        bounds = Bounds(events=max_events, bytes=max_bytes)
        self._limits = Limits(
            retry=retry, keep_alive=keep_alive, send_timeout=send_timeout, bounds=bounds
        )
        self._tick = min(1.0, keep_alive / 4, send_timeout / 4, lifetime / 4)
        self.counters: SSECounters = SSECounters()
        self._gathering = Gathering()
        self._logger = logger = logger or logging.getLogger("dashtam_events.sse")
        self._feed: StoreFeed | None = None
        if store is not None:
            self._feed = StoreFeed(store, event_class, self.counters, poll=poll, logger=logger)
        self._streams: dict[UUID, set[Stream]] = {}
        self._clock: asyncio.Task[None] | None = None
        self._empty: asyncio.Event | None = None
        self._closing = False
        self._stuck: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what a server or framework calls."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
        elif scope["method"] not in ("GET", "HEAD"):
            await _answers.method_not_allowed(send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            user = await self._authenticate(scope)
        except Exception as error:  # noqa: BLE001  # a status of 500 would end a browser for good
            facts = {"error_type": type(error).__name__}
            self._logger.error("sse_authentication_failed", extra=facts)  # noqa: TRY400  # no values
            await self._turn_away(scope, send)
            return
        user = SSEUser(user_id=user) if isinstance(user, UUID) else user
        until = None if user is None else self._until(user)
        if user is None or until is None:
            await _answers.unauthorized(send)
            return
        try:
            request = read_request(scope, self._categories)
        except BadQuery as error:
            await _answers.bad_query(send, str(error), sorted(self._categories))
            return
        await _answers.stream_headers(send)
        if scope["method"] == "HEAD":
            await _answers.last(send, b"")
        elif self._is_busy(user.user_id):
            self.counters.refused += 1
            await _answers.last(send, busy_frame(request.cursor, self._limits.retry))
        else:
            await self._serve(user.user_id, request, until, receive, send)

    async def _turn_away(self, scope: Scope, send: Send) -> None:
        self.counters.refused += 1
        cursor: str | None = None
        with suppress(BadQuery):
            cursor = read_request(scope, self._categories).cursor
        await _answers.stream_headers(send)
        is_head = scope["method"] == "HEAD"
        await _answers.last(send, b"" if is_head else busy_frame(cursor, self._limits.retry))

    def _until(self, user: SSEUser) -> tuple[float, str] | None:
        """When a stream ends by the loop's clock, and why; None where it may not begin."""
        lasts, why = self._lifetime * uniform(0.8, 1.0), "lifetime"  # noqa: S311  # it guards nothing
        if user.expires_at is not None:
            valid = (user.expires_at - now()).total_seconds()
            lasts, why = min((lasts, why), (valid, "expired"))
        return (asyncio.get_running_loop().time() + lasts, why) if lasts > 0 else None

    def _is_busy(self, user_id: UUID) -> bool:
        own = len(self._streams.get(user_id, ()))
        return self._closing or own >= self._per_user or self.counters.open >= self._most

    async def _serve(
        self,
        user_id: UUID,
        request: Request,
        until: tuple[float, str],
        receive: Receive,
        send: Send,
    ) -> None:
        stream = Stream(
            send,
            user_id=user_id,
            requested=request.cursor,
            categories=request.categories,
            closes_at=until,
            limits=self._limits,
            counters=self.counters,
            gathering=self._gathering,
        )
        self._enter(stream, user_id)
        watching = asyncio.create_task(_watch(stream, receive))
        reason = "error"
        try:
            async with self._subscribed(user_id, request.cursor) as subscription:
                reason = await stream.run(self._feed, subscription)
        except asyncio.CancelledError:
            reason = "cancelled"
            raise
        finally:
            self.counters.ended[reason] += 1
            try:
                if stream.is_cut and not self._closing:
                    await self._let_go(send, watching)
            finally:
                self._leave(stream, user_id)
                watching.cancel()
                await asyncio.wait([watching])
                if not self._streams:
                    await self._rest()

    async def _let_go(self, send: Send, watching: asyncio.Task[None]) -> None:
        """Keep counting a connection that takes nothing until it is gone or takes its end.

        An application cannot close a socket, and a server that is told to waits for its buffer.
        """
        ending = asyncio.create_task(_end(send))
        self._stuck.add(ending)
        self.counters.stuck += 1
        try:
            await asyncio.wait([ending, watching], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.counters.stuck -= 1
            self._stuck.discard(ending)
            ending.cancel()
            await asyncio.wait([ending])

    @asynccontextmanager
    async def _subscribed(
        self, user_id: UUID, cursor: str | None
    ) -> AsyncGenerator[SSESubscription | None, None]:
        if self._subscriber is None:
            yield None
            return
        resumable = self._feed is None and cursor != LIVE
        after = cursor if resumable else None
        async with self._subscriber.subscribe(user_id, after=after) as subscription:
            yield subscription

    def _enter(self, stream: Stream, user_id: UUID) -> None:
        self._streams.setdefault(user_id, set()).add(stream)
        self.counters.open += 1
        self.counters.opened += 1
        if self._clock is None:
            self._clock = asyncio.create_task(self._look_round(), name="dashtam-events-sse-clock")

    def _leave(self, stream: Stream, user_id: UUID) -> None:
        self.counters.open -= 1
        own = self._streams[user_id]
        own.discard(stream)
        if not own:
            del self._streams[user_id]
        if not self._streams and self._empty is not None:
            self._empty.set()

    async def _rest(self) -> None:
        """Nobody is connected: leave no task behind."""
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.cancel()
            await asyncio.wait([clock])
        if self._feed is not None and not self._streams:
            await self._feed.rest()

    def _all(self) -> list[Stream]:
        return [stream for own in self._streams.values() for stream in own]

    async def _look_round(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._tick)
            instant = loop.time()
            for stream in self._all():
                stream.look(instant)

    async def cursor(self) -> str:
        """The cursor after all that the store holds by now: `?last_event_id=` takes it.

        A page that was rendered from the state of now misses nothing when it connects with it.

        Raises:
            StoreError: the store cannot be read.
        """
        return LIVE if self._feed is None else await self._feed.end()

    def begin_shutdown(self) -> None:
        """Tell every client to come back later, and take none on from now."""
        self._closing = True
        for stream in self._all():
            stream.end("shutdown")
        for ending in self._stuck:
            ending.cancel()

    async def shutdown(self) -> None:
        """End every stream; returns when they are gone, in under a second. Twice is fine."""
        self.begin_shutdown()
        if self._streams:
            self._empty = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), _PARTING)
            for stream in self._all():
                stream.cut("shutdown")
            await self._empty.wait()
        await self._rest()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None, None]:  # noqa: ARG002  # what frameworks pass
        """A lifespan for Starlette and FastAPI, or a part of one.

        A server waits for open connections before it lets the application shut down. So inside
        of this, the signals that end a server (SIGINT, SIGTERM) also end the streams.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.shutdown)
            stack.enter_context(on_exit_signal(self.begin_shutdown))
            yield

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.lifespan():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _end(send: Send) -> None:
    with suppress(OSError):
        await _answers.last(send, b"")


async def _watch(stream: Stream, receive: Receive) -> None:
    """Notice that the client has gone, which a stream at rest would not."""
    with suppress(OSError):
        while (await receive())["type"] != "http.disconnect":
            pass
    stream.end("disconnected")
