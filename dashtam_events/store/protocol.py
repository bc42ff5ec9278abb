"""What every event store promises, whatever engine is underneath."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import attrs
import msgspec

from dashtam_events._frozen import EMPTY, FrozenDict
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import EventMetadata, Position, RecordedEvent, StreamId

__all__ = [
    "ANY",
    "EXISTS",
    "NO_STREAM",
    "Append",
    "AppendResult",
    "Attachment",
    "EventStore",
    "Expected",
    "MetadataLike",
    "check_event_id",
    "check_stream",
]


class Expected(StrEnum):
    """What an append expects of its stream, where it names no exact version."""

    NO_STREAM = "no stream"
    EXISTS = "stream exists"
    ANY = "any"


NO_STREAM = Expected.NO_STREAM
"""The stream has no events yet; the same as version 0."""
EXISTS = Expected.EXISTS
"""The stream has events, however many."""
ANY = Expected.ANY
"""No expectation: append behind whatever is there."""

MetadataLike = EventMetadata | Mapping[str, Any] | None
"""Metadata, or a mapping of its fields (further keys become extras), or nothing."""


def _as_tuple(events: Iterable[DomainEvent]) -> tuple[DomainEvent, ...]:
    return tuple(events)


def _as_metadata(given: MetadataLike) -> EventMetadata:
    return EventMetadata.of(given)


def _bytes_or_none(attachments: Mapping[str, bytes | None]) -> Mapping[str, bytes | None]:
    return attachments if attachments is EMPTY else FrozenDict(attachments)


def check_stream(stream: StreamId) -> None:
    """Raises TypeError where something else stands in the place of a stream."""
    if not isinstance(stream, StreamId):
        raise TypeError("a stream is a StreamId: write StreamId('user', user_id)")


def check_event_id(event_id: UUID) -> None:
    """Raises TypeError where something else stands in the place of an event_id."""
    if not isinstance(event_id, UUID):
        raise TypeError("an event_id is a UUID: write UUID(text)")


def _check_expected(expected: int | Expected) -> None:
    if isinstance(expected, Expected):
        return
    if isinstance(expected, bool) or not isinstance(expected, int):
        raise TypeError(
            "what is expected is the number of events in the stream, or NO_STREAM, EXISTS or ANY"
        )
    if expected < 0:
        raise ValueError("an expected version is the number of events in the stream, from 0")


def _lengths(attachments: Mapping[str, bytes | None]) -> str:
    shown = [
        f"{name!r}: {None if data is None else f'<{len(data)} bytes>'}"
        for name, data in attachments.items()
    ]
    return f"{{{', '.join(shown)}}}"


@attrs.frozen(kw_only=True)
class Append:
    """Events for one stream, as one part of an atomic append.

    `expected` is the version the stream must have (the number of its events; 0: none yet), or
    `NO_STREAM`, `EXISTS` or `ANY`. `attachments` are opaque values kept beside the stream, by
    name: bytes replace what is there, None removes it, a name that is left out stays as it is. The
    repr shows their lengths, never the bytes.

    Raises:
        TypeError: the stream is no `StreamId`, or `expected` is none of these.
        ValueError: there are no events, or `expected` is below 0.
    """

    stream: StreamId
    events: tuple[DomainEvent, ...] = attrs.field(converter=_as_tuple)
    expected: int | Expected = ANY
    metadata: EventMetadata = attrs.field(default=None, converter=_as_metadata)
    attachments: Mapping[str, bytes | None] = attrs.field(
        default=EMPTY, converter=_bytes_or_none, repr=_lengths
    )

    def __attrs_post_init__(self) -> None:
        check_stream(self.stream)
        _check_expected(self.expected)
        if not self.events:
            raise ValueError("nothing to append: give at least one event")


class AppendResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an append stored; `version` and `position` are those of its last event."""

    recorded: tuple[RecordedEvent, ...]

    @property
    def stream(self) -> StreamId:
        """The stream that was appended to."""
        return self.recorded[-1].stream

    @property
    def version(self) -> int:
        """The version of the stream after this append."""
        return self.recorded[-1].version

    @property
    def position(self) -> Position:
        """The position of the last event of this append."""
        return self.recorded[-1].position


@attrs.frozen(kw_only=True, repr=False)
class Attachment:
    """An opaque value beside a stream; `version` is the stream's when it was written.

    `data` is None where the value was removed. The repr shows a length, never the bytes.
    """

    data: bytes | None
    version: int

    def __repr__(self) -> str:
        shown = "removed" if self.data is None else f"<{len(self.data)} bytes>"
        return f"Attachment({shown}, version={self.version})"


class EventStore(Protocol):
    """Streams of events, and the one log that they form together.

    An append is atomic, is durable when it returns (as far as the engine promises it), and is
    idempotent: the same events again give the first result. They are the same by their
    `event_id`, where type and content are too (content written in an earlier schema version is
    taken for the same). A stream is read in the order of its versions, without holes; the log in
    the order of its commits, so that a reader who resumes after the last position it saw misses
    nothing and sees nothing twice. Secrets are not stored: an event comes back without them.
    Cancelling an append leaves either all of it stored or nothing, and the store usable.
    """

    async def append(
        self,
        stream: StreamId,
        events: Iterable[DomainEvent],
        *,
        expected: int | Expected = ANY,
        metadata: MetadataLike = None,
        attachments: Mapping[str, bytes | None] = EMPTY,
    ) -> AppendResult:
        """Append events to one stream; the arguments are those of `Append`.

        Raises:
            VersionConflict: the stream is not at the expected version; nothing was written.
            DuplicateEvent: an event is stored already, and this is not the same append again; or
                it stands twice in this one.
            TypeError: the stream is no `StreamId`, or `expected` no expectation.
            InvalidEventClass: an event's class is not in the registry of the store.
            EncodingError: a field holds something that cannot be read back.
            StoreBusy: another process held the store for too long; nothing was written.
            StoreUnavailable: the engine failed; whether it was written is not known: append
                the same events again to find out.
        """
        ...

    async def append_many(self, appends: Iterable[Append]) -> tuple[AppendResult, ...]:
        """Append to several streams at once: all of it is stored, or nothing.

        The results come in the order of the appends. Raises what `append` raises.
        """
        ...

    def read_stream(
        self,
        stream: StreamId,
        *,
        after: int = 0,
        until_version: int | None = None,
        until_time: datetime | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """The events of a stream after a version, in order; none where there is no such stream.

        `until_version` is the last version read. `until_time` (aware) reads the stream as it
        stood at that instant: it ends before the first event that was recorded later.

        Raises:
            TypeError: the stream is no `StreamId`, or a version no integer.
            CodecError: an event, or what is stored around it, cannot be read. Those before it
                were given; `position`, `stream` and `stream_version` say where it stands.
        """
        ...

    def read_all(
        self,
        *,
        after: Position | None = None,
        limit: int | None = None,
        types: Collection[type[DomainEvent] | str] | None = None,
        categories: Collection[str] | None = None,
        subject: UUID | str | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """The log after a position (None: from its beginning), in commit order, at most `limit`.

        The filters must all hold: `types` are event classes or stored names, `categories` those
        that the registered events declare, `subject` whom an event declares to be about. The
        iterator ends at the events that were committed when it got there; it holds nothing open.

        Raises:
            CodecError: as `read_stream` does.
            TypeError: the position or the limit is no integer.
            ValueError: no registered event declares any of the categories.
        """
        ...

    async def position_of(self, event_id: UUID) -> Position | None:
        """Where an event stands in the log; None where it is not stored."""
        ...

    async def last_position(self) -> Position | None:
        """The position of the last event of the log; None while it is empty."""
        ...

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        """Wait until the log goes on after a position.

        True as soon as it does, also by another process; False after `timeout` seconds.
        """
        ...

    async def read_attachment(self, stream: StreamId, name: str) -> Attachment | None:
        """The value kept beside a stream under a name; None where none ever was."""
        ...
