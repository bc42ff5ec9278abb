"""What a sync changed for the person: balances, positions, net worth."""

from decimal import Decimal
from uuid import UUID

from dashtam_events.catalogue.live import SSEEventType
from dashtam_events.declaration import SSE, LogLevel, Phase
from dashtam_events.event import DomainEvent, event

__all__ = [
    "AccountBalanceUpdated",
    "AccountHoldingsUpdated",
    "PortfolioNetWorthRecalculated",
]


@event(
    category="data_sync",
    workflow="account_balance_updated",
    phase=Phase.OPERATIONAL,
    sse=SSE(
        SSEEventType.PORTFOLIO_BALANCE_UPDATED,
        "account_id",
        "previous_balance",
        "new_balance",
        "delta",
        "currency",
    ),
    log_level=LogLevel.DEBUG,
)
class AccountBalanceUpdated(DomainEvent):
    """A sync found that the balance of an account is another than it was.

    Attributes:
        user_id: whose account it is.
        account_id: the account.
        previous_balance: the balance before, in units of `currency`; negative for a debt.
        new_balance: the balance now, in the same units.
        delta: `new_balance` less `previous_balance`.
        currency: the currency of all three, as its ISO 4217 code (`USD`).
    """

    user_id: UUID
    account_id: UUID
    previous_balance: Decimal
    new_balance: Decimal
    delta: Decimal
    currency: str


@event(
    category="data_sync",
    workflow="account_holdings_updated",
    phase=Phase.OPERATIONAL,
    sse=SSE(
        SSEEventType.PORTFOLIO_HOLDINGS_UPDATED,
        "account_id",
        "holdings_count",
        "created_count",
        "updated_count",
        "deactivated_count",
    ),
    log_level=LogLevel.DEBUG,
)
class AccountHoldingsUpdated(DomainEvent):
    """A sync found that the positions of an account are others than they were.

    Attributes:
        user_id: whose account it is.
        account_id: the investment account.
        holdings_count: how many positions it has now.
        created_count: how many of them are new.
        updated_count: how many of them changed in quantity or value.
        deactivated_count: how many it had before and has no longer.
    """

    user_id: UUID
    account_id: UUID
    holdings_count: int
    created_count: int
    updated_count: int
    deactivated_count: int


@event(
    category="data_sync",
    workflow="portfolio_networth_recalculated",
    phase=Phase.OPERATIONAL,
    sse=SSE(
        SSEEventType.PORTFOLIO_NETWORTH_UPDATED,
        "previous_net_worth",
        "new_net_worth",
        "delta",
        "currency",
        "account_count",
    ),
)
class PortfolioNetWorthRecalculated(DomainEvent):
    """All that a user owns, less what they owe, was added up anew after a balance changed.

    Attributes:
        user_id: whose net worth it is.
        previous_net_worth: the sum before, in units of `currency`; negative where debts prevail.
        new_net_worth: the sum now, in the same units.
        delta: `new_net_worth` less `previous_net_worth`.
        currency: the currency of all three, as its ISO 4217 code (`USD`).
        account_count: how many accounts were added up.
    """

    user_id: UUID
    previous_net_worth: Decimal
    new_net_worth: Decimal
    delta: Decimal
    currency: str
    account_count: int
