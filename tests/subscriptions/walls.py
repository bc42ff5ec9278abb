"""A projection that shows whether an event was written twice, left out, or out of order."""

from typing import ClassVar

from sqlalchemy import BigInteger, Column, Index, Integer, Text, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dashtam_events.recorded import RecordedEvent
from dashtam_events.subscriptions.sql import Projection, upsert
from tests.subscriptions.houses import DoorOpened, WindowOpened
from tests.subscriptions.poison import Broken


class Openings(Projection):
    """Counts what was opened in each house; a journal takes each event once, by its key."""

    name = "openings"
    types = (DoorOpened, WindowOpened)
    factor: ClassVar[int] = 1

    def __init__(self) -> None:
        super().__init__()
        self.acted: list[int] = []
        self.mistakes: set[int] = set()
        self.raises = False
        self.failing: dict[int, int] = {}

    def define(self) -> None:
        self.openings = self.table(
            "openings",
            Column("house", Text, primary_key=True),
            Column("opened", Integer, nullable=False),
            Index("ix_openings_opened", "opened"),
        )
        self.journal = self.table(
            "openings_journal",
            Column("position", BigInteger, primary_key=True, autoincrement=False),
            Column("number", Integer, nullable=False),
        )

    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, DoorOpened | WindowOpened)
        journal = self.journal.insert().values(position=recorded.position, number=event.number)
        await connection.execute(journal)
        house = str(recorded.stream)
        opened = select(self.openings.c.opened).where(self.openings.c.house == house)
        before = await connection.scalar(opened) or 0
        await upsert(connection, self.openings, house=house, opened=before + self.factor)
        self._fail(event.number)

    def _fail(self, number: int) -> None:
        if number in self.mistakes:
            raise ValueError("a secret value")
        if self.failing.get(number, 0):
            self.failing[number] -= 1
            raise Broken("a secret value")

    async def after_commit(self, recorded: RecordedEvent) -> None:
        self.acted.append(recorded.position)
        if self.raises:
            raise LookupError("nobody is harmed")

    async def written(self, engine: AsyncEngine) -> list[int]:
        """The numbers in the journal, once the totals were seen to agree with it."""
        async with engine.connect() as connection:
            wanted = select(self.journal.c.number).order_by(self.journal.c.position)
            numbers = list(await connection.scalars(wanted))
            total = await connection.scalar(select(func.sum(self.openings.c.opened)))
        assert (total or 0) == len(numbers) * self.factor
        return numbers


class DoubleOpenings(Openings):
    """The next version: it counts in another unit, and in one more column."""

    version = 2
    factor = 2

    def define(self) -> None:
        super().define()
        self.openings.append_column(Column("seen", Integer))
