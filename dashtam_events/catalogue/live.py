"""What a browser is told while it happens: the types of server-sent events by category."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from dashtam_events._frozen import FrozenDict
from dashtam_events.sse.event import ServerSentEvent

__all__ = [
    "SSE_PAYLOADS",
    "SSEEvent",
    "SSEEventCategory",
    "SSEEventType",
    "get_category_for_event_type",
]


class SSEEventCategory(StrEnum):
    """What a client may subscribe to as a whole."""

    DATA_SYNC = "data_sync"
    PROVIDER = "provider"
    AI = "ai"
    IMPORT = "import"
    PORTFOLIO = "portfolio"
    SECURITY = "security"


class SSEEventType(StrEnum):
    """The types of server-sent events that a browser may be told of.

    Most are what an event of the catalogue looks like from outside, as its own declaration says.
    The AI types and the two warnings that something is expiring have no such event: a service
    sends them as they come up, and they are not stored.
    """

    SYNC_ACCOUNTS_STARTED = "sync.accounts.started"
    """The accounts behind a connection are being fetched."""
    SYNC_ACCOUNTS_COMPLETED = "sync.accounts.completed"
    """The accounts behind a connection are up to date."""
    SYNC_ACCOUNTS_FAILED = "sync.accounts.failed"
    """The accounts behind a connection could not be fetched."""
    SYNC_TRANSACTIONS_STARTED = "sync.transactions.started"
    """Transactions are being fetched, for one account or for all of a connection."""
    SYNC_TRANSACTIONS_COMPLETED = "sync.transactions.completed"
    """The transactions are up to date."""
    SYNC_TRANSACTIONS_FAILED = "sync.transactions.failed"
    """The transactions could not be fetched."""
    SYNC_HOLDINGS_STARTED = "sync.holdings.started"
    """The positions of an account are being fetched."""
    SYNC_HOLDINGS_COMPLETED = "sync.holdings.completed"
    """The positions of an account are up to date."""
    SYNC_HOLDINGS_FAILED = "sync.holdings.failed"
    """The positions of an account could not be fetched."""
    PROVIDER_TOKEN_EXPIRING = "provider.token.expiring"
    """The access that a provider gave lapses soon."""
    PROVIDER_TOKEN_REFRESHED = "provider.token.refreshed"
    """The access that a provider gave was renewed."""
    PROVIDER_TOKEN_FAILED = "provider.token.failed"
    """The access that a provider gave could not be renewed."""
    PROVIDER_DISCONNECTED = "provider.disconnected"
    """A connection to a provider has ended."""
    AI_RESPONSE_CHUNK = "ai.response.chunk"
    """A piece of an answer, in the order of its writing."""
    AI_TOOL_EXECUTING = "ai.tool.executing"
    """The assistant is using a tool on its way to an answer."""
    AI_RESPONSE_COMPLETE = "ai.response.complete"
    """The answer is complete."""
    IMPORT_STARTED = "import.started"
    """A statement file is being read."""
    IMPORT_PROGRESS = "import.progress"
    """How far the reading of a statement file is."""
    IMPORT_COMPLETED = "import.completed"
    """A statement file was read and stored."""
    IMPORT_FAILED = "import.failed"
    """A statement file was refused."""
    PORTFOLIO_BALANCE_UPDATED = "portfolio.balance.updated"
    """A sync changed the balance of an account."""
    PORTFOLIO_HOLDINGS_UPDATED = "portfolio.holdings.updated"
    """A sync changed the positions of an account."""
    PORTFOLIO_NETWORTH_UPDATED = "portfolio.networth.updated"
    """A sync changed the net worth."""
    SECURITY_SESSION_NEW = "security.session.new"
    """Somebody logged in, perhaps from a new device or place."""
    SECURITY_SESSION_SUSPICIOUS = "security.session.suspicious"
    """A session does what its user would hardly do."""
    SECURITY_SESSION_EXPIRING = "security.session.expiring"
    """A session ends soon unless it is used."""
    SECURITY_SESSION_REVOKED = "security.session.revoked"
    """A session was ended, by its user or for safety."""
    SECURITY_PASSWORD_CHANGED = "security.password.changed"
    """The password was changed."""
    SECURITY_LOGIN_FAILED = "security.login.failed"
    """A login to the account was refused."""


SSE_PAYLOADS: Mapping[SSEEventType, tuple[str, ...]] = FrozenDict(
    {
        SSEEventType.SYNC_ACCOUNTS_STARTED: ("connection_id",),
        SSEEventType.SYNC_ACCOUNTS_COMPLETED: ("connection_id", "account_count"),
        SSEEventType.SYNC_ACCOUNTS_FAILED: ("connection_id", "error"),
        SSEEventType.SYNC_TRANSACTIONS_STARTED: ("connection_id", "account_id"),
        SSEEventType.SYNC_TRANSACTIONS_COMPLETED: (
            "connection_id",
            "account_id",
            "transaction_count",
        ),
        SSEEventType.SYNC_TRANSACTIONS_FAILED: ("connection_id", "account_id", "error"),
        SSEEventType.SYNC_HOLDINGS_STARTED: ("account_id",),
        SSEEventType.SYNC_HOLDINGS_COMPLETED: ("account_id", "holding_count"),
        SSEEventType.SYNC_HOLDINGS_FAILED: ("account_id", "error"),
        SSEEventType.PROVIDER_TOKEN_EXPIRING: (
            "connection_id",
            "provider_slug",
            "expires_in_seconds",
        ),
        SSEEventType.PROVIDER_TOKEN_REFRESHED: ("connection_id", "provider_slug"),
        SSEEventType.PROVIDER_TOKEN_FAILED: ("connection_id", "provider_slug", "needs_reauth"),
        SSEEventType.PROVIDER_DISCONNECTED: ("connection_id", "provider_slug"),
        SSEEventType.AI_RESPONSE_CHUNK: ("conversation_id", "chunk", "is_final"),
        SSEEventType.AI_TOOL_EXECUTING: ("conversation_id", "tool_name"),
        SSEEventType.AI_RESPONSE_COMPLETE: ("conversation_id",),
        SSEEventType.IMPORT_STARTED: ("file_name", "file_format"),
        SSEEventType.IMPORT_PROGRESS: ("file_name", "progress_percent", "records_processed"),
        SSEEventType.IMPORT_COMPLETED: ("file_name", "records_imported"),
        SSEEventType.IMPORT_FAILED: ("file_name", "error"),
        SSEEventType.PORTFOLIO_BALANCE_UPDATED: (
            "account_id",
            "previous_balance",
            "new_balance",
            "delta",
            "currency",
        ),
        SSEEventType.PORTFOLIO_HOLDINGS_UPDATED: (
            "account_id",
            "holdings_count",
            "created_count",
            "updated_count",
            "deactivated_count",
        ),
        SSEEventType.PORTFOLIO_NETWORTH_UPDATED: (
            "previous_net_worth",
            "new_net_worth",
            "delta",
            "currency",
            "account_count",
        ),
        SSEEventType.SECURITY_SESSION_NEW: ("session_id", "device_info", "ip_address", "location"),
        SSEEventType.SECURITY_SESSION_SUSPICIOUS: ("session_id", "reason"),
        SSEEventType.SECURITY_SESSION_EXPIRING: ("session_id", "expires_in_seconds"),
        SSEEventType.SECURITY_SESSION_REVOKED: ("session_id", "device_info", "reason"),
        SSEEventType.SECURITY_PASSWORD_CHANGED: ("initiated_by",),
        SSEEventType.SECURITY_LOGIN_FAILED: ("reason",),
    }
)
"""The keys of each type's data, in the order of the wire. UUIDs and Decimals travel as text."""

_CATEGORIES: Mapping[str, SSEEventCategory] = FrozenDict(
    {
        "sync": SSEEventCategory.DATA_SYNC,
        "provider": SSEEventCategory.PROVIDER,
        "ai": SSEEventCategory.AI,
        "import": SSEEventCategory.IMPORT,
        "portfolio": SSEEventCategory.PORTFOLIO,
        "security": SSEEventCategory.SECURITY,
    }
)


def get_category_for_event_type(event_type: SSEEventType | str) -> SSEEventCategory:
    """The category of a type, which the first word of its name decides.

    Raises:
        ValueError: there is no such type.
    """
    return _CATEGORIES[_known_type(event_type).partition(".")[0]]


def _known_type(event_type: SSEEventType | str) -> SSEEventType:
    try:
        return SSEEventType(event_type)
    except ValueError:
        raise ValueError(
            "event_type is none of SSEEventType: a type of your own is a ServerSentEvent's"
        ) from None


@attrs.frozen(kw_only=True, hash=False)
class SSEEvent(ServerSentEvent):
    """A `ServerSentEvent` of one of the types in `SSEEventType`; it may be given as text.

    It holds a service to the catalogue's own types. An event with a type of your own is shown by
    `ServerSentEvent.from_event`, which takes any.

    Raises:
        ValueError: there is no such type.
    """

    event_type: SSEEventType = attrs.field(converter=_known_type)

    def __hash__(self) -> int:
        return hash(self.event_id)

    @property
    def category(self) -> SSEEventCategory:
        """What a client subscribes to as a whole, of which this is a part."""
        return get_category_for_event_type(self.event_type)
