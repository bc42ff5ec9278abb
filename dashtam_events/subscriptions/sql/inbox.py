"""The receiving side of at-least-once: an event that comes again has no effect again."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, String, Table, Uuid, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

from dashtam_events._clock import now
from dashtam_events.store.protocol import check_event_id
from dashtam_events.subscriptions._options import checked_name
from dashtam_events.subscriptions.errors import InboxUnavailable
from dashtam_events.subscriptions.sql.schema import (
    SUBSCRIPTION_METADATA,
    UTCDateTime,
    unavailable,
)

__all__ = ["Inbox"]

_Transaction = AsyncSession | AsyncConnection | async_scoped_session[AsyncSession]

_claims: Table = Table(
    "event_inbox",
    SUBSCRIPTION_METADATA,
    Column("consumer", String(200), primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("claimed_at", UTCDateTime, nullable=False),
    Index("ix_event_inbox_age", "consumer", "claimed_at"),
)


class Inbox:
    """Remembers which events a consumer has dealt with, in the transaction of what it did.

    Claim the event first, then do the work in the same transaction, and commit both:

        async with sessions.begin() as session:
            if await inbox.claim(session, received.event.event_id):
                session.add(Payment(...))

    Where the transaction is rolled back, or the process dies before the commit, there is no
    claim, and the event has its effect when it comes again. Of two transactions that claim the
    same event at once, the second waits for the end of the first; on SQLite it fails with
    `InboxUnavailable` where that takes longer than the engine's timeout. Make the table with
    `create_subscription_tables`, and engines of SQLite with `real_savepoints`.

    Args:
        consumer: whose inbox it is, in 200 characters at most; each has an effect of its own, and
            claims by itself.
    """

    def __init__(self, consumer: str) -> None:
        self.consumer: str = checked_name(consumer)

    async def claim(self, transaction: _Transaction, event_id: UUID) -> bool:
        """True the first time, False where the event was dealt with before.

        Raises:
            InboxUnavailable: the database failed: roll back, and let the event come again.
            SubscriptionTablesMissing: `create_subscription_tables` was not called.
            TypeError: `event_id` is no UUID.
        """
        check_event_id(event_id)
        values = {"consumer": self.consumer, "event_id": event_id, "claimed_at": now()}
        async with self._at(transaction) as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            insert = dialect.insert(_claims).values(**values).on_conflict_do_nothing()
            return (await connection.execute(insert)).rowcount == 1

    async def prune(self, transaction: _Transaction, *, before: datetime) -> int:
        """Forget what was claimed before a time (aware); returns how much that was.

        An event that comes again after that has its effect again: keep claims for longer than a
        sender can take to repeat itself. A relay repeats at most its last batch, but as late as
        it is started again; one that is given another name, or that is set back, repeats all.

        Raises:
            InboxUnavailable: the database failed.
            SubscriptionTablesMissing: `create_subscription_tables` was not called.
            ValueError: the time is naive.
        """
        if before.utcoffset() is None:
            raise ValueError("`before` is naive: pass a datetime with a timezone")
        old = (_claims.c.consumer == self.consumer, _claims.c.claimed_at < before)
        async with self._at(transaction) as connection:
            return (await connection.execute(delete(_claims).where(*old))).rowcount

    @asynccontextmanager
    async def _at(self, transaction: _Transaction) -> AsyncGenerator[AsyncConnection, None]:
        """The connection of a transaction, and what becomes of the errors on it."""
        async with unavailable(self.consumer, InboxUnavailable):
            if isinstance(transaction, AsyncConnection):
                yield transaction
            else:
                yield await transaction.connection()
