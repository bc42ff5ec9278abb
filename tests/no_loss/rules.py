"""What is promised to those who append and read, each promise as a rule over a history.

A rule gives a sentence for each breach that it finds; `check` asks all of them. They look at plain
data and know nothing of stores. The idea is that of Jepsen's checkers: act concurrently, take down
everything, judge afterwards.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from math import inf
from uuid import UUID

import attrs

from dashtam_events.recorded import StreamId
from tests.no_loss.history import Call, Entry, History, Outcome, Reading

__all__ = ["RULES", "Rule", "Violation", "check"]

Rule = Callable[[History], Iterator[str]]


@attrs.frozen
class Violation:
    """A breach of a promise."""

    rule: str
    what: str


def check(history: History) -> list[Violation]:
    """Every breach of every rule."""
    return [Violation(rule.__name__, what) for rule in RULES for what in rule(history)]


def acknowledged_is_read(history: History) -> Iterator[str]:
    """What was acknowledged is read ever after, where the acknowledgement said that it stands."""
    log = set(history.log)
    for call in history.acknowledged():
        if tuple(entry.event for entry in call.answer) != call.events:
            yield f"{call.writer} was told of other events than it appended"
        for entry in call.answer:
            if entry not in log:
                yield f"{entry} was acknowledged to {call.writer}, and does not stand there"


def refused_is_not_read(history: History) -> Iterator[str]:
    """What was refused or rolled back is never read by anybody; nor what nobody appended."""
    stands = {
        event
        for call in history.calls
        if call.outcome is not Outcome.REFUSED
        for event in call.events
    }
    seen = chain(
        (("the log", entry) for entry in history.log),
        ((reading.reader, entry) for reading in history.readings for entry in reading.seen),
    )
    for reader, entry in seen:
        if entry.event not in stands:
            yield f"{reader} has {entry}, which was refused, or never appended"


def stored_once(history: History) -> Iterator[str]:
    """An event is stored once, however often its append was tried."""
    for event, times in Counter(entry.event for entry in history.log).items():
        if times > 1:
            yield f"{event} is stored {times} times"


def versions_contiguous(history: History) -> Iterator[str]:
    """The versions of a stream count its events from 1: none is left out, none is given twice."""
    for stream, entries in _by_stream(history.log).items():
        versions = sorted(entry.version for entry in entries)
        for wanted, version in enumerate(versions, 1):
            if version != wanted:
                yield f"{stream} has a version {version} where {wanted} should be"
                break


def one_winner(history: History) -> Iterator[str]:
    """Of all appends that expect one version of a stream, one at most is acknowledged.

    And its first event has the next version: nobody came between.
    """
    winners: dict[tuple[StreamId, int], set[tuple[UUID, ...]]] = defaultdict(set)
    for call in history.acknowledged():
        versions = {entry.event: entry.version for entry in call.answer}
        for part in call.parts:
            if part.expected is None:
                continue
            winners[part.stream, part.expected].add(part.events)
            version = versions.get(part.events[0])
            if version != part.expected + 1:
                yield f"{part.stream} was expected at {part.expected}, and got version {version}"
    for (stream, expected), events in winners.items():
        if len(events) > 1:
            yield f"{stream} at version {expected} was won by {len(events)} appends"


def appends_whole(history: History) -> Iterator[str]:
    """All events of an append stand, side by side and in order, or none; nobody sees a part.

    A reader who has come to the end of the log has seen all of an append, or nothing of it.
    """
    standing = {entry.event: nth for nth, entry in enumerate(history.log)}
    for call in history.calls:
        found = [standing[event] for event in call.events if event in standing]
        if found and len(found) < len(call.events):
            yield f"{len(found)} of {len(call.events)} events of {call.writer} stand"
        elif any(second != first + 1 for first, second in pairwise(found)):
            yield f"the events of an append of {call.writer} stand apart"
    for reading in history.readings:
        yield from _torn(reading, history.calls)


def _torn(reading: Reading, calls: Sequence[Call]) -> Iterator[str]:
    """The appends of which a reader had seen a part when it came to the end of the log."""
    nths = {entry.event: nth for nth, entry in enumerate(reading.seen)}
    for call in calls:
        found = [nths[event] for event in call.events if event in nths]
        if not found:
            continue
        end = bisect_right(reading.ends, min(found))
        if end < len(reading.ends) and reading.ends[end] <= max(found):
            yield f"{reading.reader} saw a part of an append of {call.writer}"


def streams_in_order(history: History) -> Iterator[str]:
    """The log has the events of each stream in the order of their versions."""
    for stream, entries in _by_stream(history.log).items():
        for before, after in pairwise(entries):
            if after.version <= before.version:
                yield f"{stream} has version {after.version} behind {before.version} in the log"


def real_time_in_order(history: History) -> Iterator[str]:
    """What was acknowledged before another append began stands before it in the log."""
    invoked, acknowledged = history.invoked_at(), history.acknowledged_at()
    earliest = inf
    for entry in reversed(history.log):
        if earliest < invoked.get(entry.event, inf):
            yield f"{entry} stands before what had been acknowledged when it was appended"
        earliest = min(earliest, acknowledged.get(entry.event, inf))


def readers_miss_nothing(history: History) -> Iterator[str]:
    """A reader that has seen an event of the log has seen all before it that it wants."""
    for reading in history.readings:
        seen = {entry.event for entry in reading.seen}
        missed: list[Entry] = []
        for entry in filter(reading.wants, history.log):
            if entry.event not in seen:
                missed.append(entry)
                continue
            yield from (f"{reading.reader} missed {each}" for each in missed)
            missed = []


def readers_repeat_nothing(history: History) -> Iterator[str]:
    """A reader sees an event once, also when it reads on from where it stopped."""
    for reading in history.readings:
        for event, times in Counter(entry.event for entry in reading.seen).items():
            if times > 1:
                yield f"{reading.reader} saw {event} {times} times"


def readers_agree(history: History) -> Iterator[str]:
    """Everybody sees one log: in one order, where positions only grow, and nothing ever moves."""
    for before, after in pairwise(history.log):
        if after.position <= before.position:
            yield f"the log has {after} behind {before}"
    log = set(history.log)
    for reading in history.readings:
        first = _first_seen(reading)
        for entry in first:
            if entry not in log or not reading.wants(entry):
                yield f"{reading.reader} saw {entry}, which is not so in the log"
        for before, after in pairwise(first):
            if after.position <= before.position:
                yield f"{reading.reader} saw {after} behind {before}"


def _first_seen(reading: Reading) -> list[Entry]:
    first: dict[UUID, Entry] = {}
    for entry in reading.seen:
        first.setdefault(entry.event, entry)
    return list(first.values())


def streams_agree(history: History) -> Iterator[str]:
    """A stream that is read by itself holds what the log holds of it."""
    logged = _by_stream(history.log)
    for stream in logged.keys() | history.streams.keys():
        if tuple(logged.get(stream, ())) != tuple(history.streams.get(stream, ())):
            yield f"{stream} is not what the log has of it"


def nobody_stalls(history: History) -> Iterator[str]:
    """Nobody waits too long: no writer for an answer, no reader for what was acknowledged.

    A reader that lags behind, but sees more and more, does not wait.
    """
    for call in history.calls:
        if call.returned - call.invoked > history.patience:
            yield f"{call.writer} waited {call.returned - call.invoked:.1f} s for its answer"
    acknowledged = history.acknowledged_at()
    for reading in history.readings:
        for entry, waited in _waits(reading, history.log, acknowledged):
            if waited > history.patience:
                yield f"{reading.reader} waited {waited:.1f} s for {entry}"


def _waits(
    reading: Reading, log: Sequence[Entry], acknowledged: dict[UUID, float]
) -> Iterator[tuple[Entry, float]]:
    """How long a reader saw nothing while an event was there for it to see."""
    last = reading.began
    for entry, time in zip(reading.seen, reading.times, strict=True):
        yield entry, time - max(last, acknowledged.get(entry.event, time))
        last = time
    seen = {entry.event for entry in reading.seen}
    for entry in filter(reading.wants, log):
        if entry.event not in seen:
            since = acknowledged.get(entry.event, reading.ended)
            yield entry, reading.ended - max(last, since)


def _by_stream(log: Sequence[Entry]) -> dict[StreamId, list[Entry]]:
    streams: dict[StreamId, list[Entry]] = defaultdict(list)
    for entry in log:
        streams[entry.stream].append(entry)
    return streams


RULES: tuple[Rule, ...] = (
    acknowledged_is_read,
    refused_is_not_read,
    stored_once,
    versions_contiguous,
    one_winner,
    appends_whole,
    streams_in_order,
    real_time_in_order,
    readers_miss_nothing,
    readers_repeat_nothing,
    readers_agree,
    streams_agree,
    nobody_stalls,
)
"""Every rule, in the order in which they are best read."""
