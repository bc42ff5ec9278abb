"""No error of an append that writes a projection tells a personal value, nor does its chain."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import BigInteger, Column, Text, UniqueConstraint, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from dashtam_events.errors import DashtamEventsError, StoreUnavailable
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal
from dashtam_events.recorded import RecordedEvent
from dashtam_events.registry import EventRegistry
from dashtam_events.subscriptions import ProjectionFailed
from dashtam_events.subscriptions.sql import InlineProjections, JoinableStore, Projection
from tests.canary import MARK, assert_silent
from tests.subscriptions.inlines import a_house, store_on


@event(category="guests")
class GuestCame(DomainEvent):
    """A guest came."""

    email: str = personal()


REGISTRY = EventRegistry([GuestCame])


class GuestBook(Projection):
    """Each guest once, and the rule is looked at when the row is written."""

    name = "guest_book"
    types = (GuestCame,)

    def define(self) -> None:
        self.guests = self.table(
            "guests",
            Column("position", BigInteger, primary_key=True, autoincrement=False),
            Column("email", Text),
            self.once(),
        )

    def once(self) -> UniqueConstraint:
        return UniqueConstraint("email")

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, GuestCame)
        row = {"position": recorded.position, "email": recorded.event.email}
        await connection.execute(self.guests.insert().values(**row))


class LateGuestBook(GuestBook):
    """The rule is looked at when the transaction is committed."""

    def once(self) -> UniqueConstraint:
        return UniqueConstraint("email", deferrable=True, initially="DEFERRED")


class CutOffGuestBook(GuestBook):
    """The connection is gone once the first row is written."""

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        await super().apply(connection, recorded)
        await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


@pytest.fixture
async def store(engine: AsyncEngine) -> AsyncIterator[JoinableStore]:
    async with store_on(engine, REGISTRY) as store:
        yield store


@asynccontextmanager
async def appending(
    store: JoinableStore, engine: AsyncEngine, view: Projection, source: str
) -> AsyncGenerator[InlineProjections, None]:
    """Appends on an engine, or in a session that is rolled back in the end."""
    on_engine = InlineProjections(store, engine, [view])
    await on_engine.catch_up()
    if source == "engine":
        yield on_engine
        return
    async with AsyncSession(engine) as session:
        yield InlineProjections(store, session, [view])
        await session.rollback()


async def refused(inline: InlineProjections, kind: type[DashtamEventsError]) -> None:
    with pytest.raises(kind) as caught:
        await inline.append(a_house(), [GuestCame(email=MARK), GuestCame(email=MARK)])
    assert_silent(caught.value)


@pytest.mark.parametrize("source", ["engine", "session"])
async def test_where_a_statement_is_refused(
    store: JoinableStore, engine: AsyncEngine, source: str
) -> None:
    async with appending(store, engine, GuestBook(), source) as inline:
        await refused(inline, ProjectionFailed)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_where_the_commit_is_refused(store: JoinableStore, engine: AsyncEngine) -> None:
    async with appending(store, engine, LateGuestBook(), "engine") as inline:
        await refused(inline, StoreUnavailable)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("source", ["engine", "session"])
async def test_where_the_connection_is_lost(
    store: JoinableStore, engine: AsyncEngine, source: str
) -> None:
    async with appending(store, engine, CutOffGuestBook(), source) as inline:
        await refused(inline, DashtamEventsError)


@pytest.mark.parametrize("source", ["engine", "session"])
async def test_where_a_table_of_the_projection_has_gone(
    store: JoinableStore, engine: AsyncEngine, source: str
) -> None:
    async with appending(store, engine, GuestBook(), source) as inline:
        async with engine.begin() as connection:
            await connection.execute(text("DROP TABLE guests"))
        await refused(inline, ProjectionFailed)
