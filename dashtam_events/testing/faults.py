"""A store that can be told to fail: what a service does when the answer does not come."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import attrs

from dashtam_events._frozen import EMPTY
from dashtam_events.errors import StoreUnavailable, VersionConflict
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.store.protocol import (
    ANY,
    Append,
    AppendResult,
    Attachment,
    EventStore,
    Expected,
    MetadataLike,
)

__all__ = ["FaultyEventStore"]

_Verb = Literal[
    "append",
    "append_many",
    "last_position",
    "position_of",
    "read_all",
    "read_attachment",
    "read_stream",
    "wait",
]
_Moment = Literal["before", "after"]


@attrs.frozen
class _Fault:
    when: _Moment
    error: Callable[[str, int | Expected], BaseException]


class FaultyEventStore:
    """An event store that passes every call on to another, except where it was told to fail.

    Each fault strikes once, at one call. `calls` counts the calls of each verb so far, those
    that failed too; `unfired` is how many faults have not struck yet, so that a test can tell
    that the code under test came as far as the fault.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._faults: dict[tuple[str, int], _Fault] = {}
        self.calls: Counter[str] = Counter()

    @property
    def unfired(self) -> int:
        """How many faults have not struck yet."""
        return len(self._faults)

    def fail(
        self,
        *,
        on: _Verb = "append",
        nth: int = 1,
        error: BaseException | None = None,
        when: _Moment = "before",
    ) -> None:
        """Let the nth call of a verb from now on fail (1: the next).

        `when="before"` fails it before the store is asked. `when="after"` lets the store do its
        work and fails then, as when a connection breaks before the answer: the caller cannot
        know whether it was written, and it was. Of a read, the events come before the error.
        `error` is `StoreUnavailable` where none is given.

        Raises:
            ValueError: nth is below 1.
        """
        told = error or StoreUnavailable("faulty store", f"told to fail {when} {on}")
        self._plan(on, nth, _Fault(when, lambda _stream, _expected: told))

    def conflict(self, *, on: Literal["append", "append_many"] = "append", nth: int = 1) -> None:
        """Let the nth append from now on meet a `VersionConflict`; nothing is written.

        The stream itself does not move: who loads it again finds what was there before.

        Raises:
            ValueError: nth is below 1.
        """
        self._plan(on, nth, _Fault("before", _moved_on))

    def _plan(self, verb: str, nth: int, fault: _Fault) -> None:
        if nth < 1:
            raise ValueError("calls are counted from 1, which is the next one")
        self._faults[verb, self.calls[verb] + nth] = fault

    @contextmanager
    def _call(
        self, verb: _Verb, stream: StreamId | str = "", expected: int | Expected = ANY
    ) -> Generator[None, None, None]:
        self.calls[verb] += 1
        fault = self._faults.pop((verb, self.calls[verb]), None)
        if fault is not None and fault.when == "before":
            raise fault.error(str(stream), expected)
        yield
        if fault is not None:
            raise fault.error(str(stream), expected)

    async def append(
        self,
        stream: StreamId,
        events: Iterable[DomainEvent],
        *,
        expected: int | Expected = ANY,
        metadata: MetadataLike = None,
        attachments: Mapping[str, bytes | None] = EMPTY,
    ) -> AppendResult:
        """Append through the store behind, or fail."""
        with self._call("append", stream, expected):
            return await self._store.append(
                stream, events, expected=expected, metadata=metadata, attachments=attachments
            )

    async def append_many(self, appends: Iterable[Append]) -> tuple[AppendResult, ...]:
        """Append through the store behind, or fail."""
        given = tuple(appends)
        stream, expected = (given[0].stream, given[0].expected) if given else ("", ANY)
        with self._call("append_many", stream, expected):
            return await self._store.append_many(given)

    async def read_stream(
        self,
        stream: StreamId,
        *,
        after: int = 0,
        until_version: int | None = None,
        until_time: datetime | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """Read through the store behind, or fail."""
        with self._call("read_stream", stream):
            async for recorded in self._store.read_stream(
                stream, after=after, until_version=until_version, until_time=until_time
            ):
                yield recorded

    async def read_all(
        self,
        *,
        after: Position | None = None,
        limit: int | None = None,
        types: Collection[type[DomainEvent] | str] | None = None,
        categories: Collection[str] | None = None,
        subject: UUID | str | None = None,
    ) -> AsyncIterator[RecordedEvent]:
        """Read through the store behind, or fail."""
        filters: dict[str, Any] = {"types": types, "categories": categories, "subject": subject}
        with self._call("read_all"):
            async for recorded in self._store.read_all(after=after, limit=limit, **filters):
                yield recorded

    async def position_of(self, event_id: UUID) -> Position | None:
        """Ask the store behind, or fail."""
        with self._call("position_of"):
            return await self._store.position_of(event_id)

    async def last_position(self) -> Position | None:
        """Ask the store behind, or fail."""
        with self._call("last_position"):
            return await self._store.last_position()

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        """Wait at the store behind, or fail."""
        with self._call("wait"):
            return await self._store.wait(after=after, timeout=timeout)

    async def read_attachment(self, stream: StreamId, name: str) -> Attachment | None:
        """Ask the store behind, or fail."""
        with self._call("read_attachment", stream):
            return await self._store.read_attachment(stream, name)


def _moved_on(stream: str, expected: int | Expected) -> VersionConflict:
    if isinstance(expected, Expected):
        return VersionConflict(stream, expected, 1 if expected is Expected.NO_STREAM else 0)
    return VersionConflict(stream, expected, expected + 1)
