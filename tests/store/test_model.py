"""Whatever is appended in whatever order, the stores do what a list of events would do."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_events.errors import DuplicateEvent, VersionConflict
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import StreamId
from dashtam_events.store import (
    ANY,
    EXISTS,
    NO_STREAM,
    Append,
    AppendResult,
    Expected,
    InMemoryEventStore,
    SQLiteEventStore,
)
from dashtam_events.testing import CONTRACT_EVENTS
from dashtam_events.testing._store_samples import LampLit, log_of, stream_of

STREAMS = tuple(StreamId("lamp", str(number)) for number in range(3))
Store = InMemoryEventStore | SQLiteEventStore
Opened = AbstractAsyncContextManager[Store]


@attrs.define
class Model:
    """Streams as lists, and the log as one more."""

    log: list[tuple[StreamId, int, DomainEvent]] = attrs.field(factory=list)

    def head(self, stream: StreamId) -> int:
        return sum(1 for where, _, _ in self.log if where == stream)

    def append(self, appends: list[Append]) -> list[tuple[int, ...]] | type[Exception]:
        """The versions that each append gets, or the error that it is refused with."""
        ids = [event.event_id for append in appends for event in append.events]
        if len(set(ids)) < len(ids):
            return DuplicateEvent
        known = {event.event_id: (stream, version) for stream, version, event in self.log}
        if any(event_id in known for event_id in ids):
            return self._again(appends, known)
        before = list(self.log)
        for append in appends:
            if not _fits(append.expected, self.head(append.stream)):
                self.log = before
                return VersionConflict
            for event in append.events:
                self.log.append((append.stream, self.head(append.stream) + 1, event))
        known = {event.event_id: (stream, version) for stream, version, event in self.log}
        return [tuple(known[event.event_id][1] for event in one.events) for one in appends]

    def _again(
        self, appends: list[Append], known: dict[Any, tuple[StreamId, int]]
    ) -> list[tuple[int, ...]] | type[Exception]:
        wanted = [(append.stream, event.event_id) for append in appends for event in append.events]
        if any(known.get(event_id, (None, 0))[0] != stream for stream, event_id in wanted):
            return DuplicateEvent
        for stream in {stream for stream, _ in wanted}:
            versions = [known[event_id][1] for where, event_id in wanted if where == stream]
            if versions != list(range(versions[0], versions[0] + len(versions))):
                return DuplicateEvent
        return [tuple(known[event.event_id][1] for event in one.events) for one in appends]


def _fits(expected: int | Expected, head: int) -> bool:
    if isinstance(expected, Expected):
        return {NO_STREAM: head == 0, EXISTS: head > 0, ANY: True}[expected]
    return expected == head


def _call(pool: list[LampLit]) -> st.SearchStrategy[list[Append]]:
    """One call: a few appends of events from a small pool, so that some are known already."""
    slices = st.tuples(st.integers(0, len(pool) - 1), st.integers(1, 3))
    append = st.builds(
        lambda stream, where, expected: Append(
            stream=stream, events=pool[where[0] : where[0] + where[1]], expected=expected
        ),
        st.sampled_from(STREAMS),
        slices,
        st.one_of(st.integers(0, 4), st.sampled_from([NO_STREAM, EXISTS, ANY, ANY])),
    )
    return st.lists(append, min_size=1, max_size=3)


@st.composite
def _histories(draw: st.DrawFn) -> list[list[list[Append]]]:
    """Rounds of calls; the calls of one round are made at the same time."""
    pool = [LampLit(number=number) for number in range(12)]
    rounds = st.lists(st.lists(_call(pool), min_size=1, max_size=4), min_size=1, max_size=5)
    return draw(rounds)


async def _play(opened: Opened, history: list[list[list[Append]]]) -> None:
    model = Model()
    async with opened as store:
        for calls in history:
            outcomes = await asyncio.gather(
                *(store.append_many(call) for call in calls), return_exceptions=True
            )
            for call, outcome in zip(calls, outcomes, strict=True):
                assert _seen(outcome) == model.append(call)
        await _compare(store, model)


def _seen(outcome: tuple[AppendResult, ...] | BaseException) -> Any:
    if isinstance(outcome, BaseException):
        return type(outcome)
    return [tuple(recorded.version for recorded in one.recorded) for one in outcome]


async def _compare(store: Store, model: Model) -> None:
    log = await log_of(store)
    assert [(seen.stream, seen.version, seen.event) for seen in log] == model.log
    for stream in STREAMS:
        expected = [event for where, _, event in model.log if where == stream]
        assert [seen.event for seen in await stream_of(store, stream)] == expected


def _memory(_: str) -> Opened:
    return InMemoryEventStore(registry=CONTRACT_EVENTS)


def _sqlite(directory: str) -> Opened:
    return SQLiteEventStore(Path(directory, "events.db"), registry=CONTRACT_EVENTS)


@pytest.mark.parametrize("make", [_memory, _sqlite])
def test_interleaved_appends_match_a_simple_model(make: Callable[[str], Opened]) -> None:
    """Appends made at the same time take effect one after the other, in the order of the calls."""

    @settings(max_examples=60, deadline=None)
    @given(_histories())
    def matches(history: list[list[list[Append]]]) -> None:
        with tempfile.TemporaryDirectory() as directory:
            asyncio.run(_play(make(directory), history))

    matches()
