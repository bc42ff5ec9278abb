"""What happened in a run, as plain data: what was asked, what was answered, what was seen.

Times are in seconds by `time.monotonic`, which all processes of a machine share.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from uuid import UUID

import attrs

from dashtam_events.event import spec_of
from dashtam_events.recorded import RecordedEvent, StreamId

__all__ = ["Call", "Entry", "History", "Outcome", "Part", "Reading"]


class Outcome(StrEnum):
    """What a writer knows of an append.

    `REFUSED`: nothing of it stands; rolling back is a refusal too. `UNKNOWN`: it was cancelled, or
    the answer was lost; all of it stands, or nothing.
    """

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Entry:
    """An event where it stands in the log."""

    position: int
    stream: StreamId
    version: int
    event: UUID
    type: str

    @classmethod
    def of(cls, recorded: RecordedEvent) -> "Entry":
        return cls(
            position=recorded.position,
            stream=recorded.stream,
            version=recorded.version,
            event=recorded.event.event_id,
            type=spec_of(type(recorded.event)).name,
        )

    def __str__(self) -> str:
        return f"{self.event} ({self.stream} version {self.version}, position {self.position})"


@attrs.frozen(kw_only=True)
class Part:
    """The events of an append for one stream; `expected` is a version, None for any."""

    stream: StreamId
    events: tuple[UUID, ...]
    expected: int | None = None


@attrs.frozen(kw_only=True)
class Call:
    """An append by one writer: atomic over its parts.

    It took effect, if it did, between the two times. `answer` is where the acknowledgement says
    that the events stand.
    """

    writer: str
    parts: tuple[Part, ...]
    invoked: float
    returned: float
    outcome: Outcome
    answer: tuple[Entry, ...] = ()

    @property
    def events(self) -> tuple[UUID, ...]:
        """The events of all parts, in order."""
        return tuple([event for part in self.parts for event in part.events])


@attrs.frozen(kw_only=True)
class Reading:
    """What one reader saw, from the beginning of the log until it stopped to look.

    `times` has an entry for each event seen. `types` are those that were wanted, None for all.
    `ends` are the numbers of events seen each time the reader had come to the end of the log.
    """

    reader: str
    seen: tuple[Entry, ...]
    times: tuple[float, ...]
    began: float
    ended: float
    types: frozenset[str] | None = None
    ends: tuple[int, ...] = ()

    def wants(self, entry: Entry) -> bool:
        return self.types is None or entry.type in self.types


@attrs.frozen(kw_only=True)
class History:
    """A whole run; `log` and `streams` were read when it was over.

    `patience` is how long nobody may be kept waiting.
    """

    calls: tuple[Call, ...]
    readings: tuple[Reading, ...]
    log: tuple[Entry, ...]
    streams: Mapping[StreamId, tuple[Entry, ...]]
    patience: float

    def acknowledged(self) -> Iterator[Call]:
        """The appends that were acknowledged."""
        return (call for call in self.calls if call.outcome is Outcome.ACKNOWLEDGED)

    def acknowledged_at(self) -> dict[UUID, float]:
        """When each event was acknowledged first."""
        return _earliest(
            (event, call.returned) for call in self.acknowledged() for event in call.events
        )

    def invoked_at(self) -> dict[UUID, float]:
        """When each event was first asked to be appended."""
        return _earliest((event, call.invoked) for call in self.calls for event in call.events)


def _earliest(times: Iterator[tuple[UUID, float]]) -> dict[UUID, float]:
    earliest: dict[UUID, float] = {}
    for event, time in times:
        earliest[event] = min(time, earliest.get(event, time))
    return earliest
