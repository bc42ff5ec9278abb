"""Reading a log a page at a time, and knowing how far it was read where nothing matched."""

from collections.abc import Collection
from uuid import UUID

import attrs

from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store.protocol import EventStore

__all__ = ["Filter", "Page", "read_page"]

_SIZE = 256


@attrs.frozen(kw_only=True)
class Filter:
    """Which events are wanted; the filters of `EventStore.read_all`."""

    types: Collection[type[DomainEvent] | str] | None = None
    categories: Collection[str] | None = None
    subject: UUID | str | None = None

    async def end_of(self, store: EventStore) -> Position | None:
        """Up to where a reading that begins now looks, also where nothing matches.

        It is asked for before reading: what is committed meanwhile lies behind it. Where every
        event is wanted, the last of them says as much.
        """
        if self.types is None and self.categories is None and self.subject is None:
            return None
        return await store.last_position()


@attrs.frozen(kw_only=True)
class Page:
    """Wanted events in commit order.

    `reached` is how far the log has been read once they are dealt with; `is_last` that there was
    nothing beyond it.
    """

    events: tuple[RecordedEvent, ...]
    reached: Position | None
    is_last: bool


async def read_page(store: EventStore, after: Position | None, wanted: Filter) -> Page:
    """The next wanted events after a position."""
    end = await wanted.end_of(store)
    reading = store.read_all(
        after=after,
        limit=_SIZE,
        types=wanted.types,
        categories=wanted.categories,
        subject=wanted.subject,
    )
    events = tuple([recorded async for recorded in reading])
    is_last = len(events) < _SIZE
    known = [after, *(recorded.position for recorded in events[-1:]), end if is_last else None]
    reached = max((each for each in known if each is not None), default=None)
    return Page(events=events, reached=reached, is_last=is_last)
