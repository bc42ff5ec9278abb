"""Read models: tables that events are written into."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

from sqlalchemy import MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.sql.schema import SchemaItem

from dashtam_events.event import DomainEvent
from dashtam_events.recorded import RecordedEvent

__all__ = ["Projection", "upsert"]


class Projection(ABC):
    """A view of what happened, in tables of its own.

    A subclass names itself and its events, makes its tables in `define`, and writes an event
    into them in `apply`; a `Projector`, or `InlineProjections`, call it for every event, exactly
    once. Its tables depend on the events alone: on no clock, no chance and no other table, so
    that they can be made anew. Raise `version` when they, or what is written, change; `rebuild`
    leads from one to the next.

    Attributes:
        name: under which the progress is kept.
        version: of the tables and of what is written into them, from 1.
        types: event classes or stored names; None: all.
        categories: those that the registered events declare; None: all.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    types: ClassVar[Collection[type[DomainEvent] | str] | None] = None
    categories: ClassVar[Collection[str] | None] = None

    def __init__(self) -> None:
        self._lay_out()

    @abstractmethod
    def define(self) -> None:
        """Make the tables with `self.table(...)`, and keep them as attributes."""

    @abstractmethod
    async def apply(self, connection: AsyncConnection, recorded: RecordedEvent) -> None:
        """Write one event into the tables.

        It writes through the connection and nowhere else, and does not end the transaction:
        the checkpoint is in it.
        """

    async def apply_batch(
        self, connection: AsyncConnection, recorded: Sequence[RecordedEvent]
    ) -> None:
        """Write several events, in commit order; by default each by itself.

        Override it to write their rows together, for the sake of speed. It must lead to what
        `apply` leads to for one event after the other. Where it fails it is undone, and called
        again with each event alone.
        """
        for each in recorded:
            await self.apply(connection, each)

    async def after_commit(self, recorded: RecordedEvent) -> None:  # noqa: B027  # most have nothing to do
        """Act on the world outside, once what the event led to is committed.

        It is not called during a rebuild, and an inline projection must have none. It is called
        at most once: should the process die before, it is not; what must happen belongs in a
        `Subscription`. What it raises is logged.
        """

    def table(self, name: str, *items: SchemaItem) -> Table:
        """A table of this projection; leave its constraints unnamed."""
        table = Table(name + self._suffix, self.metadata, *items)
        if self._suffix:
            # The names of indexes are shared by all tables, and stay when one is renamed.
            for index in table.indexes:
                index.name = quoted_name(f"{index.name}_{self._mark}", quote=None)
        self._tables[name] = table
        return table

    @property
    def tables(self) -> Mapping[str, Table]:
        """The tables by the names that they were given in `define`."""
        return self._tables

    def beside(self, suffix: str, mark: str) -> Self:
        """The same projection with other tables; `mark` makes the names of indexes unique."""
        other = copy.copy(self)
        other._lay_out(suffix, mark)
        return other

    def _lay_out(self, suffix: str = "", mark: str = "") -> None:
        self._suffix, self._mark = suffix, mark
        self._tables: dict[str, Table] = {}
        self.metadata: MetaData = MetaData()
        self.define()


async def upsert(connection: AsyncConnection, table: Table, **values: Any) -> None:
    """Insert a row, or, where its primary key is there, change these columns of it."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = dialect.insert(table).values(**values)
    key = [column.name for column in table.primary_key]
    changed = {name: row.excluded[name] for name in values if name not in key}
    if changed:
        row = row.on_conflict_do_update(index_elements=key, set_=changed)
    else:
        row = row.on_conflict_do_nothing(index_elements=key)
    await connection.execute(row)
