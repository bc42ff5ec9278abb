"""Those who append to a PostgreSQL store inside transactions of their own."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from dashtam_events.errors import StoreError
from dashtam_events.store import Append, EventStore
from dashtam_events.store.postgres import PostgresEventStore
from tests.no_loss.history import Outcome
from tests.no_loss.writers import Writer
from tests.postgres_server import asking

__all__ = ["TransactionWriter", "writing"]


# Whoever writes has a number in the order of transactions, also where nobody else sees it.
_TABLE = "CREATE TEMPORARY TABLE written_before (n integer)"
_WRITE = "INSERT INTO written_before VALUES (1)"


@asynccontextmanager
async def writing(dsn: str) -> AsyncGenerator[None, None]:
    """A long transaction that has written something, and is rolled back in the end."""
    async with asking(dsn) as connection:
        await connection.execute(f"BEGIN; {_TABLE}; {_WRITE}")
        yield


class TransactionWriter(Writer):
    """Does what every writer does, and as often appends inside a transaction that wrote before.

    Some are slow to append, or to commit; some are rolled back, whole or to a savepoint.
    """

    _store: PostgresEventStore
    _connection: Any

    def __init__(self, name: str, store: EventStore, chance: random.Random, *, dsn: str) -> None:
        super().__init__(name, store, chance)
        self._dsn = dsn

    async def write(self, turns: int) -> None:
        """Append so many times, over a connection of its own where it is in a transaction."""
        async with asking(self._dsn) as self._connection:
            await self._connection.execute(_TABLE)
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
            second = self._expecting_after(first, results[0].version)
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
        savepoint = self._connection.transaction()
        await savepoint.start()
        regretted = [Append(stream=self._own, events=self._events())]
        await inside.append_many(regretted)
        await savepoint.rollback()
        self._note(regretted, invoked, Outcome.REFUSED)
        appends = [Append(stream=self._own, events=self._events())]
        results = await inside.append_many(appends)
        await transaction.commit()
        self._acknowledged(appends, invoked, results)

    async def _begin(self) -> Any:
        """A transaction that wrote something before it came to append."""
        transaction = self._connection.transaction()
        await transaction.start()
        await self._connection.execute(_WRITE)
        await self._dawdle()
        return transaction

    async def _dawdle(self) -> None:
        await asyncio.sleep(self._chance.choice([0, 0, 0, 0.001, 0.005, 0.02]))

    def _expecting_after(self, first: Append, version: int) -> Append:
        return Append(stream=first.stream, events=self._events(), expected=version)
