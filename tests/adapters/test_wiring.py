"""One call subscribes the adapters, and a check finds those that were forgotten."""

import logging
import pickle
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from dashtam_events import CATALOGUE, DomainEvent, EventRegistry, InMemoryEventBus, event
from dashtam_events.adapters.audit import AuditEventHandler, AuditLog, create_audit_tables
from dashtam_events.adapters.email import EmailEventHandler, EmailTemplates
from dashtam_events.adapters.logging import LoggingEventHandler
from dashtam_events.adapters.sessions import SessionEndingHandler
from dashtam_events.adapters.sse import SSEEventHandler
from dashtam_events.adapters.wiring import asked_by, wire
from dashtam_events.bus.protocol import EventContext
from dashtam_events.bus.session import real_savepoints
from dashtam_events.catalogue import ProviderConnectionSucceeded, UserPasswordChangeSucceeded
from dashtam_events.declaration import Email
from dashtam_events.errors import (
    EmailTemplatesMissing,
    InvalidEventClass,
    NotWired,
    SavepointsNotReal,
)
from dashtam_events.event import spec_of
from dashtam_events.sse import SSEHub
from tests.adapters.marked import marked

ASKING: dict[str, Callable[[EventRegistry], Any]] = {
    "logging": tuple,
    "audit": EventRegistry.audited,
    "email": EventRegistry.emailed,
    "sse": EventRegistry.streamed,
    "sessions": EventRegistry.ending_sessions,
}
TEMPLATES = EmailTemplates(base_url="https://app.example.com", service_name="Dashtam")


class Ear:
    """A handler that remembers which events it heard of."""

    def __init__(self) -> None:
        self.heard: list[type[DomainEvent]] = []

    async def __call__(self, event: DomainEvent, context: EventContext) -> None:
        self.heard.append(type(event))


@event(email=Email(), audit=None)
class ParcelLost(DomainEvent):
    """An event of one's own, whose mail nobody has written."""


@pytest.fixture
def bus() -> InMemoryEventBus:
    return InMemoryEventBus()


async def publish_all(bus: InMemoryEventBus) -> None:
    for cls in CATALOGUE:
        await bus.publish(marked(cls))


async def test_each_adapter_hears_of_exactly_the_events_that_ask_for_it(
    bus: InMemoryEventBus,
) -> None:
    ears = {name: Ear() for name in ASKING}
    wiring = wire(bus, CATALOGUE, **ears)
    await publish_all(bus)
    for name, select in ASKING.items():
        assert tuple(ears[name].heard) == tuple(select(CATALOGUE)) == wiring.events_of(name)
        assert ears[name].heard


def test_whom_an_event_asks_for_is_who_hears_of_it(bus: InMemoryEventBus) -> None:
    ears = {name: Ear() for name in ASKING}
    wiring = wire(bus, CATALOGUE, **ears)
    for cls in CATALOGUE:
        assert wiring.handlers_of(cls) == {name: ears[name] for name in asked_by(spec_of(cls))}


def test_an_event_that_is_not_in_the_registry_is_nobodys(bus: InMemoryEventBus) -> None:
    with pytest.raises(InvalidEventClass, match="ParcelLost"):
        wire(bus, CATALOGUE, logging=Ear()).handlers_of(ParcelLost)


@pytest.mark.parametrize("left_out", ASKING)
def test_an_adapter_that_was_forgotten_fails_the_check(
    bus: InMemoryEventBus, left_out: str
) -> None:
    wiring = wire(bus, CATALOGUE, **{name: Ear() for name in ASKING if name != left_out})
    with pytest.raises(NotWired) as caught:
        wiring.check()
    names = tuple(spec_of(cls).name for cls in ASKING[left_out](CATALOGUE))
    assert caught.value.missing == wiring.missing() == {left_out: names}
    assert f"{names[0]}, {names[1]}, {names[2]}" in str(caught.value)
    assert f"without=['{left_out}']" in str(caught.value)
    wiring.check(without=(left_out,))


def test_a_complete_wiring_passes_the_check(bus: InMemoryEventBus) -> None:
    wiring = wire(bus, CATALOGUE, **{name: Ear() for name in ASKING})
    assert wiring.missing() == {}
    wiring.check()


def test_an_adapter_that_no_event_asks_for_is_not_missing(bus: InMemoryEventBus) -> None:
    wire(bus, EventRegistry([ParcelLost]), logging=Ear(), email=Ear()).check()


def test_the_error_survives_a_process_boundary(bus: InMemoryEventBus) -> None:
    with pytest.raises(NotWired) as caught:
        wire(bus, CATALOGUE, logging=Ear()).check()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.missing) == (str(caught.value), caught.value.missing)
    assert list(again.missing) == ["audit", "email", "sse", "sessions"]


@pytest.mark.parametrize("name", ["emial", "logging"])
def test_what_was_not_left_out_cannot_be_excused(bus: InMemoryEventBus, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        wire(bus, CATALOGUE, logging=Ear()).check(without=(name,))


async def test_unsubscribed_nobody_hears_and_others_still_do(bus: InMemoryEventBus) -> None:
    ear, other = Ear(), Ear()
    wiring = wire(bus, CATALOGUE, logging=ear, audit=ear)
    bus.subscribe(CATALOGUE, other)
    wiring.unsubscribe()
    wiring.unsubscribe()
    await publish_all(bus)
    assert ear.heard == []
    assert other.heard == list(CATALOGUE)


def test_an_event_registered_later_is_not_of_the_wiring(bus: InMemoryEventBus) -> None:
    own = EventRegistry([ProviderConnectionSucceeded])
    wiring = wire(bus, own, logging=Ear())
    own.register(ParcelLost)
    assert wiring.events_of("logging") == (ProviderConnectionSucceeded,)


def mailing(templates: EmailTemplates) -> EmailEventHandler:
    class Nowhere:
        async def send(self, message: Any) -> None:
            raise AssertionError("nothing is to be sent")

    return EmailEventHandler(Nowhere(), templates=templates, from_address="a@example.com")


async def test_a_mail_that_nobody_has_written_is_found_before_anything_is_wired(
    bus: InMemoryEventBus, tmp_path: Path
) -> None:
    ear, events = Ear(), CATALOGUE | EventRegistry([ParcelLost])
    with pytest.raises(EmailTemplatesMissing) as caught:
        wire(bus, events, logging=ear, email=mailing(TEMPLATES))
    assert caught.value.templates == ("parcel_lost.txt.jinja", "parcel_lost.html.jinja")
    assert "parcel_lost.txt.jinja" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    await bus.publish(ParcelLost())
    assert ear.heard == []
    for template in caught.value.templates:
        (tmp_path / template).write_text("lost", encoding="utf-8")
    own = EmailTemplates(base_url="https://a.example.com", service_name="A", directory=tmp_path)
    wire(bus, events, logging=ear, email=mailing(own))


async def test_the_adapters_of_the_library_work_together(
    bus: InMemoryEventBus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="dashtam_events.events")
    ended: list[Any] = []
    mailed: list[str] = []

    class Ender:
        async def end_sessions(self, subject: UUID, *, session_id: Any, reason: str) -> None:
            ended.append(subject)

    class Outbox:
        async def send(self, message: Any) -> None:
            mailed.append(str(message["To"]))

    async def recipient_of(_subject: UUID) -> str:
        return "ann@example.com"

    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}"))
    await create_audit_tables(engine)
    email = EmailEventHandler(
        Outbox(), templates=TEMPLATES, from_address="a@example.com", recipient_of=recipient_of
    )
    wire(
        bus,
        CATALOGUE,
        logging=LoggingEventHandler(),
        audit=AuditEventHandler(),
        email=email,
        sse=SSEEventHandler(SSEHub()),
        sessions=SessionEndingHandler(Ender()),
    ).check()
    fact = marked(UserPasswordChangeSucceeded)
    async with AsyncSession(engine) as session, session.begin():
        await bus.publish(fact, session=session)
        assert ended == mailed == []
    await bus.aclose()
    (record,) = (await AuditLog(engine).page()).records
    await engine.dispose()
    assert record.event_id == str(fact.event_id)
    assert [each.getMessage() for each in caplog.records] == ["user_password_change_succeeded"]
    assert ended == [fact.user_id]
    assert mailed == ["ann@example.com"]


@pytest.fixture
async def careless(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """An engine that nobody made right, with tables from a migration, which tries nothing out."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    async with engine.begin() as connection:
        await create_audit_tables(connection)
        await connection.execute(text("CREATE TABLE notes (note TEXT)"))
    yield engine
    await engine.dispose()


@pytest.mark.parametrize("first", [None, "SELECT * FROM notes"])
async def test_an_engine_without_real_savepoints_is_refused_before_anything_is_recorded(
    bus: InMemoryEventBus, careless: AsyncEngine, first: str | None
) -> None:
    wire(bus, CATALOGUE, audit=AuditEventHandler())
    async with AsyncSession(careless) as session, session.begin():
        if first is not None:
            await session.execute(text(first))
        with pytest.raises(SavepointsNotReal, match=r"real_savepoints\(engine\)"):
            await bus.publish(marked(UserPasswordChangeSucceeded), session=session)
    assert (await AuditLog(careless).page()).records == ()
    real_savepoints(careless)
    async with AsyncSession(careless) as session, session.begin():
        await bus.publish(marked(UserPasswordChangeSucceeded), session=session)
    assert len((await AuditLog(careless).page()).records) == 1


async def test_a_transaction_that_has_written_has_savepoints_that_are_real(
    bus: InMemoryEventBus, careless: AsyncEngine
) -> None:
    wire(bus, CATALOGUE, audit=AuditEventHandler())
    async with AsyncSession(careless) as session:
        await session.execute(text("INSERT INTO notes VALUES ('written')"))
        await bus.publish(marked(UserPasswordChangeSucceeded), session=session)
        await session.rollback()
    assert (await AuditLog(careless).page()).records == ()
