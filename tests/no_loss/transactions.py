"""Those who append inside transactions of their own, in which they wrote something before."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction, create_async_engine
from sqlalchemy.pool import NullPool

from dashtam_events.bus.session import real_savepoints
from dashtam_events.errors import StoreError
from dashtam_events.store import Append, SQLiteEventStore
from dashtam_events.store.postgres import PostgresEventStore
from tests.no_loss.history import Outcome
from tests.no_loss.writers import Writer

__all__ = ["TransactionWriter", "writing"]

# In PostgreSQL each transaction that writes has a number, also where nobody else sees the table.
_TABLES = {
    "postgresql": text("CREATE TEMPORARY TABLE IF NOT EXISTS written_before (n integer)"),
    "sqlite": text("CREATE TABLE IF NOT EXISTS written_before (n integer)"),
}
_WRITE = text("INSERT INTO written_before VALUES (1)")


@asynccontextmanager
async def _connected(url: URL) -> AsyncGenerator[AsyncConnection, None]:
    """A connection on which there is something to write to."""
    options = {"connect_args": {"timeout": 60}} if url.get_backend_name() == "sqlite" else {}
    engine = real_savepoints(create_async_engine(url, poolclass=NullPool, **options))
    async with engine.connect() as connection:
        async with connection.begin():
            await connection.execute(_TABLES[engine.dialect.name])
        yield connection
    await engine.dispose()


@asynccontextmanager
async def writing(url: URL) -> AsyncGenerator[None, None]:
    """A long transaction that has written something, and is rolled back in the end."""
    async with _connected(url) as connection, connection.begin() as transaction:
        await connection.execute(_WRITE)
        yield
        await transaction.rollback()


class TransactionWriter(Writer):
    """Does what every writer does, and as often appends inside a transaction that wrote before.

    Some are slow to append, or to commit; some are rolled back, whole or to a savepoint.
    """

    _store: PostgresEventStore | SQLiteEventStore
    _connection: AsyncConnection

    def __init__(self, name: str, store: Any, chance: random.Random, *, url: URL) -> None:
        super().__init__(name, store, chance)
        self._url = url

    async def write(self, turns: int) -> None:
        """Append so many times, over a connection of its own where it is in a transaction."""
        async with _connected(self._url) as self._connection:
            await super().write(turns)

    def _acts(self) -> list[tuple[Callable[[], Any], int]]:
        return [*super()._acts(), (self._transact, 10), (self._return_to_savepoint, 3)]

    async def _transact(self) -> None:
        """Two appends that stand or fall together."""
        transaction = await self._begin()
        first, invoked = Append(stream=self._own, events=self._events()), monotonic()
        inside = self._store.within(self._connection)
        try:
            results = await inside.append_many([first])
            second = self._behind(first, results[0].version)
            results += await inside.append_many([second])
        except StoreError:
            await transaction.rollback()
            self._note([first], invoked, Outcome.REFUSED)
            return
        await self._dawdle()
        if self._chance.random() < 0.3:
            await transaction.rollback()
            self._note([first, second], invoked, Outcome.REFUSED)
            return
        await transaction.commit()
        self._acknowledged([first, second], invoked, results)

    async def _return_to_savepoint(self) -> None:
        """An append that is rolled back alone, between the beginning and one that stands."""
        transaction = await self._begin()
        inside, invoked = self._store.within(self._connection), monotonic()
        savepoint = await self._connection.begin_nested()
        regretted = [Append(stream=self._own, events=self._events())]
        await inside.append_many(regretted)
        await savepoint.rollback()
        self._note(regretted, invoked, Outcome.REFUSED)
        appends = [Append(stream=self._own, events=self._events())]
        results = await inside.append_many(appends)
        await transaction.commit()
        self._acknowledged(appends, invoked, results)

    async def _begin(self) -> AsyncTransaction:
        """A transaction that wrote something before it came to append."""
        transaction = await self._connection.begin()
        await self._connection.execute(_WRITE)
        await self._dawdle()
        return transaction

    async def _dawdle(self) -> None:
        await asyncio.sleep(self._chance.choice([0, 0, 0, 0.001, 0.005, 0.02]))

    def _behind(self, first: Append, version: int) -> Append:
        return Append(stream=first.stream, events=self._events(), expected=version)
