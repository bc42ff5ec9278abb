"""Reading what a subscription deals with next, also across events that cannot be read."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import attrs

from dashtam_events._clock import now
from dashtam_events.errors import CodecError
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.recorded import Position, RecordedEvent, StreamId, UnknownEvent
from dashtam_events.store.protocol import EventStore

__all__ = ["BEGINNING", "NOW", "Batch", "Filter", "Item", "Start", "Unreadable", "type_of"]
__all__ += ["read_again", "read_batch", "starting_position"]


class Start(StrEnum):
    """Where a subscription that never ran begins."""

    BEGINNING = "beginning"
    NOW = "now"


BEGINNING = Start.BEGINNING
"""With the first event of the store."""
NOW = Start.NOW
"""With the first event that is appended after the subscription began."""


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
class Unreadable:
    """An event that is stored, and that the codec refuses."""

    position: Position
    stream: StreamId
    version: int
    error: CodecError


Item = RecordedEvent | Unreadable


@attrs.frozen(kw_only=True)
class Batch:
    """Wanted events in commit order.

    `reached` is how far the log has been read once they are dealt with; `is_last` that there was
    nothing beyond it.
    """

    items: tuple[Item, ...]
    reached: Position | None
    is_last: bool


def type_of(item: Item) -> str:
    """The stored name of an event."""
    if isinstance(item, Unreadable):
        return str(getattr(item.error, "event_type", "unknown"))
    event = item.event
    return event.name if isinstance(event, UnknownEvent) else spec_of(type(event)).name


async def read_batch(
    store: EventStore,
    after: Position | None,
    wanted: Filter,
    size: int,
    until: Position | None = None,
) -> Batch:
    """The next wanted events after a position, and up to another; at most `size` of them."""
    end = await wanted.end_of(store)
    items = [item async for item in _read(store, after, wanted, size)]
    is_last = len(items) < size
    if until is not None and items and items[-1].position > until:
        items = [item for item in items if item.position <= until]
        is_last = True
    known = [
        after,
        *(item.position for item in items[-1:]),
        _least(end, until) if is_last else None,
    ]
    reached = max((each for each in known if each is not None), default=None)
    return Batch(items=tuple(items), reached=reached, is_last=is_last)


def _least(end: Position | None, until: Position | None) -> Position | None:
    return end if until is None or end is None else min(end, until)


async def _read(
    store: EventStore, after: Position | None, wanted: Filter, size: int
) -> AsyncIterator[Item]:
    """At most so many events; one that cannot be read comes as what it is, and is passed."""
    left = size
    while left:
        reading = store.read_all(
            after=after,
            limit=left,
            types=wanted.types,
            categories=wanted.categories,
            subject=wanted.subject,
        )
        try:
            async for recorded in reading:
                yield recorded
                left, after = left - 1, recorded.position
        except CodecError as error:
            unreadable = _unreadable(error)
            yield unreadable
            left, after = left - 1, unreadable.position
        else:
            return


def _unreadable(error: CodecError) -> Unreadable:
    """What cannot be read, where the store says where it stands; otherwise there is no way on."""
    if error.position is None or error.stream is None or error.stream_version is None:
        raise error
    return Unreadable(
        position=Position(error.position),
        stream=StreamId.parse(error.stream),
        version=error.stream_version,
        error=error,
    )


async def read_again(store: EventStore, stream: StreamId, version: int) -> Item | None:
    """One event of a stream; None where it is not there."""
    reading = store.read_stream(stream, after=version - 1, until_version=version)
    try:
        return await anext(aiter(reading), None)
    except CodecError as error:
        return _unreadable(error)


async def starting_position(
    store: EventStore, start: Start | Position | datetime
) -> Position | None:
    """Where a subscription begins: the position before the first event that is wanted.

    Raises:
        ValueError: a time has no zone, or is still to come.
    """
    if start is BEGINNING:
        return None
    if start is NOW:
        return await store.last_position()
    if isinstance(start, datetime):
        return await _before(store, start)
    return Position(int(start))


async def _before(store: EventStore, time: datetime) -> Position | None:
    """The last position before the first event that was recorded at a time or later."""
    if time.tzinfo is None:
        raise ValueError("the time to start from must be aware: pass a datetime with a timezone")
    if time > now():
        # Only a position is kept: what comes before that time would be delivered as well.
        raise ValueError("the time to start from is still to come: begin when it is there")
    before: Position | None = None
    while True:
        batch = await read_batch(store, before, Filter(), 500)
        for item in batch.items:
            if isinstance(item, RecordedEvent) and item.recorded_at >= time:
                return before
            before = item.position
        if batch.is_last:
            return before
