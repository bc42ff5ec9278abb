"""What the stores keep is bytes: what comes back is what the codec makes of them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from time import perf_counter
from uuid import UUID

import pytest

from dashtam_events._clock import now
from dashtam_events.codec import EncodedEvent, EventCodec
from dashtam_events.errors import DecodingError
from dashtam_events.event import DomainEvent
from dashtam_events.recorded import UnknownEvent
from dashtam_events.registry import EventRegistry
from dashtam_events.store import Append, InMemoryEventStore, SQLiteEventStore
from dashtam_events.store._rows import Scribe, Stored
from dashtam_events.testing import CONTRACT_EVENTS
from dashtam_events.testing._store_samples import KeyHandedOver, LampLit, a_stream, lit

Store = InMemoryEventStore | SQLiteEventStore


class BreakingCodec(EventCodec):
    """Cannot read lamp number 3."""

    def decode(self, encoded: EncodedEvent) -> DomainEvent:
        event = super().decode(encoded)
        if isinstance(event, LampLit) and event.number == 3:
            raise DecodingError("LampLit", ".number", "a number below 3")
        return event


@pytest.fixture(params=["memory", "sqlite"])
async def breaking(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with store_with(BreakingCodec(CONTRACT_EVENTS), request.param, tmp_path) as store:
        yield store


def store_with(codec: EventCodec, kind: str, folder: Path) -> Store:
    if kind == "memory":
        return InMemoryEventStore(registry=CONTRACT_EVENTS, codec=codec)
    return SQLiteEventStore(folder / "events.db", registry=CONTRACT_EVENTS, codec=codec)


async def test_an_event_that_cannot_be_read_says_where_it_stands(breaking: Store) -> None:
    """The events before it are read; the error notes position, stream and version."""
    stream = a_stream()
    await breaking.append(a_stream(), lit(2))
    await breaking.append(stream, lit(4))
    reading = breaking.read_all()
    assert [(await anext(reading)).position for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(DecodingError) as raised:
        await anext(reading)
    assert raised.value.__notes__ == [f"at position 5 of the log: {stream}, version 3"]


def test_neither_attachments_nor_stored_values_are_shown_of_what_is_to_be_appended() -> None:
    appended = Append(
        stream=a_stream(),
        events=[KeyHandedOver(door="canary-4711")],
        attachments={"key": b"canary-4712", "gone": None},
    )
    assert "attachments={'key': <11 bytes>, 'gone': None}" in repr(appended)
    (draft,) = Scribe(CONTRACT_EVENTS, None, now).drafts((appended,))
    stored = Stored(rows=(draft.rows(0, 0, 0),), repeated=False)
    assert "canary" not in repr((draft, stored))


DAMAGES = {
    "event_id": (b"\x07" * 9, "event_id: expected the id that the event itself has"),
    "stream": ("CANARY", "stream: expected category-id"),
    "version": (0, "version: expected a number from 1"),
    "recorded_at": (2**62, "recorded_at: expected microseconds since 1970, before the year 10000"),
}


@pytest.mark.parametrize("column", DAMAGES)
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_damaged_row_says_where_it_stands_and_what_is_wrong(
    kind: str, column: str, tmp_path: Path
) -> None:
    """The events before it are read; the error never shows the value."""
    value, wrong = DAMAGES[column]
    store = await _damaged(kind, tmp_path / "events.db", column, value)
    async with store:
        reading = store.read_all()
        assert (await anext(reading)).position == 1
        with pytest.raises(DecodingError) as raised:
            await anext(reading)
    error = raised.value
    assert str(error) == f"RecordedEvent.{wrong}"
    assert error.position == 2
    assert "at position 2 of the log" in error.__notes__[0]
    assert "CANARY" not in f"{error}{error.__notes__}{error.__context__}"


async def _damaged(kind: str, path: Path, column: str, value: object) -> Store:
    """A store with two events, something wrong about the second."""
    memory = InMemoryEventStore(registry=CONTRACT_EVENTS)
    if kind == "memory":
        await memory.append(a_stream(), lit(2))
        row: list[object] = list(memory._log[1])
        row[{"event_id": 1, "stream": 2, "version": 3, "recorded_at": 7}[column]] = value
        memory._log[1] = tuple(row)  # type: ignore[assignment]  # the damage
        return memory
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS) as store:
        await store.append(a_stream(), lit(2))
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"UPDATE events SET {column} = ? WHERE position = 2", (value,))
        file.commit()
    return SQLiteEventStore(path, registry=CONTRACT_EVENTS)


async def test_a_repeated_append_is_read_back_by_the_codec(breaking: Store) -> None:
    events = lit(3)
    await breaking.append(stream := a_stream(), events)
    with pytest.raises(DecodingError):
        await breaking.append(stream, events)


async def test_an_unknown_event_passes_through(tmp_path: Path) -> None:
    """A store with another registry reads the bytes, and another store can keep them."""
    path, subject = tmp_path / "events.db", UUID(int=7)
    (event,) = lit(1, owner=subject)
    stream = a_stream()
    async with SQLiteEventStore(path, registry=CONTRACT_EVENTS) as store:
        await store.append(stream, [event])
    other = EventRegistry([KeyHandedOver])
    async with SQLiteEventStore(path, registry=other) as store:
        (recorded,) = [seen async for seen in store.read_all(types=["LampLit"])]
        assert isinstance(recorded.event, UnknownEvent)
        assert recorded.event.event_id == event.event_id
    carried = InMemoryEventStore(registry=CONTRACT_EVENTS)
    await carried.append(stream, [recorded.event])
    assert [seen.event async for seen in carried.read_all(subject=subject)] == [event]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_no_secret_reaches_the_store(kind: str, tmp_path: Path) -> None:
    made: Store
    path = tmp_path / "events.db"
    memory = InMemoryEventStore(registry=CONTRACT_EVENTS)
    made = memory if kind == "memory" else SQLiteEventStore(path, registry=CONTRACT_EVENTS)
    async with made as store:
        await store.append(a_stream(), [KeyHandedOver(door="north", password="canary-4711")])
        files = b"".join(file.read_bytes() for file in [path, Path(f"{path}-wal")] if file.exists())
    assert b"canary-4711" not in files + repr(memory._log).encode()
    assert b"north" in files + repr(memory._log).encode()


class SlowCodec(EventCodec):
    """Takes two milliseconds for each event."""

    decoded = 0

    def decode(self, encoded: EncodedEvent) -> DomainEvent:
        begun = perf_counter()
        while perf_counter() - begun < 0.002:
            pass
        self.decoded += 1
        return super().decode(encoded)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_while_one_reads_without_waiting_others_have_their_turns(
    tmp_path: Path, kind: str
) -> None:
    """However many events there are, and however long each of them takes."""
    codec, most = SlowCodec(CONTRACT_EVENTS), 0

    async def others() -> None:
        nonlocal most
        while True:
            before = codec.decoded
            await asyncio.sleep(0)
            most = max(most, codec.decoded - before)

    async with store_with(codec, kind, tmp_path) as store:
        await store.append(a_stream(), lit(100))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(others())
            assert len([recorded async for recorded in store.read_all()]) == 100
            await asyncio.sleep(0)
            task.cancel()
    assert most == 1
