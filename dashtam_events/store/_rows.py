"""The stored form that the stores of one machine share: from events to rows, and back."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import attrs

from dashtam_events.codec import EncodedEvent, EventCodec
from dashtam_events.errors import CodecError, DecodingError
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.recorded import EventMetadata, Position, RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store._drafts import (
    Cell,
    Draft,
    Row,
    Stored,
    check_expected,
    ids_of,
    refuse_twins,
    repeated,
)
from dashtam_events.store.protocol import Append, AppendResult, check_stream

__all__ = [
    "NO_METADATA",
    "Draft",
    "LogQuery",
    "Row",
    "Scribe",
    "Stored",
    "StreamQuery",
    "check_attachment_name",
    "check_expected",
    "ids_of",
    "repeated",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST = 2**63 - 1
NO_METADATA = EventMetadata()


@attrs.frozen(kw_only=True)
class StreamQuery:
    """What is wanted of one stream; `until` is an instant in microseconds."""

    stream: str
    after: int
    until_version: int | None
    until: int | None
    limit: None = None


@attrs.frozen(kw_only=True)
class LogQuery:
    """What is wanted of the log; `names` are stored names, None for all of them."""

    after: int
    limit: int | None
    names: tuple[str, ...] | None
    subject: str | None


class Scribe:
    """Writes events down as rows and reads rows as events, by one registry and one codec."""

    def __init__(
        self, registry: EventRegistry, codec: EventCodec | None, clock: Callable[[], datetime]
    ) -> None:
        self._registry = registry
        self._codec = codec or EventCodec(registry)
        self._clock = clock
        # The events of one append share their metadata, and those of one request often do.
        self._metadata_of = lru_cache(maxsize=256)(self._codec.decode_metadata)

    def drafts(self, appends: Iterable[Append]) -> tuple[Draft, ...]:
        """The appends in encoded form. Raises what encoding raises, and `DuplicateEvent`."""
        drafts = tuple([self._draft(append) for append in appends])
        refuse_twins(drafts)
        return drafts

    def _draft(self, append: Append) -> Draft:
        if append.attachments:
            _check_attachments(append.attachments)
        metadata = append.metadata
        return Draft(
            append=append,
            stream=str(append.stream),
            cells=tuple([self._cell(event) for event in append.events]),
            metadata=None if metadata is NO_METADATA else self._codec.encode_metadata(metadata),
        )

    def _cell(self, event: DomainEvent) -> Cell:
        encoded = self._codec.encode(event)
        return (
            event.event_id.bytes,
            encoded.name,
            encoded.version,
            encoded.subject,
            encoded.data,
        )

    def instant(self) -> int:
        """The clock, in microseconds since 1970."""
        try:
            return _microseconds(self._clock())
        except StopIteration as error:
            # A future takes any other exception, and would never be told of this one.
            raise RuntimeError("the clock raised StopIteration") from error

    def results(self, drafts: tuple[Draft, ...], stored: Stored) -> tuple[AppendResult, ...]:
        """What the caller gets: its own events, or those that stood there before, read back."""
        if stored.repeated:
            return tuple(
                [AppendResult(recorded=tuple(map(self.recorded, rows))) for rows in stored.rows]
            )
        return tuple([_result(draft.append, rows) for draft, rows in zip(drafts, stored.rows)])  # noqa: B905  # one to one

    def recorded(self, row: Row) -> RecordedEvent:
        """A row as an event.

        Raises:
            CodecError: something in it cannot be read; a note says where it stands.
        """
        (event,) = self.read((row,))
        return event

    def read(self, rows: Iterable[Row], stream: str | None = None) -> Iterator[RecordedEvent]:
        """Rows as events, each when it is taken; `stream` is that of rows that do not say it.

        Raises:
            CodecError: something in a row cannot be read; a note says where it stands.
        """
        decode, one = self._codec.decode, None if stream is None else _stream(stream)
        for position, id_, named, version, name, schema, subject, instant, data, metadata in rows:
            try:
                event = decode(EncodedEvent(name, schema, data, subject))
                if event.event_id.bytes != id_:
                    raise _damage("event_id", "the id that the event itself has")
                if version < 1:
                    raise _damage("version", "a number from 1")
                recorded = RecordedEvent(
                    position=position,  # type: ignore[arg-type]  # a call of Position is dear here
                    stream=one or _stream(named),
                    version=version,
                    recorded_at=_time(instant),
                    event=event,
                    metadata=NO_METADATA if metadata is None else self._metadata_of(metadata),
                )
            except CodecError as error:
                _say_where(error, position, stream or named, version)
                raise
            yield recorded

    def stream_query(
        self,
        stream: StreamId,
        after: int,
        until_version: int | None,
        until_time: datetime | None,
    ) -> StreamQuery:
        """The arguments of `read_stream`, checked."""
        check_stream(stream)
        return StreamQuery(
            stream=str(stream),
            after=_whole(after, "after"),
            until_version=None if until_version is None else _whole(until_version, "until_version"),
            until=None if until_time is None else _microseconds(until_time),
        )

    def log_query(
        self,
        after: Position | None,
        limit: int | None,
        types: Collection[type[DomainEvent] | str] | None,
        categories: Collection[str] | None,
        subject: UUID | str | None,
    ) -> LogQuery:
        """The arguments of `read_all`, checked; categories become the names of their events."""
        if limit is not None and _whole(limit, "limit") < 0:
            raise ValueError("a limit is a number of events, from 0")
        return LogQuery(
            after=0 if after is None else _whole(after, "after"),
            limit=limit,
            names=self._names(types, categories),
            subject=None if subject is None else str(subject),
        )

    def _names(
        self,
        types: Collection[type[DomainEvent] | str] | None,
        categories: Collection[str] | None,
    ) -> tuple[str, ...] | None:
        if isinstance(types, str) or isinstance(categories, str):
            raise TypeError("types and categories are collections: wrap a single one in a list")
        named = categorised = None
        if types is not None:
            named = {kind if isinstance(kind, str) else spec_of(kind).name for kind in types}
        if categories is not None:
            chosen = self._registry.select(lambda spec: spec.category in categories)
            categorised = {spec_of(kind).name for kind in chosen}
            if categories and not categorised:
                unknown = ", ".join(sorted(map(repr, categories)))
                raise ValueError(f"no registered event declares the category {unknown}")
        if named is None and categorised is None:
            return None
        both = [names for names in (named, categorised) if names is not None]
        return tuple(sorted(set.intersection(*both)))


def _whole(number: int, name: str) -> int:
    """A version or position for which a database has room, and that means the same."""
    if not isinstance(number, int):
        raise TypeError(f"{name} is an integer, not {type(number).__name__}")
    return max(-1, min(number, _LAST))


def _microseconds(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise ValueError("an instant must be an aware datetime: pass one with a timezone")
    return (instant - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=256)
def _time(instant: int) -> datetime:
    """An instant from its microseconds; the events of one append share theirs."""
    # Twice as fast as a timedelta of so many microseconds.
    seconds, microseconds = divmod(instant, 1_000_000)
    try:
        return _EPOCH + timedelta(0, seconds, microseconds)
    except OverflowError:
        expected = "microseconds since 1970, before the year 10000"
        raise _damage("recorded_at", expected) from None


@lru_cache(maxsize=4096)
def _stream(text: str) -> StreamId:
    try:
        return StreamId.parse(text)
    except ValueError:
        raise _damage("stream", "category-id") from None


def _damage(column: str, expected: str) -> DecodingError:
    return DecodingError("RecordedEvent", f".{column}", expected)


def _say_where(error: CodecError, position: int, stream: str, version: int) -> None:
    error.position, error.stream_version = position, version
    where = f"at position {position} of the log"
    try:
        error.stream = str(_stream(stream))
    except DecodingError:
        error.add_note(where)
    else:
        error.add_note(f"{where}: {error.stream}, version {version}")


def _result(append: Append, rows: list[Row]) -> AppendResult:
    stream, metadata = append.stream, append.metadata
    recorded_at = _time(rows[0][7])
    recorded = [
        RecordedEvent(
            position=Position(row[0]),
            stream=stream,
            version=row[3],
            recorded_at=recorded_at,
            event=event,
            metadata=metadata,
        )
        for row, event in zip(rows, append.events)  # noqa: B905  # one row was made of each event
    ]
    return AppendResult(recorded=tuple(recorded))


def _check_attachments(attachments: Mapping[str, bytes | None]) -> None:
    for name, data in attachments.items():
        check_attachment_name(name)
        if not (data is None or isinstance(data, bytes)):
            raise TypeError(f"the attachment {name!r} must be bytes, or None to remove it")


def check_attachment_name(name: str) -> None:
    """Raises ValueError where a name could not be kept by every store."""
    if not (0 < len(name) <= 200 and name.isprintable()):
        raise ValueError("an attachment's name has 1 to 200 printable characters")
