"""A SQLite store makes its file, and says in one sentence why it refuses another."""

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dashtam_events.errors import StoreBusy, StoreUnavailable
from dashtam_events.store import SQLiteEventStore
from dashtam_events.store.sqlite._schema import APPLICATION_ID, SCHEMA_VERSION
from dashtam_events.testing import CONTRACT_EVENTS
from dashtam_events.testing._store_samples import LampLit, a_stream, lit, log_of
from tests.store.starting import run


def _store(path: Path | str, **options: object) -> SQLiteEventStore:
    return SQLiteEventStore(path, registry=CONTRACT_EVENTS, **options)  # type: ignore[arg-type]  # the tests' own options


async def _refusal(path: Path | str, **options: object) -> str:
    with pytest.raises(StoreUnavailable) as raised:
        await _store(path, **options).__aenter__()
    assert raised.value.store == str(path)
    return raised.value.reason


def _change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def _listing(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


def _tidy(directory: Path) -> None:
    for beside in directory.glob("*.db-*"):
        beside.unlink()


async def test_the_file_says_whose_it_is(tmp_path: Path) -> None:
    async with _store(tmp_path / "events.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("name", ["a b.db", "what?mode=memory", "100%#1.db", "ünïcode.db"])
async def test_a_path_is_taken_literally(tmp_path: Path, name: str) -> None:
    async with _store(tmp_path / name) as store:
        await store.append(a_stream(), lit())
    assert _listing(tmp_path) == [name]


async def test_a_relative_path_is_that_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with _store("events.db") as store:
        await store.append(a_stream(), lit())
    assert (tmp_path / "events.db").exists()


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "events.db").touch()
    async with _store(tmp_path / "events.db") as store:
        await store.append(a_stream(), lit())


async def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    for attempt in range(5):
        stores = [_store(tmp_path / f"{attempt}.db", busy_timeout=60) for _ in range(12)]
        await asyncio.gather(*(store.__aenter__() for store in stores))
        await asyncio.gather(*(store.append(a_stream(), lit()) for store in stores))
        assert len(await log_of(stores[0])) == 12
        await asyncio.gather(*(store.__aexit__(None, None, None) for store in stores))


async def test_memory_is_no_file() -> None:
    with pytest.raises(ValueError, match="InMemoryEventStore"):
        _store(":memory:")


async def test_a_file_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    async with _store(tmp_path / "events.db"):
        pass
    _change(tmp_path / "events.db", f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for read_only in (False, True):
        assert "newer release" in await _refusal(tmp_path / "events.db", read_only=read_only)


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    text = "These are the accounts of somebody else.\n" * 100
    (tmp_path / "events.db").write_text(text)
    for read_only in (False, True):
        reason = await _refusal(tmp_path / "events.db", read_only=read_only)
        assert reason == "it is not an SQLite database"
    assert (tmp_path / "events.db").read_text() == text


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("CREATE TABLE events (id)", "the table events in it is of something else"),
        ("CREATE TABLE Attachments (id)", "the table Attachments in it is of something else"),
        ("CREATE VIEW events AS SELECT 1", "the view events in it is of something else"),
        ("PRAGMA user_version = 7", "it is a database of something else"),
        ("PRAGMA application_id = 7", "it is a database of something else"),
    ],
)
async def test_a_database_of_something_else_is_refused_untouched(
    tmp_path: Path, statement: str, refusal: str
) -> None:
    path = tmp_path / "events.db"
    _change(path, "CREATE TABLE accounts (id)", statement)
    before = path.read_bytes()
    for read_only in (False, True):
        assert refusal in await _refusal(path, read_only=read_only)
    assert path.read_bytes() == before
    assert _listing(tmp_path) == [path.name]


async def test_it_opens_beside_tables_that_the_application_made_before(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    _change(path, "CREATE TABLE accounts (id)", "INSERT INTO accounts VALUES (7)")
    stores = [_store(path, busy_timeout=60) for _ in range(4)]
    await asyncio.gather(*(store.__aenter__() for store in stores))
    await asyncio.gather(*(store.append(a_stream(), lit()) for store in stores))
    await asyncio.gather(*(store.__aexit__(None, None, None) for store in stores))
    async with _store(path, read_only=True) as store:
        assert len(await log_of(store)) == 4
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM accounts").fetchall() == [(7,)]


async def test_who_only_reads_makes_no_store_of_a_database(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    _change(path, "CREATE TABLE accounts (id)")
    before = path.read_bytes()
    assert await _refusal(path, read_only=True) == "it holds no events"
    assert path.read_bytes() == before
    assert _listing(tmp_path) == [path.name]


async def test_a_directory_is_refused(tmp_path: Path) -> None:
    for read_only in (False, True):
        assert await _refusal(tmp_path, read_only=read_only) == "it is a directory"


async def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    reason = await _refusal(tmp_path / "nowhere" / "events.db")
    assert reason == "its directory does not exist"
    reason = await _refusal(tmp_path / "nowhere" / "events.db", read_only=True)
    assert reason == "there is no such file"


def test_what_may_not_be_written_is_refused(tmp_path: Path) -> None:
    """In a process without rights: a read-only file, a read-only directory, a closed one."""
    assert run("without-rights").splitlines() == [
        "the file is read-only",
        "its directory is read-only",
        "Permission denied",
        "1 read",
    ]


async def test_a_file_held_by_another_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy):
            await _store(path, busy_timeout=0.1).__aenter__()
        other.execute("ROLLBACK")
    async with _store(path) as store:
        await store.append(a_stream(), lit())


async def test_looking_makes_no_file_and_changes_none(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    assert await _refusal(path, read_only=True) == "there is no such file"
    assert _listing(tmp_path) == []
    async with _store(path) as store:
        result = await store.append(a_stream(), lit(100))
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    async with _store(path, read_only=True) as looking:
        assert await log_of(looking) == list(result.recorded)
        assert _listing(tmp_path) == [path.name]
        with pytest.raises(StoreUnavailable, match="for reading only"):
            await looking.append(a_stream(), lit())
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert _listing(tmp_path) == [path.name]


async def test_looking_sees_what_others_write_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with _store(path):
        pass
    async with _store(path, read_only=True) as looking:
        for count in (1, 2, 3):
            waiting = asyncio.create_task(looking.wait(after=await looking.last_position()))
            await asyncio.sleep(0.01)
            async with _store(path) as store:
                await store.append(a_stream(), lit())
                async with asyncio.timeout(30):
                    assert await waiting
                assert len(await log_of(looking)) == count
            assert len(await log_of(looking)) == count


async def test_looking_at_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.db").touch()
    assert await _refusal(tmp_path / "events.db", read_only=True) == "it holds no events"


async def test_a_file_that_vanishes_while_it_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with _store(path) as store:
        await store.append(a_stream(), lit())
    async with _store(path, read_only=True) as looking:
        path.unlink()
        with pytest.raises(StoreUnavailable, match="no such file"):
            await log_of(looking)


async def test_a_damaged_file_is_no_foreign_exception(tmp_path: Path) -> None:
    """Wherever the file is damaged, only errors of ours come out, and no wrong event."""
    path = tmp_path / "events.db"
    async with _store(path) as store:
        whole = (await store.append(a_stream(), lit(400))).recorded
    data = path.read_bytes()
    raised, chance = 0, random.Random(7)
    for start in range(0, len(data), 4096):
        path.write_bytes(data[:start] + chance.randbytes(4096) + data[start + 4096 :])
        try:
            async with _store(path) as store:
                read = await log_of(store)
                await store.append(a_stream(), [LampLit()])
            assert read == list(whole)
        except StoreUnavailable:
            raised += 1
        _tidy(tmp_path)
    assert raised > len(data) // 4096 // 2
