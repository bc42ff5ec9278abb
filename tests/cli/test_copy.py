"""`dashtam-events copy`: a store moves house, and nothing is changed, lost or put elsewhere."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dashtam_events.cli.copy import _compare
from dashtam_events.errors import StoreUnavailable
from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.store import EventStore
from dashtam_events.store._transfer import Fingerprint, _Tally, copy, fingerprint
from dashtam_events.store.postgres._transfer import open_raw as open_schema
from dashtam_events.store.sqlite._transfer import open_raw as open_file
from dashtam_events.subscriptions import InMemoryCheckpointStore, Subscription
from tests import counts
from tests.cli.moving import (
    House,
    Houses,
    arguments,
    dsn,
    filled,
    houses,
    postgres,
    run,
    schema,
)
from tests.cli.running import call, on_a_terminal, start
from tests.subscriptions.houses import DoorOpened, open_doors

__all__ = ["dsn", "houses", "postgres", "schema"]


@pytest.fixture
def source(houses: Houses) -> House:
    """A full house in a file."""
    return filled(houses("sqlite", "source"))


@pytest.fixture
def target(houses: Houses) -> House:
    """A file that is not there."""
    return houses("sqlite", "target")


KINDS = ["sqlite", "postgresql"]


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_everything_is_copied_as_it_is_and_where_it_stands(
    houses: Houses, of: str, to: str
) -> None:
    source, target = filled(houses(of, "source")), houses(to, "target")
    before = source.rows
    copied = run(source, target, "--batch-size", "3")
    assert (copied.exit_code, copied.output.splitlines()[-1]) == (0, "equal")
    assert "14 events up to position 114, and 9 attachments" in copied.output
    assert target.rows == source.rows == before
    assert len(before) == 14 + 9


def test_a_target_with_partitions_gets_those_that_it_needs(source: House, houses: Houses) -> None:
    target = houses("postgresql", "target")
    target.use(EventStore.last_position)  # makes the tables
    for statement in (
        "ALTER TABLE {}events RENAME TO whole",
        "CREATE TABLE {0}events (LIKE {0}whole) PARTITION BY RANGE (position)",
        "CREATE TABLE {0}events_0 PARTITION OF {0}events FOR VALUES FROM (0) TO (4)",
    ):
        target.ask(statement)
    assert run(source, target, "--batch-size", "3").exit_code == 0
    assert target.rows == source.rows
    counted = "SELECT count(*) FROM pg_inherits WHERE inhparent = '{}events'::regclass"
    assert target.ask(counted) == [(114 // 4 + 1,)]
    assert target.ask("SELECT position FROM {}events_28") == [(112,), (113,), (114,)]


@pytest.mark.parametrize("to", KINDS)
def test_the_store_goes_on_where_the_other_ended(source: House, houses: Houses, to: str) -> None:
    target = houses(to, "target")
    assert run(source, target).exit_code == 0

    async def go_on(store: EventStore) -> list[int]:
        stream = StreamId("house", "0")
        result = await store.append(stream, [DoorOpened(number=9)], expected=3)
        return [result.position, result.version]

    assert target.use(go_on) == source.use(go_on) == [115, 4]


@pytest.mark.parametrize("to", KINDS)
def test_a_checkpoint_of_the_source_holds_for_the_target(
    source: House, houses: Houses, to: str
) -> None:
    target, kept, seen = houses(to, "target"), InMemoryCheckpointStore(), list[int]()

    async def see(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, DoorOpened)
        seen.append(recorded.event.number)

    async def subscribe(store: EventStore) -> None:
        doors = Subscription("doors", store, see, checkpoints=kept, types=[DoorOpened])
        await doors.run_once()

    source.use(subscribe)
    assert run(source, target).exit_code == 0
    before = list(seen)
    target.use(lambda store: open_doors(store, 77))
    target.use(subscribe)
    assert seen == [*before, 77]


@pytest.mark.parametrize("to", KINDS)
def test_it_goes_on_behind_what_is_there_and_catches_up(
    source: House, houses: Houses, to: str
) -> None:
    """Attachments are brought up to date, wherever they stand."""
    target = houses(to, "target")
    assert run(source, target).exit_code == 0

    async def live_on(store: EventStore) -> None:
        events = [DoorOpened(number=9)]
        kept = {"credentials": None, "new": b"new"}
        await store.append(StreamId("house", "0"), events, attachments=kept)

    source.use(live_on)
    again = run(source, target)
    assert again.exit_code == 0
    assert "went on after position 114" in again.output
    assert target.rows == source.rows
    assert run(source, target).exit_code == 0
    assert target.rows == source.rows


def test_a_beginning_is_gone_on_from_whatever_it_lacks(source: House, target: House) -> None:
    run(source, target)
    for left in (113, 9, 1, 0):
        target.ask(f"DELETE FROM {{}}events WHERE position > {left}")
        target.ask("DELETE FROM {}attachments WHERE name = 'empty'")
        assert run(source, target).exit_code == 0
        assert target.rows == source.rows


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {}events SET recorded_at = recorded_at + 1 WHERE position = 3",
        "UPDATE {}events SET position = 90 WHERE position = 9",
        "DELETE FROM {}events WHERE position = 1",
    ],
)
def test_a_target_that_holds_something_else_is_refused_and_not_written(
    source: House, houses: Houses, to: str, change: str
) -> None:
    target = houses(to, "target")
    run(source, target)
    target.ask("DELETE FROM {}events WHERE position > 10")
    target.ask(change)
    before = target.rows
    refused = run(source, target)
    assert refused.exit_code == 2
    assert "it holds other events than the first ones of the source" in refused.output
    assert target.rows == before


def test_a_target_that_went_on_by_itself_is_refused(source: House, target: House) -> None:
    run(source, target)
    target.use(lambda store: open_doors(store, 1))
    before = target.rows
    assert run(source, target).exit_code == 2
    assert target.rows == before


DIFFERENCES = [
    "UPDATE {}events SET event_id = randomblob(16) WHERE position = 3",
    "UPDATE {}events SET stream = 'house-z' WHERE position = 4",
    "UPDATE {}events SET version = 9 WHERE position = 3",
    "UPDATE {}events SET type = 'WindowOpened' WHERE position = 3",
    "UPDATE {}events SET schema_version = 2 WHERE position = 3",
    "UPDATE {}events SET subject = 'a' WHERE position = 3",
    "UPDATE {}events SET recorded_at = recorded_at + 1 WHERE position = 3",
    "UPDATE {}events SET data = CAST(data || ' ' AS BLOB) WHERE position = 3",
    "UPDATE {}events SET metadata = NULL WHERE position = 114",
    "UPDATE {}events SET position = 115 WHERE position = 114",
    "DELETE FROM {}events WHERE position = 114",
    "DELETE FROM {}attachments WHERE name = 'gone'",
    "UPDATE {}attachments SET data = x'' WHERE name = 'gone'",
    "UPDATE {}attachments SET version = 4 WHERE name = 'empty'",
    "INSERT INTO {}attachments VALUES ('house-z', 'a', 1, NULL)",
]


@pytest.mark.parametrize("change", DIFFERENCES)
def test_a_difference_in_any_column_is_found_and_is_an_exit_code(
    source: House, target: House, change: str
) -> None:
    run(source, target)
    assert run(source, target, "--verify-only").exit_code == 0
    target.ask(change)
    before = target.rows
    compared = run(source, target, "--verify-only")
    assert (compared.exit_code, compared.output.splitlines()[-1]) == (
        1,
        "different: the target is no copy",
    )
    assert target.rows == before


def test_what_the_target_holds_beside_is_found_after_copying(source: House, target: House) -> None:
    run(source, target)
    target.ask("INSERT INTO {}attachments VALUES ('house-z', 'a', 1, NULL)")
    assert run(source, target).exit_code == 1


def test_comparing_and_a_source_that_is_not_there_make_no_file(
    source: House, target: House
) -> None:
    missing = House(f"{target.url}.missing")
    for of, to, *options in ((source, target, "--verify-only"), (missing, target)):
        refused = run(of, to, *options)
        assert (refused.exit_code, len(refused.output.splitlines()[-1:])) == (2, 1)
        assert "there is no such file" in refused.output
    assert sorted(each.name for each in Path(source.path).parent.iterdir()) == ["source.db"]


def test_nothing_is_left_beside_the_files(source: House, target: House) -> None:
    run(source, target)
    run(source, target, "--verify-only")
    beside = sorted(each.name for each in Path(source.path).parent.iterdir())
    assert beside == ["source.db", "target.db"]


def test_plain_paths_serve_and_one_store_is_no_copy_of_itself(source: House, target: House) -> None:
    assert call("copy", source.path, target.path).exit_code == 0
    assert target.rows == source.rows
    refused = call("copy", source.path, source.url)
    assert refused.exit_code == 2
    assert "the same store" in refused.output


PASSWORD = "hunter2"


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://ann:{PASSWORD}@127.0.0.1:1/db",
        f"postgresql+asyncpg://ann:{PASSWORD}@127.0.0.1:1/db?password={PASSWORD}",
        f"postgresql://127.0.0.1:1/db?user=ann&password={PASSWORD}",
        f"postgresql://ann:{PASSWORD}/x@127.0.0.1:1/db",
        f"postgresql://ann:{PASSWORD}@127.0.0.1:one/db",
        f"postgresql://ann:{PASSWORD}@127.0.0.1:1/db?port={PASSWORD}",
        f"postgresql://ann:{PASSWORD}@127.0.0.1:1/db?sslmode={PASSWORD}",
        f"mysql://ann:{PASSWORD}@127.0.0.1/db",
        f"sqlite://{PASSWORD}",
    ],
)
@pytest.mark.parametrize("option", [(), ("--verify-only",)])
def test_no_password_is_ever_shown(source: House, address: str, option: tuple[str, ...]) -> None:
    for refused in (
        call("copy", source.url, address, *option),
        call("copy", address, source.url, *option),
    ):
        assert refused.exit_code == 2
        assert isinstance(refused.exception, SystemExit)
        assert PASSWORD not in refused.output
        assert "dashtam-events: " in refused.output.splitlines()[-1]


def test_the_password_of_a_store_that_serves_is_not_shown(source: House, houses: Houses) -> None:
    target = houses("postgresql", "target")
    address = target.url.replace("postgres:@", f"postgres:{PASSWORD}@")
    assert address != target.url
    shown = run(source, House(address, target.schema))
    assert shown.exit_code == 0
    assert PASSWORD not in shown.output


def test_a_schema_that_is_none_is_refused(source: House, dsn: str) -> None:
    refused = call("copy", source.url, dsn, "--target-schema", "a; DROP")
    assert refused.exit_code == 2
    assert "a schema is named" in refused.output


@pytest.mark.parametrize("to", KINDS)
def test_somebody_else_who_writes_to_the_target_is_noticed(houses: Houses, to: str) -> None:
    target = houses(to, "target")
    target.use(lambda store: open_doors(store, 1))
    before = target.rows

    async def write() -> None:
        rows = [(9, uuid4().bytes, "house-a", 1, "DoorOpened", 1, None, 0, b"{}", None)]
        async with raw(target, writable=True) as tables:
            await tables.write_events(rows, after=8)

    with pytest.raises(StoreUnavailable, match="somebody else writes to it"):
        asyncio.run(write())
    assert target.rows == before


@pytest.mark.parametrize("of", KINDS)
def test_a_source_in_use_is_copied_as_it_was_at_the_beginning(houses: Houses, of: str) -> None:
    """What is appended between the batches is for the next time."""
    source, target = filled(houses(of, "source")), houses("sqlite", "target")

    async def meanwhile() -> None:
        async with (
            source.open() as living,
            raw(source, writable=False) as here,
            raw(target, writable=True) as there,
        ):
            moving = asyncio.ensure_future(copy(here, there, lambda _events: None))
            while not moving.done():
                await open_doors(living, 1)
            copied = await moving
            assert copied.source == copied.target
            assert 114 <= copied.reached < (await living.last_position() or 0)

    asyncio.run(meanwhile())
    assert run(source, target).exit_code == 0
    assert target.rows == source.rows


@pytest.mark.parametrize("of", KINDS)
def test_a_snapshot_stands_still_from_its_beginning(houses: Houses, of: str) -> None:
    source = filled(houses(of, "source"))

    async def look() -> list[int]:
        async with source.open() as living, raw(source, writable=False) as here:
            async with here.snapshot() as before:
                await open_doors(living, 1)
                seen = [await before.count(), await before.last_position()]
            async with here.snapshot() as after:
                return [*seen, await after.count(), await after.last_position()]

    assert asyncio.run(look()) == [14, 114, 15, 115]


def raw(house: House, *, writable: bool) -> Any:
    """The tables of a store, as the command opens them."""
    if house.schema is None:
        return open_file(Path(house.path), writable=writable, batch_size=2)
    return open_schema(house.url, schema=house.schema, writable=writable, batch_size=2)


@counts.counted
@pytest.mark.parametrize("to", KINDS)
def test_killed_in_the_middle_again_and_again_it_ends_with_the_same(
    houses: Houses, to: str
) -> None:
    source, target = houses("sqlite", "source"), houses(to, "target")

    async def fill(store: EventStore) -> None:
        for _ in range(60):
            await open_doors(store, *range(100))

    source.use(fill)
    target.use(EventStore.last_position)  # makes the tables to count in
    kills = counts.of(short=3, full=20)
    for kill in range(kills):
        _kill_behind(source, target, 3000 * (kill + 1) // (kills + 1))
    left = held_by(target)
    assert 0 < left < 6000
    done = run(source, target)
    assert done.exit_code == 0
    assert "went on after" in done.output
    assert target.rows == source.rows


def held_by(house: House) -> int:
    return int(house.ask("SELECT count(*) FROM {}events")[0][0])


def _kill_behind(source: House, target: House, events: int) -> None:
    with start(*arguments(source, target, "--batch-size", "2")) as process:
        while held_by(target) < events:
            assert process.poll() is None, "it was not killed in the middle"
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()


def test_interrupted_it_says_nothing(houses: Houses) -> None:
    source, target = houses("sqlite", "source"), houses("postgresql", "target")

    async def fill(store: EventStore) -> None:
        for _ in range(30):
            await open_doors(store, *range(100))

    source.use(fill)
    target.use(EventStore.last_position)  # makes the tables to count in
    with start(*arguments(source, target, "--batch-size", "1")) as process:
        while not held_by(target):
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=60)
    assert (process.returncode, err.strip()) == (130, "")
    assert held_by(target) < 3000


@pytest.mark.parametrize("of", KINDS)
def test_where_its_target_fails_nothing_more_is_said_than_why(
    houses: Houses, of: str, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = filled(houses(of, "source")), houses("sqlite", "target")

    def disturb(events: int) -> None:
        if events:
            target.ask("DELETE FROM {}events")

    async def move() -> None:
        async with raw(source, writable=False) as here, raw(target, writable=True) as there:
            await copy(here, there, disturb)

    with pytest.raises(StoreUnavailable, match="somebody else writes to it"):
        asyncio.run(move())
    assert caplog.records == []


rows = st.lists(
    st.tuples(
        *(st.integers(0, 2**63 - 1), st.binary(max_size=3), st.text(max_size=3)),
        *(st.integers(1, 3), st.text(max_size=3), st.integers(1, 3), st.none() | st.text()),
        *(st.integers(), st.binary(max_size=3), st.none() | st.binary(max_size=3)),
    ).filter(lambda row: abs(row[7]) < 2**63),
    max_size=5,
)


@given(rows, rows)
def test_a_fingerprint_tells_all_rows_apart_and_no_batches(one: Any, other: Any) -> None:
    tallies = [_Tally() for _ in range(3)]
    tallies[0].add_events(one + other)
    tallies[1].add_events(one)
    tallies[1].add_events(other)
    tallies[2].add_events(other)
    assert tallies[0].seen == tallies[1].seen
    assert (tallies[0].seen == tallies[2].seen) == (one == [])


async def test_a_fingerprint_is_that_of_the_whole_store(source: House) -> None:
    told = list[int]()
    async with open_file(Path(source.path), writable=False, batch_size=4) as tables:
        held = await fingerprint(tables, told.append)
    assert (held.events, held.attachments, told) == (14, 9, [4, 4, 4, 2])


def test_a_terminal_is_shown_how_far_it_is(source: House, target: House) -> None:
    code, shown = on_a_terminal(*arguments(source, target))
    assert code == 0
    assert "copying" in shown
    assert "14/14" in shown


def test_a_narrow_terminal_is_shown_whole_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    held = Fingerprint(events=1_234_567, attachments=765_432, sha256="0123456789abcdef" * 4)
    assert _compare(Console(width=60), held, held)
    shown = capsys.readouterr().out
    assert shown.count("1,234,567") == shown.count("765,432") == 2
