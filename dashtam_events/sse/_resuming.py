"""Joining what was kept to what comes live, where the two may overlap.

Who wants to miss nothing listens first, then reads what was kept, and then drops from what was
heard meanwhile what stood there already. The other order loses what comes in between.
"""

from collections.abc import Sequence
from uuid import UUID

import attrs

from dashtam_events.sse._cursor import at, parse
from dashtam_events.sse.subscription import Bounds, Delivery, Reset, SSESubscription

__all__ = ["Kept", "Listener"]


@attrs.frozen(kw_only=True)
class Kept:
    """An event that was kept, and when (milliseconds since 1970)."""

    delivery: Delivery
    instant: int

    @property
    def event_id(self) -> UUID:
        """The id of the event."""
        return self.delivery.event.event_id


class Listener:
    """One subscription to live events, with the memory that it needs to resume.

    It holds back what it hears until `join` has told it what was kept.
    """

    def __init__(self, bounds: Bounds, after: str | None) -> None:
        cursor = None if after is None else parse(after)
        shown = None if after is None or cursor is None else after.partition("~")[0]
        self.subscription = SSESubscription(bounds, cursor=shown)
        self._held: SSESubscription | None = SSESubscription(bounds)
        self._replayed: set[UUID] = set()
        self._last: UUID | None = None
        self._since: int | None = None
        self._has_entered = False
        self._is_malformed = after is not None and cursor is None
        if cursor is not None:
            self._last, self._since = cursor.event_id, cursor.position

    def enter(self) -> None:
        """The reader begins to read: it can no longer be told of a reset."""
        self._has_entered = True

    def hear(self, delivery: Delivery) -> None:
        """Take an event that came live."""
        if self._held is not None:
            self._held.put(delivery)
        else:
            self._pass_on(delivery)

    def hold(self) -> None:
        """Pass nothing on until what was kept meanwhile has been dealt with."""
        self._held = self._held or SSESubscription(self.subscription.bounds)

    def join(self, kept: Sequence[Kept], *, instant: int, lost_before: int) -> None:
        """Pass on what was kept and missed, then what was held back.

        Args:
            kept: all that is kept, in order.
            instant: what time it is by the clock of those who keep it, in milliseconds.
            lost_before: the time before which events may be kept no longer.
        """
        missed = self._missed(kept, instant, lost_before)
        held, self._held = self._held, None
        self._replayed = {each.event_id for each in missed}
        self._last = missed[-1].event_id if missed else self._last
        self._since = instant
        self.subscription.replay(each.delivery for each in missed)
        if held is not None and held.overflowed:
            self.subscription.overflow()
        for delivery in held.take() if held is not None else []:
            self._pass_on(delivery)

    def _pass_on(self, delivery: Delivery) -> None:
        event_id = delivery.event.event_id
        if event_id in self._replayed:
            self._replayed.discard(event_id)
            return
        if delivery.resumable:
            self._last = event_id
        self.subscription.put(delivery)

    def _missed(self, kept: Sequence[Kept], instant: int, lost_before: int) -> Sequence[Kept]:
        if self._last is not None:
            ids = [each.event_id for each in kept]
            if self._last in ids:
                return kept[ids.index(self._last) + 1 :]
            older = bool(kept) and self._last < ids[0]
            return self._start_over(kept, "trimmed" if older else "unknown", instant)
        if self._since is not None:
            if self._since < lost_before or self._since > instant:
                reason = "trimmed" if self._since < lost_before else "unknown"
                return self._start_over(kept, reason, instant)
            return [each for each in kept if each.instant >= self._since]
        if self._is_malformed:
            return self._start_over(kept, "malformed", instant)
        self._begin(kept[-1:], instant)
        return ()

    def _begin(self, last: Sequence[Kept], instant: int) -> None:
        """Remember the place before whatever comes."""
        self._last = last[-1].event_id if last else None
        self.subscription.cursor = at(instant) if self._last is None else str(self._last)

    def _start_over(self, kept: Sequence[Kept], reason: str, instant: int) -> Sequence[Kept]:
        if self._has_entered:
            # The reader cannot be told of a gap in the middle: it has to come back.
            self.subscription.end()
            return ()
        self._last, self._is_malformed = None, False
        oldest = str(kept[0].event_id) if kept else None
        self.subscription.reset = Reset(reason=reason, oldest=oldest)
        self.subscription.cursor = at(kept[0].instant if kept else instant)
        return kept
