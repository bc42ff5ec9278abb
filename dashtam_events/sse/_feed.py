"""A store as the source of streams: what a connection missed, then what comes, without a seam.

One task follows the store for everybody. A connection that is behind reads pages for itself;
once it has read to where that task is, it takes its events from there. All positions a
connection has dealt with lie at or below its cursor, all that it will be handed above.
"""

import asyncio
import logging
from uuid import UUID

import attrs

from dashtam_events._clock import now
from dashtam_events.errors import CodecError, SSEEncodingError, StoreError
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.sse._cursor import Cursor, at, parse
from dashtam_events.sse.counters import SSECounters
from dashtam_events.sse.event import ServerSentEvent
from dashtam_events.sse.subscription import Delivery, Reset, SSESubscription
from dashtam_events.store.protocol import EventStore

__all__ = ["Page", "Start", "StoreFeed"]

_PAGE = 256
_LONGEST_PAUSE = 5.0


@attrs.frozen(kw_only=True)
class Start:
    """Where a stream begins: after `position`, which the client knows as `cursor`."""

    cursor: str
    position: Position | None
    reset: Reset | None = None


@attrs.frozen(kw_only=True)
class Page:
    """Events of one user in commit order, and how far the log has been read with them."""

    deliveries: list[Delivery]
    reached: Position | None
    is_last: bool


class StoreFeed:
    """Reads a store for all the connections of an endpoint; belongs to one event loop."""

    def __init__(
        self,
        store: EventStore,
        event_class: type[ServerSentEvent],
        counters: SSECounters,
        *,
        poll: float,
        logger: logging.Logger,
    ) -> None:
        self._store, self._event_class = store, event_class
        self._counters, self._poll, self._logger = counters, poll, logger
        self._listening: dict[UUID, dict[SSESubscription, None]] = {}
        self._position: Position | None = None
        self._tail: asyncio.Task[None] | None = None

    async def start(self, user_id: UUID, requested: str | None) -> Start:
        """Where the stream of a client begins that came with this cursor, or with none.

        Raises:
            StoreError: the store cannot be read.
        """
        if requested is None:
            return await self._from_now()
        cursor = parse(requested)
        if cursor is None:
            return await self._from_the_beginning(user_id, "malformed")
        if cursor.is_live:
            return await self._from_now()
        known, position = await self._known(user_id, cursor)
        if not known:
            return await self._from_the_beginning(user_id, "unknown")
        return Start(cursor=requested.partition("~")[0], position=position)

    async def end(self) -> str:
        """The cursor after all that the log holds by now."""
        return at(await self._store.last_position())

    async def _from_now(self) -> Start:
        position = self._position if self._tail else await self._store.last_position()
        return Start(cursor=at(position), position=position)

    async def _from_the_beginning(self, user_id: UUID, reason: str) -> Start:
        oldest: str | None = None
        async for recorded in self._store.read_all(limit=1, subject=user_id):
            oldest = str(recorded.event.event_id)
        return Start(cursor=at(None), position=None, reset=Reset(reason=reason, oldest=oldest))

    async def _known(self, user_id: UUID, cursor: Cursor) -> tuple[bool, Position | None]:
        if cursor.event_id is None:
            end = await self._store.last_position()
            position = Position(cursor.position or 0)
            return position <= (end or 0), position or None
        found = await self._store.position_of(cursor.event_id)
        if found is None:
            return False, None
        before = Position(found - 1) if found > 1 else None
        # Read as one of the user's own: somebody else's event is as good as none.
        async for recorded in self._store.read_all(after=before, limit=1, subject=user_id):
            return recorded.event.event_id == cursor.event_id, found
        return False, None

    async def page(self, user_id: UUID, after: Position | None) -> Page:
        """What the log holds for a user after a position, at most a page of it.

        Raises:
            StoreError: the store cannot be read.
            CodecError: an event cannot be read.
        """
        # Asked for before reading: all up to here has then been looked at.
        end = await self._store.last_position()
        reading = self._store.read_all(after=after, limit=_PAGE, subject=user_id)
        found = [recorded async for recorded in reading]
        is_last = len(found) < _PAGE
        reached = max(after or 0, found[-1].position if found else 0, (end or 0) if is_last else 0)
        deliveries = [shown for recorded in found if (shown := self._shown(recorded)) is not None]
        return Page(deliveries=deliveries, reached=Position(reached) or None, is_last=is_last)

    def join(self, user_id: UUID, inbox: SSESubscription, reached: Position | None) -> bool:
        """Hand over what comes after a position, if nothing of it was handed out already.

        Where it returns False, the caller has to read another page first.
        """
        if self._tail is None:
            self._position = reached
            self._tail = asyncio.create_task(self._follow(), name="dashtam-events-sse-feed")
        elif (self._position or 0) > (reached or 0):
            return False
        self._listening.setdefault(user_id, {})[inbox] = None
        return True

    def leave(self, user_id: UUID, inbox: SSESubscription) -> None:
        """Hand over nothing more; fine where it never joined."""
        listening = self._listening.get(user_id, {})
        listening.pop(inbox, None)
        if not listening:
            self._listening.pop(user_id, None)

    async def rest(self) -> None:
        """Stop following the store; the next connection that joins starts it again."""
        tail, self._tail = self._tail, None
        if tail is not None:
            tail.cancel()
            await asyncio.wait([tail])

    async def _follow(self) -> None:
        pause = 0.1
        while True:
            try:
                await self._next_page()
                pause = 0.1
            except (StoreError, CodecError) as error:
                facts = {"error_type": type(error).__name__, "retry_in": pause}
                self._logger.warning("sse_store_not_readable", extra=facts)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _next_page(self) -> None:
        await self._store.wait(after=self._position, timeout=self._poll)
        reading = self._store.read_all(after=self._position, limit=_PAGE)
        async for recorded in reading:
            self._hand_out(recorded)

    def _hand_out(self, recorded: RecordedEvent) -> None:
        self._position = recorded.position
        shown = self._shown(recorded)
        listening = {} if shown is None else self._listening.get(shown.event.user_id, {})
        if shown is None or not listening:
            return
        self._counters.lag = (now() - recorded.recorded_at).total_seconds()
        for inbox in listening:
            inbox.put(shown)

    def _shown(self, recorded: RecordedEvent) -> Delivery | None:
        """What its user sees of an event; nothing where it cannot be shown, which is logged."""
        event: DomainEvent = recorded.event
        try:
            shown = self._event_class.from_recorded(recorded)
            frame = None if shown is None else shown.encode()
        except (SSEEncodingError, TypeError, ValueError) as error:
            facts = {"event_type": type(event).__name__, "event_id": str(event.event_id)}
            facts["error_type"] = type(error).__name__
            self._logger.warning("sse_event_not_shown", extra=facts)
            return None
        if shown is None or frame is None:
            return None
        return Delivery(event=shown, frame=frame, resumable=True, position=recorded.position)
