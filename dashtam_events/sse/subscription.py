"""What waits to be told to one listener: bounded, so that nobody slow costs others anything."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Self

import attrs

from dashtam_events.errors import SlowSubscriber, SubscriptionEnded
from dashtam_events.recorded import Position
from dashtam_events.sse.event import ServerSentEvent

__all__ = ["Bounds", "Delivery", "Reset", "SSESubscription"]


@attrs.frozen(kw_only=True)
class Bounds:
    """How much may wait for one listener, in events and in bytes of their frames.

    An event that is larger than that alone still gets through where nothing else waits.
    """

    events: int = 1_024
    bytes: int = 1 << 20


@attrs.frozen(kw_only=True)
class Reset:
    """Why a stream could not go on where it was asked to; `oldest` is the first event kept.

    `reason` is `malformed`, `unknown` or `trimmed`.
    """

    reason: str
    oldest: str | None = None


@attrs.frozen(kw_only=True)
class Delivery:
    """An event on its way, one object for all who get it.

    `resumable` says that a client which comes back with this event's id can go on after it;
    `position` is where it stands in the store, if it came from there.
    """

    event: ServerSentEvent
    frame: bytes
    resumable: bool = False
    position: Position | None = None


def _nobody() -> None:
    pass


class SSESubscription:
    """The events for one listener, in the order of their publishing: an asynchronous iterator.

    It belongs to one event loop and to one reader. Once more waits than the bounds allow, what
    waits is thrown away, nothing more is taken, and the reader is told.

    `cursor` is what the events that come follow (None: nothing is kept that one could resume
    after), `reset` why that is not what was asked for.
    """

    __slots__ = ("_bounds", "_bytes", "_waiting", "_wake", "cursor", "ended", "overflowed", "reset")

    def __init__(
        self, bounds: Bounds, *, cursor: str | None = None, reset: Reset | None = None
    ) -> None:
        self._bounds = bounds
        self._waiting: list[Delivery] = []
        self._bytes = 0
        self._wake: Callable[[], None] = _nobody
        self.cursor: str | None = cursor
        self.reset: Reset | None = reset
        self.overflowed: bool = False
        self.ended: bool = False

    @property
    def bounds(self) -> Bounds:
        """How much may wait."""
        return self._bounds

    def listen(self, wake: Callable[[], None]) -> None:
        """Call this whenever there is something to take, to be told or to end."""
        self._wake = wake

    def put(self, delivery: Delivery) -> None:
        """Let an event wait for the reader; never blocks."""
        if self.overflowed or self.ended:
            return
        size = self._bytes + len(delivery.frame)
        full = len(self._waiting) >= self._bounds.events or size > self._bounds.bytes
        if self._waiting and full:
            self.overflow()
            return
        self._waiting.append(delivery)
        self._bytes = size
        self._wake()

    def replay(self, deliveries: Iterable[Delivery]) -> None:
        """Let what was kept wait for the reader, however much it is: the keeper has bounded it."""
        self._waiting.extend(deliveries)
        self._bytes = sum(len(delivery.frame) for delivery in self._waiting)
        self._wake()

    def overflow(self) -> None:
        """Throw away what waits and take nothing more: the reader is too slow."""
        self.overflowed = True
        self.take()
        self._wake()

    def end(self) -> None:
        """Nothing more will come."""
        self.ended = True
        self._wake()

    def take(self) -> list[Delivery]:
        """All that waits."""
        taken, self._waiting, self._bytes = self._waiting, [], 0
        return taken

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerSentEvent:
        """The next event.

        Raises:
            SlowSubscriber: more came than was allowed to wait.
            SubscriptionEnded: the source has gone, and events may be missing.
        """
        while not self._waiting:
            if self.overflowed:
                raise SlowSubscriber(self._bounds.events, self._bounds.bytes)
            if self.ended:
                raise SubscriptionEnded
            await self._arrival()
        delivery = self._waiting.pop(0)
        self._bytes -= len(delivery.frame)
        return delivery.event

    async def _arrival(self) -> None:
        arrived: asyncio.Event = asyncio.Event()
        self.listen(arrived.set)
        try:
            await arrived.wait()
        finally:
            self.listen(_nobody)
