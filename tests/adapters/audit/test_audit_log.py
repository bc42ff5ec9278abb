"""The audit trail is found by whom, on what, which action and when, page after page."""

import asyncio
import csv
import io
import json
import sqlite3
import tracemalloc
from datetime import UTC, datetime, timedelta
from itertools import chain, product
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import URL, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from dashtam_events.adapters.audit import AuditEventHandler, AuditLog, audit_log
from dashtam_events.catalogue import UserLoginFailed, UserLoginSucceeded, UserPasswordChangeFailed
from dashtam_events.errors import AuditUnreadable, InvalidCursor
from tests.adapters.audit.trails import all_of, audited_bus, record
from tests.adapters.marked import marked
from tests.databases import plain_address
from tests.faults.cutting import cutting

START = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = UUID(int=1), UUID(int=2)


@pytest.fixture
async def ten(engine: AsyncEngine, trail: AuditLog) -> AuditLog:
    """Ten logins, one a minute, of Ann and Bob by turns."""
    facts = [
        marked(
            UserLoginSucceeded,
            user_id=(ANN, BOB)[n % 2],
            session_id=UUID(int=100 + n),
            occurred_at=START + timedelta(minutes=n),
        )
        for n in range(10)
    ]
    await record(engine, *facts)
    return trail


def minutes(records: Any) -> list[int]:
    return [each.occurred_at.minute for each in records]


async def test_the_newest_come_first_unless_asked_otherwise(ten: AuditLog) -> None:
    assert minutes((await ten.page(limit=3)).records) == [9, 8, 7]
    assert minutes((await ten.page(limit=3, newest_first=False)).records) == [0, 1, 2]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 5, 10, 11])
async def test_pages_follow_one_another_without_gap_or_repeat(
    ten: AuditLog, limit: int, *, newest_first: bool
) -> None:
    seen, cursor, pages = [], None, 0
    while True:
        page = await ten.page(limit=limit, cursor=cursor, newest_first=newest_first)
        seen += minutes(page.records)
        pages += 1
        if (cursor := page.next) is None:
            break
    assert seen == sorted(range(10), reverse=newest_first)
    assert pages == -(-10 // limit)


async def test_what_is_recorded_meanwhile_moves_no_page(engine: AsyncEngine, ten: AuditLog) -> None:
    page = await ten.page(limit=4)
    await record(engine, marked(UserLoginFailed))
    page = await ten.page(limit=4, cursor=page.next)
    assert minutes(page.records) == [5, 4, 3, 2]


async def test_oldest_first_what_is_recorded_meanwhile_comes_at_the_end(
    engine: AsyncEngine, ten: AuditLog
) -> None:
    page = await ten.page(limit=9, newest_first=False)
    fact = marked(UserLoginFailed)
    await record(engine, fact)
    page = await ten.page(limit=9, newest_first=False, cursor=page.next)
    assert page.records[-1].event_id == str(fact.event_id)
    assert len(page.records) == 2


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite has one writer
@pytest.mark.parametrize("newest_first", [True, False])
async def test_what_is_committed_late_is_in_an_export_that_overlaps(
    engine: AsyncEngine, trail: AuditLog, *, newest_first: bool
) -> None:
    """It has a smaller `id` than what was exported before."""
    late, soon = marked(UserLoginSucceeded, occurred_at=START), marked(UserLoginFailed)
    async with AsyncSession(engine) as session:
        await audited_bus().publish(late, session=session)
        await record(engine, soon)
        known = {each.event_id async for each in trail.records(since=START)}
        await session.commit()
    assert known == {str(soon.event_id)}
    again = [each async for each in trail.records(since=START, newest_first=newest_first)]
    assert [each.event_id for each in again if each.event_id not in known] == [str(late.event_id)]
    assert again[-1 if newest_first else 0].event_id == str(late.event_id)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("newest_first", [True, False])
async def test_late_commits_take_nothing_from_the_pages_of_what_was_there(
    engine: AsyncEngine, ten: AuditLog, *, newest_first: bool
) -> None:
    seen, cursor = list[str](), None
    there = {each.event_id for each in await all_of(ten)}
    while True:
        async with AsyncSession(engine) as session:
            await audited_bus().publish(marked(UserLoginSucceeded), session=session)
            await record(engine, marked(UserLoginFailed))
            page = await ten.page(limit=3, cursor=cursor, newest_first=newest_first)
            await session.commit()
        seen += [each.event_id for each in page.records]
        if (cursor := page.next) is None or len(seen) > 30:
            break
    assert there <= set(seen)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"user_id": ANN}, [0, 2, 4, 6, 8]),
        ({"user_id": str(ANN)}, [0, 2, 4, 6, 8]),
        ({"resource_type": "session"}, list(range(10))),
        ({"resource_type": "token"}, []),
        ({"resource_type": "session", "resource_id": UUID(int=103)}, [3]),
        ({"action": "USER_LOGIN_SUCCESS"}, list(range(10))),
        ({"action": "USER_LOGIN"}, []),
        ({"since": START + timedelta(minutes=7)}, [7, 8, 9]),
        ({"until": START + timedelta(minutes=2)}, [0, 1]),
        ({"user_id": BOB, "since": START + timedelta(minutes=2, microseconds=1)}, [3, 5, 7, 9]),
    ],
)
async def test_filters_must_all_hold(ten: AuditLog, filters: Any, found: list[int]) -> None:
    assert minutes(await all_of(ten, **filters)) == found
    assert minutes((await ten.page(newest_first=False, **filters)).records) == found


async def test_a_limit_ends_the_records(ten: AuditLog) -> None:
    assert minutes([each async for each in ten.records(limit=2)]) == [9, 8]


@pytest.mark.parametrize("cursor", ["", "after-3", "before-", "before--3", "before-x", "3"])
async def test_a_cursor_of_something_else_is_refused(ten: AuditLog, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        await ten.page(cursor=cursor)
    with pytest.raises(ValueError, match="cursor"):
        await ten.page(cursor=cursor)


async def test_what_cannot_be_asked_is_refused(ten: AuditLog) -> None:
    with pytest.raises(ValueError, match="timezone"):
        await ten.page(since=datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point
    with pytest.raises(ValueError, match="at least one"):
        await ten.page(limit=0)
    with pytest.raises(TypeError):
        await ten.page(colour="red")


async def test_it_is_read_in_the_transaction_of_a_session(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    async with AsyncSession(engine) as session:
        await record_in(session)
        assert len(await all_of(AuditLog(session))) == 1
        await session.rollback()
    assert await all_of(trail) == []


async def record_in(session: AsyncSession) -> None:
    from dashtam_events.bus import EventContext

    fact = marked(UserLoginSucceeded)
    await AuditEventHandler(personal="apart")(fact, EventContext(session=session))
    assert await AuditLog(session).erase(fact.user_id) == 1


async def test_json_lines_are_the_records_exactly(ten: AuditLog) -> None:
    lines = [json.loads(line) async for line in ten.export_jsonl(newest_first=False)]
    for line, each in zip(lines, await all_of(ten), strict=True):
        assert line["leaf_hash"] == each.leaf_hash
        assert datetime.fromisoformat(line["occurred_at"]) == each.occurred_at
        assert line["context"] == each.context
        assert set(line) >= {"actor", "user_id", "ip_address", "resource_id", "trace_id"}


async def test_csv_has_a_header_and_quotes_every_cell(engine: AsyncEngine, trail: AuditLog) -> None:
    await record(engine, marked(UserLoginSucceeded), metadata={"user_agent": 'a "b", c\r\nd'})
    written = "".join([line async for line in trail.export_csv()])
    assert written.startswith('"id","recorded_at",')
    assert '\r\n"1","' in written
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert row["user_agent"] == 'a "b", c\r\nd'
    assert row["action"] == "USER_LOGIN_SUCCESS"


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@x", "\t1", "\r1", "\n1", "\uff1d1"])
async def test_csv_gives_a_spreadsheet_nothing_to_run(
    engine: AsyncEngine, trail: AuditLog, formula: str
) -> None:
    await record(engine, marked(UserLoginSucceeded), metadata={"user_agent": formula})
    written = "".join([line async for line in trail.export_csv()])
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert row["user_agent"] == f"'{formula}"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_csv_gives_it_nothing_to_run_with_another_list_separator(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    bus = audited_bus()
    async with AsyncSession(engine) as session, session.begin():
        for signs in product(';|\t\r\n"=', repeat=3):
            agent = {"user_agent": f"{''.join(signs)}=1+1"}
            await bus.publish(marked(UserLoginSucceeded), session=session, metadata=agent)
    written = "".join([line async for line in trail.export_csv()])
    for separator in ",;|\t":
        read = csv.reader(io.StringIO(written, newline=""), delimiter=separator)
        assert [cell for cell in chain(*read) if cell.lstrip().startswith("=")] == []


async def test_csv_changes_nothing_of_an_ordinary_user_agent(
    engine: AsyncEngine, trail: AuditLog
) -> None:
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    await record(engine, marked(UserLoginSucceeded), metadata={"user_agent": agent})
    written = "".join([line async for line in trail.export_csv()])
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert row["user_agent"] == agent


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_an_export_holds_little_in_memory(engine: AsyncEngine, trail: AuditLog) -> None:
    await record(engine, marked(UserPasswordChangeFailed))
    (known,) = await all_of(trail)
    row = {name: getattr(known, name) for name in audit_log.columns.keys() if name != "id"}  # noqa: SIM118  # of the table, not a mapping
    async with engine.begin() as connection:
        rows = [row | {"event_id": str(n), "context": "x" * 2_000} for n in range(10_000)]
        await connection.execute(insert(audit_log), rows)
    del rows
    size = 0
    tracemalloc.start()
    async for line in trail.export_jsonl():
        size += len(line)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 20_000_000
    assert peak < 8_000_000


async def test_a_database_without_a_trail_says_so(engine: AsyncEngine) -> None:
    with pytest.raises(AuditUnreadable, match="holds no audit trail"):
        await AuditLog(engine).page()


async def test_a_database_that_is_away_is_named_without_its_password() -> None:
    engine = create_async_engine("postgresql+asyncpg://ann:canary-secret@127.0.0.1:1/none")
    with pytest.raises(AuditUnreadable) as caught:
        await AuditLog(engine).page(user_id="canary-personal")
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None
    await engine.dispose()


async def test_a_file_is_opened_for_reading_only(tmp_path: Any) -> None:
    from dashtam_events.adapters.audit import create_audit_tables
    from dashtam_events.bus.session import real_savepoints

    path = tmp_path / "with space%20?.db"
    url = URL.create("sqlite+aiosqlite", database=str(path))
    engine = real_savepoints(create_async_engine(url))
    await create_audit_tables(engine)
    await record(engine, marked(UserLoginSucceeded))
    await engine.dispose()
    async with AuditLog.open(path) as trail:
        assert len(await all_of(trail)) == 1
        with pytest.raises(AuditUnreadable):
            await trail.erase(ANN)
    with pytest.raises(AuditUnreadable, match="no such file"):
        async with AuditLog.open(tmp_path / "absent.db"):
            pass
    text_file = tmp_path / "note.txt"
    text_file.write_text("no database at all, but long enough to look at" * 100)
    async with AuditLog.open(str(text_file)) as trail:
        with pytest.raises(AuditUnreadable, match="no SQLite database"):
            await trail.page()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "forged", ["recorded_at = 'garbage'", "occurred_at = 7", "action = X'00'", "context = X'FF'"]
)
async def test_a_damaged_record_is_named(engine: AsyncEngine, ten: AuditLog, forged: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        await connection.execute(text("DROP TRIGGER audit_log_no_update"))
        await connection.execute(text(f"UPDATE audit_log SET {forged} WHERE id = 7"))
    with pytest.raises(AuditUnreadable, match="record 7 is damaged"):
        await all_of(ten)
    assert minutes((await ten.page(limit=2)).records) == [9, 8]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_the_trail_is_read_while_another_has_the_lock(
    engine: AsyncEngine, ten: AuditLog
) -> None:
    async with asyncio.timeout(60), engine.connect() as writer:
        await writer.execute(text("SELECT 1"))
        assert minutes((await ten.page(limit=1)).records) == [9]


async def test_a_trail_that_is_locked_is_busy(tmp_path: Any) -> None:
    path = tmp_path / "test.db"
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("CREATE TABLE audit_log (id)")
        writer.execute("BEGIN EXCLUSIVE")
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}", connect_args={"timeout": 0.1})
        with pytest.raises(AuditUnreadable, match="it is busy"):
            await AuditLog(engine).page()
        await engine.dispose()
    writer.close()


@pytest.mark.parametrize(
    "url",
    ["nothing://ann:canary@host/x", "://", "mysql+nothing://u:canary@h/x", "postgresql://[::"],
)
async def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(AuditUnreadable) as caught:
        async with AuditLog.open(url):
            pass
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_postgresql_is_opened_by_its_plain_url(engine: AsyncEngine, ten: AuditLog) -> None:
    """And in the words of libpq."""
    url = plain_address(engine.url)
    async with cutting(url) as (_, address):
        in_words = address.replace("/postgres?", f"/{engine.url.database}?")
        assert "sslmode=disable" in in_words
        for given in (url, in_words, in_words.replace("postgresql:", "postgresql+asyncpg:")):
            async with AuditLog.open(given) as trail:
                assert minutes(await all_of(trail)) == list(range(10))
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
        assert len(await all_of(AuditLog(connection))) == 10
