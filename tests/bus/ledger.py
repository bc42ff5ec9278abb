"""What the tests of sessions share: a table, an event, and handlers that write to it."""

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dashtam_events.bus import EventContext
from dashtam_events.event import DomainEvent, event

METADATA = MetaData()
entries = Table(
    "entries", METADATA, Column("id", Integer, primary_key=True), Column("note", String(50))
)


class Base(DeclarativeBase):
    """The mapped classes of these tests."""

    metadata = METADATA


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)


@event
class TransferBooked(DomainEvent):
    """Money was moved."""

    note: str = "transfer"


async def create_ledger(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)


async def notes(engine: AsyncEngine) -> list[str]:
    """What was committed."""
    async with engine.connect() as connection:
        return list(await connection.scalars(select(entries.c.note).order_by(entries.c.id)))


async def write(session: Any, note: str) -> None:
    await session.execute(insert(entries).values(note=note))


def writing(note: str, then: Exception | None = None) -> Callable[..., Any]:
    """A handler that writes a note in the publisher's session, and then may fail."""

    async def handler(_event: DomainEvent, context: EventContext) -> None:
        await write(context.session, note)
        if then is not None:
            raise then

    return handler


def hearing(heard: list[str], note: str = "heard") -> Callable[..., Any]:
    """A handler that waits for the commit."""

    async def handler(_event: DomainEvent, context: EventContext) -> None:
        await asyncio.sleep(0)
        assert context.session is None
        heard.append(note)

    return handler
