"""A faulty store fails where it was told to, and is the store behind it everywhere else."""

import pickle
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from dashtam_events.errors import StoreUnavailable, VersionConflict
from dashtam_events.recorded import StreamId
from dashtam_events.repository import Repository
from dashtam_events.store.memory import InMemoryEventStore
from dashtam_events.store.protocol import EXISTS, NO_STREAM, Append, EventStore
from dashtam_events.testing import FaultyEventStore
from tests.testing.parcels import REGISTRY, Parcel, ParcelDelivered, ParcelMoved, Place

if TYPE_CHECKING:
    _store: EventStore = FaultyEventStore(InMemoryEventStore(registry=REGISTRY))

ID = UUID(int=7)
STREAM = StreamId("parcel", ID)
PARIS = Place(name="Paris")


@pytest.fixture
def store() -> InMemoryEventStore:
    return InMemoryEventStore(registry=REGISTRY)


@pytest.fixture
def faulty(store: InMemoryEventStore) -> FaultyEventStore:
    return FaultyEventStore(store)


async def stored(store: EventStore) -> int:
    return len([recorded async for recorded in store.read_all()])


async def read(store: EventStore, verb: str) -> Any:
    if verb == "read_all":
        return [recorded async for recorded in store.read_all()]
    return [recorded async for recorded in store.read_stream(STREAM)]


async def append_many(store: EventStore) -> Any:
    return await store.append_many([Append(stream=STREAM, events=(ParcelDelivered(),))])


CALLS: dict[str, Callable[[EventStore], Awaitable[Any]]] = {
    "append": lambda store: store.append(STREAM, [ParcelDelivered()]),
    "append_many": append_many,
    "last_position": lambda store: store.last_position(),
    "position_of": lambda store: store.position_of(ID),
    "read_all": lambda store: read(store, "read_all"),
    "read_attachment": lambda store: store.read_attachment(STREAM, "key"),
    "read_stream": lambda store: read(store, "read_stream"),
    "wait": lambda store: store.wait(after=None, timeout=0),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", CALLS)
async def test_every_verb_can_fail_and_does_so_once(
    faulty: FaultyEventStore, verb: Any, when: Any
) -> None:
    await CALLS[verb](faulty)
    faulty.fail(on=verb, when=when)
    assert faulty.unfired == 1
    with pytest.raises(StoreUnavailable, match=f"told to fail {when} {verb}"):
        await CALLS[verb](faulty)
    await CALLS[verb](faulty)
    assert (faulty.unfired, faulty.calls[verb]) == (0, 3)


async def test_the_other_verbs_and_the_other_calls_do_not_fail(faulty: FaultyEventStore) -> None:
    faulty.fail(on="append", nth=3)
    for call in (*CALLS.values(), CALLS["append"]):
        await call(faulty)
    with pytest.raises(StoreUnavailable):
        await CALLS["append"](faulty)


async def test_a_failure_before_the_append_writes_nothing(
    faulty: FaultyEventStore, store: InMemoryEventStore
) -> None:
    faulty.fail(on="append", when="before")
    with pytest.raises(StoreUnavailable):
        await faulty.append(STREAM, [ParcelDelivered()])
    assert await stored(store) == 0


async def test_a_failure_after_the_append_has_written_and_the_same_append_again_tells_so(
    faulty: FaultyEventStore, store: InMemoryEventStore
) -> None:
    delivered = ParcelDelivered()
    faulty.fail(on="append", when="after")
    with pytest.raises(StoreUnavailable):
        await faulty.append(STREAM, [delivered], expected=NO_STREAM)
    assert await stored(store) == 1
    again = await faulty.append(STREAM, [delivered], expected=NO_STREAM)
    assert (again.version, await stored(store)) == (1, 1)


async def test_a_read_that_fails_after_gives_the_events_first(faulty: FaultyEventStore) -> None:
    await faulty.append(STREAM, [ParcelDelivered()])
    faulty.fail(on="read_all", when="after")
    reading = faulty.read_all()
    assert isinstance((await anext(reading)).event, ParcelDelivered)
    with pytest.raises(StoreUnavailable):
        await anext(reading)


async def test_the_error_is_the_one_that_was_given(faulty: FaultyEventStore) -> None:
    faulty.fail(error=TimeoutError("too late"))
    with pytest.raises(TimeoutError, match="too late"):
        await faulty.append(STREAM, [ParcelDelivered()])


@pytest.mark.parametrize(("expected", "actual"), [(0, 1), (4, 5), (NO_STREAM, 1), (EXISTS, 0)])
async def test_a_conflict_names_the_stream_and_writes_nothing(
    faulty: FaultyEventStore, store: InMemoryEventStore, expected: Any, actual: int
) -> None:
    faulty.conflict()
    with pytest.raises(VersionConflict) as raised:
        await faulty.append(STREAM, [ParcelDelivered()], expected=expected)
    conflict = pickle.loads(pickle.dumps(raised.value))
    assert (conflict.stream, conflict.expected, conflict.actual) == (str(STREAM), expected, actual)
    assert await stored(store) == 0


async def test_a_conflict_may_meet_an_append_to_several_streams(faulty: FaultyEventStore) -> None:
    faulty.conflict(on="append_many", nth=2)
    await append_many(faulty)
    with pytest.raises(VersionConflict):
        await append_many(faulty)


async def test_a_repository_decides_again_after_a_conflict(faulty: FaultyEventStore) -> None:
    repository = Repository(faulty, Parcel)
    await repository.save(Parcel.post(ID, "Ada"))
    faulty.conflict(nth=1)
    await repository.execute(ID, lambda parcel: parcel.move(PARIS))
    assert (await repository.get(ID)).places[-1] == PARIS
    assert (faulty.unfired, faulty.calls["append"] + faulty.calls["append_many"]) == (0, 3)


@pytest.mark.parametrize("nth", [0, -1])
def test_calls_are_counted_from_one(faulty: FaultyEventStore, nth: int) -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        faulty.fail(nth=nth)
    with pytest.raises(ValueError, match="counted from 1"):
        faulty.conflict(nth=nth)


async def test_arguments_arrive_at_the_store_behind(faulty: FaultyEventStore) -> None:
    await faulty.append(
        STREAM, [ParcelMoved(place=PARIS), ParcelDelivered()], attachments={"key": b"1"}
    )
    assert [each.version async for each in faulty.read_stream(STREAM, after=1)] == [2]
    assert [each.version async for each in faulty.read_stream(STREAM, until_version=1)] == [1]
    assert [each.version async for each in faulty.read_all(limit=1)] == [1]
    assert [each.version async for each in faulty.read_all(types=[ParcelDelivered])] == [2]
    attachment = await faulty.read_attachment(STREAM, "key")
    assert attachment is not None
    assert attachment.data == b"1"
