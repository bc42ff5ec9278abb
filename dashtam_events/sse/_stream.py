"""One connection: what it is sent, in which order, and when and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from random import uniform
from typing import Any
from uuid import UUID

import attrs

from dashtam_events._ids import new_id
from dashtam_events.errors import CodecError, StoreError
from dashtam_events.recorded import Position
from dashtam_events.sse._cursor import LIVE, behind, parse
from dashtam_events.sse._feed import StoreFeed
from dashtam_events.sse._gathering import RECENT, Gathering
from dashtam_events.sse.counters import SSECounters
from dashtam_events.sse.subscription import Bounds, Delivery, Reset, SSESubscription
from dashtam_events.sse.wire import comment, frame

__all__ = ["Limits", "Message", "Receive", "Send", "Stream", "busy_frame"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_KEEP_ALIVE = comment("keep-alive")
_MOST_BYTES = 64 * 1024


@attrs.frozen(kw_only=True)
class Limits:
    """The numbers that every stream of an endpoint obeys; times in seconds."""

    retry: float
    keep_alive: float
    send_timeout: float
    bounds: Bounds


def busy_frame(requested: str | None, retry: float) -> bytes:
    """Come back later, with the same cursor as before."""
    cursor = requested if requested is not None and parse(requested) is not None else LIVE
    return frame(event_id=cursor, event_type="stream.busy", data={}, retry=_jittered(retry))


def _jittered(retry: float) -> int:
    """Milliseconds, different for everybody, so that not all come back at once."""
    return int(uniform(0.5, 1.5) * retry * 1000)  # noqa: S311  # it guards nothing


class Stream:
    """Belongs to the task that runs it. Whoever else calls it only says what is to be noticed."""

    __slots__ = (
        "_categories",
        "_closes_at",
        "_counters",
        "_cursor",
        "_ending",
        "_feed",
        "_gathering",
        "_inbox",
        "_is_cut",
        "_is_gathering",
        "_lagging",
        "_limits",
        "_loop",
        "_position",
        "_requested",
        "_resumable",
        "_send",
        "_sending_since",
        "_subscription",
        "_task",
        "_traffic",
        "_user_id",
        "_waiter",
    )

    def __init__(
        self,
        send: Send,
        *,
        user_id: UUID,
        requested: str | None,
        categories: frozenset[str] | None,
        closes_at: tuple[float, str],
        limits: Limits,
        counters: SSECounters,
        gathering: Gathering,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._send, self._user_id, self._requested = send, user_id, requested
        self._categories, self._closes_at = categories, closes_at
        self._limits, self._counters, self._gathering = limits, counters, gathering
        self._feed: StoreFeed | None = None
        self._inbox: SSESubscription | None = None
        self._subscription: SSESubscription | None = None
        self._ending: str | None = None
        self._is_cut = self._is_gathering = False
        self._waiter: asyncio.Future[None] | None = None
        self._sending_since: float | None = None
        self._traffic = self._loop.time()
        self._position: Position | None = None
        self._cursor, self._resumable, self._lagging = "", False, False

    def end(self, reason: str) -> None:
        """Let it end soon; the first reason counts."""
        self._ending = self._ending or reason
        self._wake()

    def cut(self, reason: str) -> None:
        """Let it end now, also in the middle of a send that does not come to its end."""
        self.end(reason)
        if self._task is not None and not self._is_cut:
            self._is_cut = True
            self._task.cancel()

    def look(self, instant: float) -> None:
        """Notice what the clock has brought; called again and again."""
        if self._sending_since is not None:
            if instant - self._sending_since > self._limits.send_timeout:
                self.cut("slow")
        elif instant >= self._closes_at[0]:
            self.end(self._closes_at[1])
        elif instant - self._traffic >= self._limits.keep_alive:
            self._wake()

    @property
    def is_cut(self) -> bool:
        """Whether it was ended in the middle of what it did."""
        return self._is_cut

    async def run(self, feed: StoreFeed | None, subscription: SSESubscription | None) -> str:
        """Send until there is a reason to end; returns the reason. The headers are out by then."""
        try:
            await self._live(feed, subscription)
        except OSError:
            self.end("disconnected")
        except asyncio.CancelledError:
            if not self._was_cut():
                raise
        finally:
            self._leave()
        return self._ending or "disconnected"

    async def _live(self, feed: StoreFeed | None, subscription: SSESubscription | None) -> None:
        try:
            await self._begin(feed, subscription)
            while self._ending is None:
                await self._go_on()
        except (StoreError, CodecError):
            self.end("store")
            await self._last_words(busy_frame(self._cursor or self._requested, self._limits.retry))
            return
        if self._ending != "disconnected":
            retry = _jittered(self._limits.retry)
            data = {"reason": self._ending}
            await self._last_words(self._control("stream.closing", data, retry=retry))

    def _was_cut(self) -> bool:
        """Whether it was cancelled by `cut` and by nobody else; if so, it is no more."""
        return self._is_cut and self._task is not None and self._task.uncancel() == 0

    async def _begin(self, feed: StoreFeed | None, subscription: SSESubscription | None) -> None:
        reset: Reset | None = None
        if subscription is not None:
            subscription.listen(self._notice)
            self._subscription = subscription
            self._cursor, reset = subscription.cursor or "", subscription.reset
        if feed is not None:
            start = await feed.start(self._user_id, self._requested)
            self._feed, self._lagging = feed, True
            self._counters.lagging += 1
            self._cursor, self._position, reset = start.cursor, start.position, start.reset
        self._resumable = bool(self._cursor)
        self._cursor = self._cursor or str(new_id())
        await self._send_body(self._opening(reset))

    def _opening(self, reset: Reset | None) -> bytes:
        resumed = reset is None and self._requested not in (None, LIVE)
        data = {
            "cursor": self._cursor,
            "resumed": resumed,
            "keep_alive_seconds": self._limits.keep_alive,
            "closes_in_seconds": round(self._closes_at[0] - self._loop.time(), 3),
        }
        first = self._control("stream.open", data, retry=int(self._limits.retry * 1000))
        if reset is None:
            return first
        self._counters.resets[reset.reason] += 1
        requested = (self._requested or "")[:128]
        data = {"reason": reset.reason, "requested": requested, "oldest": reset.oldest}
        return first + self._control("stream.reset", data)

    def _control(self, kind: str, data: dict[str, Any], *, retry: int | None = None) -> bytes:
        return frame(event_id=self._cursor, event_type=kind, data=data, retry=retry)

    async def _go_on(self) -> None:
        if self._lagging and self._feed is not None:
            await self._catch_up(self._feed)
        if not await self._send_what_waits() and not self._lagging and self._ending is None:
            await self._rest()

    async def _catch_up(self, feed: StoreFeed) -> None:
        page = await feed.page(self._user_id, self._position)
        self._counters.replayed += len(page.deliveries)
        await self._send_all(page.deliveries)
        self._position = page.reached
        if page.is_last:
            inbox = SSESubscription(self._limits.bounds)
            inbox.listen(self._notice)
            if feed.join(self._user_id, inbox, page.reached):
                self._inbox, self._lagging = inbox, False
                self._counters.lagging -= 1

    async def _send_what_waits(self) -> bool:
        waiting: list[Delivery] = []
        if self._inbox is not None:
            waiting = self._inbox.take()
            if self._inbox.overflowed:
                self._fall_back()
        if (subscription := self._subscription) is not None:
            waiting += subscription.take()
            if subscription.overflowed:
                self.end("slow")
            elif subscription.ended:
                self.end("interrupted")
        await self._send_all(waiting)
        return bool(waiting)

    def _fall_back(self) -> None:
        """More came at once than may wait here. All of it is in the store: read it there."""
        feed, inbox = self._feed, self._inbox
        if feed is not None and inbox is not None:
            feed.leave(self._user_id, inbox)
            self._inbox, self._lagging = None, True
            self._counters.lagging += 1

    async def _send_all(self, deliveries: Iterable[Delivery]) -> None:
        frames: list[bytes] = []
        size = 0
        for delivery in deliveries:
            framed = self._framed(delivery)
            if framed is None:
                continue
            if frames and size + len(framed) > _MOST_BYTES:
                await self._send_events(frames)
                frames, size = [], 0
            frames.append(framed)
            size += len(framed)
        if frames:
            await self._send_events(frames)

    def _framed(self, delivery: Delivery) -> bytes | None:
        """The bytes of an event for this client, and what its client will name from here on."""
        position = delivery.position
        if position is not None:
            if position <= (self._position or 0):
                return None
            self._position = position
        if self._categories is not None and delivery.event.category not in self._categories:
            return None
        # Beside a store, only what the store holds can be resumed after.
        if delivery.resumable and (self._feed is None or position is not None):
            self._cursor = str(delivery.event.event_id)
            return delivery.frame
        return behind(self._cursor, delivery.frame) if self._resumable else delivery.frame

    async def _send_events(self, frames: list[bytes]) -> None:
        await self._send_body(b"".join(frames))
        self._counters.sent_events += len(frames)

    async def _send_body(self, body: bytes, *, more: bool = True) -> None:
        self._sending_since = self._loop.time()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._traffic, self._sending_since = self._sending_since, None
        self._counters.sent_bytes += len(body)

    async def _rest(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._loop.time() - self._traffic >= self._limits.keep_alive:
            await self._send_body(_KEEP_ALIVE)

    def _notice(self) -> None:
        """Something has arrived: go on at once, or in a moment if something has just been sent."""
        if self._waiter is None or self._is_gathering:
            return
        if self._loop.time() - self._traffic < RECENT:
            self._is_gathering = True
            self._gathering.add(self._wake)
        else:
            self._wake()

    def _wake(self) -> None:
        self._is_gathering = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _last_words(self, body: bytes) -> None:
        await self._send_body(body)
        await self._send_body(b"", more=False)

    def _leave(self) -> None:
        if self._lagging:
            self._counters.lagging -= 1
        if self._feed is not None and self._inbox is not None:
            self._feed.leave(self._user_id, self._inbox)
