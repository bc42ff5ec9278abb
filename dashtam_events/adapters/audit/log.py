"""Reading the audit trail: by whom, on what, which action and when; page by page, or as a file."""

import csv
import io
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import attrs
from sqlalchemy import URL, Select, delete, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from dashtam_events.adapters.audit.record import AuditRecord
from dashtam_events.adapters.audit.schema import audit_log, audit_personal
from dashtam_events.bus.session import BEGIN, refused_as_dbapi
from dashtam_events.errors import AuditUnreadable, InvalidCursor
from dashtam_events.store._address import check_address, printable

__all__ = ["AuditLog", "AuditPage"]

_COLUMNS = tuple(field.name for field in attrs.fields(AuditRecord))
_CHUNK = 500
_NOT_TYPED = (ValueError, TypeError, OverflowError)
_POSTGRESQL = ("postgres", "postgresql", "postgresql+asyncpg")
# Where a spreadsheet begins a formula: at a cell's start, and, if its list separator is another
# than the comma, wherever one may end a cell, with quotes dropped. In full width too, which some
# of them take for the same.
_FORMULA = re.compile('^(?=[\t\r\n])|(?:^|[;|\t\r\n]"*)(?=[=+\\-@\uff1d\uff0b\uff0d\uff20])')


@attrs.frozen(kw_only=True)
class AuditPage:
    """Some records, and the cursor of those after them; None where there are no more."""

    records: tuple[AuditRecord, ...]
    next: str | None


class AuditLog:
    """The audit trail of a database.

    On an engine each page is read in a transaction of its own; on a session or a connection in
    the one that it has. Records come in the order of their `id`, or backwards: they got it when
    they were written, and PostgreSQL may commit them in another order. A page of an engine for
    SQLite neither waits for the lock for writing nor takes it.

    The filters of all its methods must all hold: `user_id`, `resource_type`, `resource_id` and
    `action` are equal to what is given, and it happened at or after `since` and before `until`
    (aware datetimes).
    """

    def __init__(self, source: AsyncEngine | AsyncConnection | AsyncSession) -> None:
        self._source = source
        self._shown = _shown(source)

    @classmethod
    @asynccontextmanager
    async def open(cls, target: str | Path) -> "AsyncGenerator[AuditLog, None]":
        """The trail in a SQLite file, or in the database of a URL, for reading only.

        Raises:
            AuditUnreadable: it is no such file or URL, or its driver is not installed.
        """
        engine = _engine(target)
        log = cls(engine)
        if engine.dialect.name == "postgresql":
            log._shown = printable(str(target))
        try:
            yield log
        finally:
            await engine.dispose()

    async def page(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        newest_first: bool = True,
        **filters: Any,
    ) -> AuditPage:
        """At most `limit` records, from the beginning or from a cursor on.

        Pages that follow one another hold every record that was committed before the first of
        them was read, once. Of those that are committed meanwhile they hold the ones whose `id`
        is still to come: oldest first these are all on SQLite, but on PostgreSQL not one that got
        its `id` early and was committed late. So a cursor is for going on, and not for asking
        later what is new: for that, read again with a `since` that overlaps, and leave out each
        `event_id` that is known.

        Raises:
            InvalidCursor: the cursor is not that of a page in this order.
            ValueError: `limit` is below 1, or a time has no zone.
            TypeError: there is no such filter.
            AuditUnreadable: the database cannot be read, has no audit trail, or holds a record
                that is none: its `id` is named.
        """
        if limit < 1:
            raise ValueError("a page has at least one record")
        after = None if cursor is None else _after(cursor, newest_first=newest_first)
        wanted = _filtered(newest_first=newest_first, after=after, **filters).limit(limit + 1)
        found: list[AuditRecord] = await self._run(lambda on: _found(on, wanted))
        records = tuple(found[:limit])
        more = len(found) > limit
        return AuditPage(
            records=records,
            next=_cursor(records[-1], newest_first=newest_first) if more else None,
        )

    async def records(
        self, *, newest_first: bool = True, limit: int | None = None, **filters: Any
    ) -> AsyncIterator[AuditRecord]:
        """All records, or at most `limit`, in constant memory; promises and raises as `page`."""
        left, cursor = limit, None
        while left is None or left > 0:
            size = _CHUNK if left is None else min(left, _CHUNK)
            page = await self.page(limit=size, cursor=cursor, newest_first=newest_first, **filters)
            for record in page.records:
                yield record
            left = None if left is None else left - len(page.records)
            cursor = page.next
            if cursor is None:
                return

    async def export_jsonl(self, **filters: Any) -> AsyncIterator[str]:
        """The records as JSON Lines, exactly as they are stored; arguments as for `records`."""
        async for record in self.records(**filters):
            yield json.dumps(_told(record), ensure_ascii=False) + "\n"

    async def export_csv(self, **filters: Any) -> AsyncIterator[str]:
        """The records as lines of CSV (RFC 4180) under a header; arguments as for `records`.

        Every cell is quoted. What a spreadsheet would take for a formula, at the start of a cell
        or behind a semicolon, a bar, a tab or a line's end in it, has an apostrophe in front.
        """
        yield _csv_line(_COLUMNS)
        async for record in self.records(**filters):
            yield _csv_line(tuple(_cell(value) for value in _told(record).values()))

    async def erase(self, user_id: UUID | str) -> int:
        """Erase the personal fields kept apart for a user; returns of how many records.

        The records stay, and their hashes hold. On an engine it is committed; a session or a
        connection is left to its caller to commit.

        Raises:
            AuditUnreadable: the database failed.
        """
        statement = delete(audit_personal).where(audit_personal.c.user_id == str(user_id))
        if not isinstance(self._source, AsyncEngine):
            return int(await self._run(lambda on: _count(on, statement)))
        work = partial(_count, statement=statement, commit=True)
        return int(await self._run(work, begin="IMMEDIATE"))

    async def _run(self, work: Callable[[Any], Any], *, begin: str = "DEFERRED") -> Any:
        """Do something on a connection; raises outside of what quotes the statement's values."""
        try:
            if not isinstance(self._source, AsyncEngine):
                return await work(self._source)
            with refused_as_dbapi():
                return await _connected(self._source, work, begin)
        except _Damaged as damaged:
            reason = f"record {damaged.args[0]} is damaged"
        except (SQLAlchemyError, OSError) as error:
            reason = _reason(error)
        raise AuditUnreadable(self._shown, reason)


async def _connected(engine: AsyncEngine, work: Callable[[Any], Any], begin: str) -> Any:
    async with engine.connect() as connection:
        return await work(await connection.execution_options(**{BEGIN: begin}))


class _Damaged(Exception):
    """A row, told by its id, holds what the handler never wrote; it leaves as AuditUnreadable."""


async def _found(on: AsyncConnection | AsyncSession, wanted: Select[Any]) -> list[AuditRecord]:
    try:
        return await _records(on, wanted)
    except _NOT_TYPED:
        pass
    for number in (await on.execute(wanted.with_only_columns(audit_log.c.id))).scalars().all():
        try:
            await _records(on, wanted.where(audit_log.c.id == number))
        except _NOT_TYPED:
            raise _Damaged(number) from None
    return []


async def _records(on: AsyncConnection | AsyncSession, wanted: Select[Any]) -> list[AuditRecord]:
    rows = [dict(row) for row in (await on.execute(wanted)).mappings()]
    if any(isinstance(value, bytes) for row in rows for value in row.values()):
        raise ValueError("SQLite holds bytes in any column, whatever its type")
    return [AuditRecord(**row) for row in rows]


async def _count(on: Any, statement: Any, *, commit: bool = False) -> int:
    count: int = (await on.execute(statement)).rowcount
    if commit:
        await on.commit()
    return count


def _filtered(
    *,
    newest_first: bool,
    after: int | None,
    user_id: UUID | str | None = None,
    resource_type: str | None = None,
    resource_id: UUID | str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Select[Any]:
    log = audit_log.c
    wanted = select(audit_log, audit_personal.c.personal).outerjoin(audit_personal)
    wanted = wanted.order_by(log.id.desc() if newest_first else log.id)
    equal = {"user_id": user_id, "resource_id": resource_id}
    equal |= {"resource_type": resource_type, "action": action}
    for name, value in equal.items():
        if value is not None:
            wanted = wanted.where(log[name] == str(value))
    if since is not None:
        wanted = wanted.where(log.occurred_at >= _aware(since))
    if until is not None:
        wanted = wanted.where(log.occurred_at < _aware(until))
    if after is not None:
        wanted = wanted.where(log.id < after if newest_first else log.id > after)
    return wanted


def _aware(time: datetime) -> datetime:
    if time.utcoffset() is None:
        raise ValueError("since and until are aware datetimes: give them a timezone")
    return time


def _cursor(record: AuditRecord, *, newest_first: bool) -> str:
    return f"{'before' if newest_first else 'after'}-{record.id}"


def _after(cursor: str, *, newest_first: bool) -> int:
    word, _dash, digits = cursor.partition("-")
    if word != ("before" if newest_first else "after"):
        raise InvalidCursor("it is of another order, or none")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise InvalidCursor("it names no record")
    return int(digits)


def _told(record: AuditRecord) -> dict[str, Any]:
    told = {name: getattr(record, name) for name in _COLUMNS}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in told.items()
    }


def _cell(value: Any) -> str:
    return _FORMULA.sub(r"\g<0>'", "" if value is None else str(value))


def _csv_line(cells: tuple[str, ...]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(cells)
    return line.getvalue()


def _engine(target: str | Path) -> AsyncEngine:
    text = str(target)
    if "://" not in text:
        return create_async_engine(_read_only(Path(text)), hide_parameters=True)
    scheme, _, rest = text.partition("://")
    if scheme.partition("+")[0] != "sqlite":
        _check(text)
    try:
        if scheme in _POSTGRESQL:
            # Read by the driver itself, for which TLS is told in the words of libpq.
            dsn = {"dsn": f"postgresql://{rest}"}
            return create_async_engine(
                "postgresql+asyncpg://", connect_args=dsn, hide_parameters=True
            )
        url = make_url(text)
        if url.drivername == "sqlite":
            url = url.set(drivername="sqlite+aiosqlite")
        return create_async_engine(url, hide_parameters=True)
    except ModuleNotFoundError as error:
        reason = f"its driver is not installed: pip install {error.name}"
    except (SQLAlchemyError, ValueError):
        reason = "not a URL of a database with an asynchronous driver"
    # The rest may hold a password, and is not repeated.
    raise AuditUnreadable(scheme, reason)


def _check(address: str) -> None:
    try:
        check_address(address)
    except ValueError as error:
        raise AuditUnreadable("the audit trail", str(error)) from None


def _read_only(path: Path) -> URL:
    if not path.is_file():
        raise AuditUnreadable(str(path), "no such file")
    query = {"mode": "ro", "uri": "true"}
    return URL.create("sqlite+aiosqlite", database=path.resolve().as_uri(), query=query)


def _shown(source: AsyncEngine | AsyncConnection | AsyncSession) -> str:
    if not isinstance(source, AsyncEngine):
        return "the audit trail"
    if (source.url.database or "").startswith("file:"):
        return unquote(urlsplit(source.url.database or "").path)
    return source.url.set(query={}).render_as_string(hide_password=True)


def _reason(error: Exception) -> str:
    told = str(getattr(error, "orig", "")).lower()
    if "no such table" in told or "does not exist" in told:
        return "it holds no audit trail: create_audit_tables makes one"
    if "not a database" in told:
        return "it is no SQLite database"
    if "is locked" in told:
        return "it is busy: someone else has the lock, try again"
    kind = getattr(getattr(error, "orig", error), "__class__", type(error))
    return f"it cannot be read ({kind.__name__})"
