"""What a type checker knows of aggregates and repositories; mypy reads this, and it runs."""

from decimal import Decimal
from typing import assert_type
from uuid import UUID

from returns.result import Result

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.connection import (
    ConnectionRepository,
    ProviderConnection,
    ProviderConnectionError,
)
from dashtam_events.event import DomainEvent
from dashtam_events.repository import Repository
from dashtam_events.store import AppendResult, InMemoryEventStore
from tests.aggregate.accounts import REGISTRY, Account


async def test_a_repository_gives_the_aggregates_own_type() -> None:
    accounts = Repository(InMemoryEventStore(registry=REGISTRY), Account)
    account = Account(UUID(int=1))
    account.deposit(Decimal(1))
    assert_type(account.pending_events, tuple[DomainEvent, ...])
    assert_type(await accounts.save(account), AppendResult | None)
    assert_type(await accounts.get(account.id), Account)
    assert_type(await accounts.execute(account.id, lambda it: it.withdraw(Decimal(1))), bool)
    assert_type(Account.replay(account.id, []), Account)


async def test_a_decision_on_a_connection_gives_its_result() -> None:
    connections = ConnectionRepository(InMemoryEventStore(registry=CATALOGUE))
    connection = ProviderConnection.start(
        user_id=UUID(int=1), provider_id=UUID(int=2), provider_slug="schwab"
    )
    assert_type(connection, ProviderConnection)
    await connections.save(connection)
    assert_type(await connections.get(connection.id), ProviderConnection)
    answer = await connections.execute(connection.id, lambda it: it.mark_failed("timeout"))
    assert_type(answer, Result[None, ProviderConnectionError])
