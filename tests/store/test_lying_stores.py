"""The contract is shown to catch stores that lie, and each lie by the test that names it."""

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import attrs
import pytest
from msgspec.structs import replace

from dashtam_events.recorded import Position, RecordedEvent
from dashtam_events.store import ANY, InMemoryEventStore
from dashtam_events.store._rows import Draft, LogQuery, Row, Stored, StreamQuery
from dashtam_events.testing import CONTRACT_EVENTS, StoreContract

PATIENCE = 2.0
"""For how many seconds a test may hang on a lie; those that are to pass have more."""
LONG = 60.0


class HonestStore(InMemoryEventStore):
    """Tells the truth."""


class ForgetfulStore(InMemoryEventStore):
    """Drops the last of several events that are appended together."""

    def _keep(self, draft: Draft, rows: list[Row]) -> None:
        super()._keep(draft, rows[:-1] or rows)


class CarelessStore(InMemoryEventStore):
    """Forgets every conflict: it appends whatever the stream has come to."""

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        careless = [
            replace(draft, append=attrs.evolve(draft.append, expected=ANY)) for draft in drafts
        ]
        return await super()._store(tuple(careless))


class DisorderlyStore(InMemoryEventStore):
    """Returns a stream out of order."""

    async def _read(self, query: StreamQuery | LogQuery) -> AsyncIterator[RecordedEvent]:
        read = [recorded async for recorded in super()._read(query)]
        if isinstance(query, StreamQuery):
            read.reverse()
        for recorded in read:
            yield recorded


class HastyStore(InMemoryEventStore):
    """Says that the log goes on whenever it is asked."""

    async def wait(self, *, after: Position | None, timeout: float | None = None) -> bool:
        return True


class TrustingStore(InMemoryEventStore):
    """Takes an event for the one that it knows by the id alone."""

    async def _store(self, drafts: tuple[Draft, ...]) -> Stored:
        known = [
            [self._by_id[cell[0]] for cell in draft.cells if cell[0] in self._by_id]
            for draft in drafts
        ]
        if all(known):
            return Stored(rows=tuple(known), repeated=True)
        return await super()._store(drafts)


def _cases(test: Any) -> Iterator[dict[str, Any]]:
    """The arguments of a test, as its marks name them."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    for values in itertools.product(*(mark.args[1] for mark in marks)):
        yield dict(zip((mark.args[0] for mark in marks), values, strict=True))


async def _fails(
    test: Any, store: InMemoryEventStore, case: dict[str, Any], patience: float
) -> bool:
    try:
        await asyncio.wait_for(test(StoreContract(), store, **case), patience)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001  # a lie shows in any way it likes
        return True
    return False


def _failures(
    kind: type[InMemoryEventStore], only: str = "test_", patience: float = PATIENCE
) -> set[str]:
    """The names of the tests of the contract that fail for a store."""
    return {
        name
        for name, test in inspect.getmembers(StoreContract, inspect.isfunction)
        if name.startswith(only)
        for case in _cases(test)
        if asyncio.run(_fails(test, kind(registry=CONTRACT_EVENTS), case, patience))
    }


def test_an_honest_store_fails_nothing() -> None:
    assert _failures(HonestStore, patience=LONG) == set()


def test_a_store_that_drops_an_event_fails() -> None:
    caught = _failures(ForgetfulStore)
    assert "test_a_result_is_what_a_reader_sees" in caught
    assert "test_readers_who_follow_miss_and_repeat_nothing" in caught
    assert "test_a_long_stream_is_read_in_order" in caught


def test_a_store_that_forgets_a_conflict_fails() -> None:
    caught = _failures(CarelessStore)
    assert "test_a_stale_append_writes_nothing" in caught
    assert "test_an_append_is_refused_unless_the_stream_is_as_expected" in caught
    assert "test_of_many_writers_one_wins_a_version" in caught
    assert _failures(CarelessStore, "test_a_stream_is_read_in_order", LONG) == set()


def test_a_store_that_returns_a_stream_out_of_order_fails() -> None:
    caught = _failures(DisorderlyStore)
    assert "test_a_stream_is_read_in_order" in caught
    in_the_log = "test_the_log_is_in_the_order_of_the_appends"
    assert _failures(DisorderlyStore, in_the_log, LONG) == set()


def test_a_store_that_does_not_wait_fails() -> None:
    """And the contract comes to an end on it."""
    caught = _failures(HastyStore)
    assert "test_waiting_ends_after_its_timeout" in caught
    assert "test_an_append_wakes_all_who_wait" in caught


def test_a_store_that_looks_at_ids_alone_fails() -> None:
    assert "test_a_known_id_with_another_content_is_refused" in _failures(TrustingStore)
