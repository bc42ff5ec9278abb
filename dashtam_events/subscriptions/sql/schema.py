"""The tables of checkpoints, members and parked events, and how missing tables are made."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.types import TypeDecorator, TypeEngine

from dashtam_events._alone import raise_alone
from dashtam_events._uncut import at_first_uncut, cut
from dashtam_events.bus.session import check_savepoints, refused_as_dbapi
from dashtam_events.errors import DashtamEventsError
from dashtam_events.subscriptions.errors import CheckpointUnavailable, SubscriptionTablesMissing

__all__ = [
    "SUBSCRIPTION_METADATA",
    "Source",
    "UTCDateTime",
    "checkpoints",
    "create_missing",
    "create_subscription_tables",
    "group_members",
    "name_of",
    "parked_events",
    "transaction",
    "unavailable",
    "whole",
]

_LACKS_PRIVILEGE, _UNDEFINED_TABLE = "42501", "42P01"
# The second time is for a commit that is under way, or a rollback: the database may not answer.
_CUT_AT_ONCE, _CUT_LATER = (0.0, 3.0), (3.0, 6.0)
_T = TypeVar("_T")
_Step = TypeVar("_Step", bound=Callable[..., Coroutine[Any, Any, Any]])

Source = AsyncEngine | AsyncConnection
"""An engine, of which each step takes a transaction, or a connection in a transaction."""


class UTCDateTime(TypeDecorator[datetime]):
    """Aware times in UTC, also where the database keeps no zone."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = DateTime(timezone=True)
    cache_ok: bool | None = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # what every type decorator takes
        """In UTC on the way in."""
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # what every type decorator takes
        """Aware on the way out."""
        if value is None or value.tzinfo is not None:
            return value if value is None else value.astimezone(UTC)
        return value.replace(tzinfo=UTC)


SUBSCRIPTION_METADATA = MetaData()
"""The metadata of these tables, for migrations."""

checkpoints: Table = Table(
    "event_checkpoints",
    SUBSCRIPTION_METADATA,
    Column("subscription", String(200), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", Text),
    Column("lease_until", UTCDateTime),
)
"""One row for each partition of a subscription; `position` is 0 before the first event."""

group_members: Table = Table(
    "event_group_members",
    SUBSCRIPTION_METADATA,
    Column("subscription", String(200), primary_key=True),
    Column("member", String(200), primary_key=True),
    Column("lease_until", UTCDateTime, nullable=False),
)
"""One row for each member of a consumer group."""

parked_events: Table = Table(
    "event_parked",
    SUBSCRIPTION_METADATA,
    Column("subscription", String(200), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("partition", Integer, nullable=False),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("parked_at", UTCDateTime, nullable=False),
    Column("error_type", Text),
    Column("place", Text),
    Column("attempts", Integer, nullable=False),
    Index("ix_event_parked_stream", "subscription", "stream", "position"),
)
"""One row for each event that is set aside."""


def whole(step: _Step) -> _Step:
    """A step at the `_source` of an object: a cancellation undoes it, or finds it done."""

    @wraps(step)
    async def done_or_undone(self: Any, *args: Any, **options: Any) -> Any:
        return await undone_if_cut(self._source, step(self, *args, **options))

    return cast("_Step", done_or_undone)


async def undone_if_cut(source: "Source | AsyncSession", step: Coroutine[Any, Any, _T]) -> _T:
    """Take a step at a database; where it is cancelled, it is cut and rolled back at once.

    A commit that is under way is waited for. Where that, or the rollback, takes longer than some
    seconds, the connection is given up; whether it was committed is not known then. In SQLite
    the whole step has those seconds: a connection that is interrupted there may never close.
    """
    bind = source.bind if isinstance(source, AsyncSession) else source
    at_once = bind is not None and bind.dialect.name == "postgresql"
    return await cut(step, after=_CUT_AT_ONCE if at_once else _CUT_LATER)


async def create_subscription_tables(target: Source) -> None:
    """Create the tables of checkpoints, members and parked events where they are missing.

    An engine is tried first for savepoints that hold; a connection is left to its caller to
    commit.

    Raises:
        SavepointsNotReal: the engine needs `real_savepoints`.
    """
    if isinstance(target, AsyncEngine):
        await undone_if_cut(target, check_savepoints(target))
    await create_missing("event_checkpoints", target, SUBSCRIPTION_METADATA)


async def create_missing(subscription: str, source: Source, metadata: MetaData) -> None:
    """Create those tables that are missing; two processes that do it at once are kept apart."""
    await undone_if_cut(source, _create_missing(subscription, source, metadata))


async def _create_missing(subscription: str, source: Source, metadata: MetaData) -> None:
    async with unavailable(subscription), transaction(source) as connection:
        await connection.run_sync(_create, metadata)


def _create(connection: Connection, metadata: MetaData) -> None:
    if connection.dialect.name == "postgresql":
        lock = "SELECT pg_advisory_xact_lock(hashtext('dashtam_events.subscriptions'))"
        connection.execute(text(lock))
    metadata.create_all(connection)


@asynccontextmanager
async def transaction(source: Source) -> AsyncGenerator[AsyncConnection, None]:
    """A transaction of an engine, or a savepoint on a connection."""
    if isinstance(source, AsyncEngine):
        async with source.connect() as connection, connection.begin() as begun:
            yield connection
            await at_first_uncut(begun.commit())
    else:
        async with source.begin_nested():
            yield source


@asynccontextmanager
async def unavailable(
    who: str, failure: Callable[[str, str], DashtamEventsError] = CheckpointUnavailable
) -> AsyncGenerator[None, None]:
    """Turn what the database raises into `failure`, of which its text, with values, is no part.

    Raises:
        SubscriptionTablesMissing: in its place, where one of these tables was never made.
    """
    try:
        with refused_as_dbapi():
            yield
    except (SQLAlchemyError, OSError) as error:
        if _is_missing(error):
            remedy = "create_subscription_tables(engine)"
            raise_alone(SubscriptionTablesMissing(who, remedy))
        raise_alone(failure(who, name_of(error)))


def _is_missing(error: SQLAlchemyError | OSError) -> bool:
    """Whether a table is not there that is one of these."""
    said = str(getattr(error, "orig", None) or "")
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    is_absent = state == _UNDEFINED_TABLE or "no such table" in said
    return is_absent and any(name in said for name in SUBSCRIPTION_METADATA.tables)


def name_of(error: SQLAlchemyError | OSError) -> str:
    """What the driver calls an error, and its code: all that may be told of it."""
    raised = getattr(error, "orig", None) or error
    # SQLAlchemy raises a class of its own in the place of what asyncpg raised.
    name = type(raised.__cause__ if _is_adapted(raised) else raised).__name__
    code = getattr(raised, "sqlstate", None) or getattr(raised, "sqlite_errorname", None)
    if code == _LACKS_PRIVILEGE:
        return f"{name} ({code}): this role lacks a privilege"
    return name if code is None else f"{name} ({code})"


def _is_adapted(error: BaseException) -> bool:
    return error.__cause__ is not None and type(error).__module__.startswith("sqlalchemy.")
