"""What is fetched or handed in: accounts, transactions and holdings synced, statements imported."""

from uuid import UUID

from dashtam_events.catalogue.live import SSEEventType
from dashtam_events.declaration import SSE, Audit, LogLevel, Phase
from dashtam_events.event import DomainEvent, event
from dashtam_events.privacy import personal

__all__ = [
    "AccountSyncAttempted",
    "AccountSyncFailed",
    "AccountSyncSucceeded",
    "FileImportAttempted",
    "FileImportFailed",
    "FileImportProgress",
    "FileImportSucceeded",
    "HoldingsSyncAttempted",
    "HoldingsSyncFailed",
    "HoldingsSyncSucceeded",
    "TransactionSyncAttempted",
    "TransactionSyncFailed",
    "TransactionSyncSucceeded",
]


@event(
    category="data_sync",
    workflow="account_sync",
    phase=Phase.ATTEMPTED,
    audit=Audit("ACCOUNT_SYNC_ATTEMPTED", resource="account", resource_id="connection_id"),
    sse=SSE(SSEEventType.SYNC_ACCOUNTS_STARTED, "connection_id"),
)
class AccountSyncAttempted(DomainEvent):
    """The accounts behind a connection are about to be fetched.

    Attributes:
        connection_id: the connection that they are fetched through.
        user_id: whose accounts they are.
    """

    connection_id: UUID
    user_id: UUID


@event(
    category="data_sync",
    workflow="account_sync",
    phase=Phase.SUCCEEDED,
    audit=Audit("ACCOUNT_SYNC_SUCCEEDED", resource="account", resource_id="connection_id"),
    sse=SSE(SSEEventType.SYNC_ACCOUNTS_COMPLETED, "connection_id", "account_count"),
)
class AccountSyncSucceeded(DomainEvent):
    """The accounts behind a connection are as the provider has them.

    Attributes:
        connection_id: the connection that they were fetched through.
        user_id: whose accounts they are.
        account_count: how many accounts the provider named, new and known together.
    """

    connection_id: UUID
    user_id: UUID
    account_count: int


@event(
    category="data_sync",
    workflow="account_sync",
    phase=Phase.FAILED,
    audit=Audit("ACCOUNT_SYNC_FAILED", resource="account", resource_id="connection_id"),
    sse=SSE(SSEEventType.SYNC_ACCOUNTS_FAILED, "connection_id", error="reason"),
)
class AccountSyncFailed(DomainEvent):
    """The accounts could not be fetched; those known before are kept as they were.

    Attributes:
        connection_id: the connection that was tried.
        user_id: whose accounts they are.
        reason: `provider_unavailable`, `credentials_rejected`, `connection_not_active` or
            `invalid_response`; shown live as `error`.
    """

    connection_id: UUID
    user_id: UUID
    reason: str


@event(
    category="data_sync",
    workflow="transaction_sync",
    phase=Phase.ATTEMPTED,
    audit=Audit("TRANSACTION_SYNC_ATTEMPTED", resource="transaction", resource_id="connection_id"),
    sse=SSE(SSEEventType.SYNC_TRANSACTIONS_STARTED, "connection_id", "account_id"),
)
class TransactionSyncAttempted(DomainEvent):
    """Transactions are about to be fetched through a connection.

    Attributes:
        connection_id: the connection that they are fetched through.
        user_id: whose transactions they are.
        account_id: the one account that is synced; None for all behind the connection.
    """

    connection_id: UUID
    user_id: UUID
    account_id: UUID | None = None


@event(
    category="data_sync",
    workflow="transaction_sync",
    phase=Phase.SUCCEEDED,
    audit=Audit("TRANSACTION_SYNC_SUCCEEDED", resource="transaction", resource_id="connection_id"),
    sse=SSE(
        SSEEventType.SYNC_TRANSACTIONS_COMPLETED, "connection_id", "account_id", "transaction_count"
    ),
)
class TransactionSyncSucceeded(DomainEvent):
    """Transactions were fetched and stored.

    Attributes:
        connection_id: the connection that they were fetched through.
        user_id: whose transactions they are.
        account_id: the one account that was synced; None for all behind the connection.
        transaction_count: how many the provider sent, new and known together.
    """

    connection_id: UUID
    user_id: UUID
    account_id: UUID | None
    transaction_count: int


@event(
    category="data_sync",
    workflow="transaction_sync",
    phase=Phase.FAILED,
    audit=Audit("TRANSACTION_SYNC_FAILED", resource="transaction", resource_id="connection_id"),
    sse=SSE(SSEEventType.SYNC_TRANSACTIONS_FAILED, "connection_id", "account_id", error="reason"),
)
class TransactionSyncFailed(DomainEvent):
    """Transactions could not be fetched; those known before are kept as they were.

    Attributes:
        connection_id: the connection that was tried.
        user_id: whose transactions they are.
        account_id: the one account that was tried; None for all behind the connection.
        reason: `provider_unavailable`, `credentials_rejected`, `account_not_found` or
            `invalid_response`; shown live as `error`.
    """

    connection_id: UUID
    user_id: UUID
    account_id: UUID | None
    reason: str


@event(
    category="data_sync",
    workflow="holdings_sync",
    phase=Phase.ATTEMPTED,
    audit=Audit("HOLDINGS_SYNC_ATTEMPTED", resource="holding", resource_id="account_id"),
    sse=SSE(SSEEventType.SYNC_HOLDINGS_STARTED, "account_id"),
)
class HoldingsSyncAttempted(DomainEvent):
    """The positions of an investment account are about to be fetched.

    Attributes:
        account_id: the investment account.
        user_id: whose account it is.
    """

    account_id: UUID
    user_id: UUID


@event(
    category="data_sync",
    workflow="holdings_sync",
    phase=Phase.SUCCEEDED,
    audit=Audit("HOLDINGS_SYNC_SUCCEEDED", resource="holding", resource_id="account_id"),
    sse=SSE(SSEEventType.SYNC_HOLDINGS_COMPLETED, "account_id", "holding_count"),
)
class HoldingsSyncSucceeded(DomainEvent):
    """The positions of an investment account are as the provider has them.

    Attributes:
        account_id: the investment account.
        user_id: whose account it is.
        holding_count: how many positions the account has now.
    """

    account_id: UUID
    user_id: UUID
    holding_count: int


@event(
    category="data_sync",
    workflow="holdings_sync",
    phase=Phase.FAILED,
    audit=Audit("HOLDINGS_SYNC_FAILED", resource="holding", resource_id="account_id"),
    sse=SSE(SSEEventType.SYNC_HOLDINGS_FAILED, "account_id", error="reason"),
)
class HoldingsSyncFailed(DomainEvent):
    """The positions could not be fetched; those known before are kept as they were.

    Attributes:
        account_id: the investment account.
        user_id: whose account it is.
        reason: `provider_unavailable`, `credentials_rejected`, `not_an_investment_account` or
            `invalid_response`; shown live as `error`.
    """

    account_id: UUID
    user_id: UUID
    reason: str


@event(
    category="data_sync",
    workflow="file_import",
    phase=Phase.ATTEMPTED,
    audit=Audit("FILE_IMPORT_ATTEMPTED", resource="file"),
    sse=SSE(SSEEventType.IMPORT_STARTED, "file_name", "file_format"),
)
class FileImportAttempted(DomainEvent):
    """A user handed in a statement file; it has not been opened yet.

    Attributes:
        user_id: who handed it in, and whose transactions it should hold.
        provider_slug: the institution that the statement is from, such as `schwab`.
        file_name: what the user calls the file, without a folder; it may say more than one would
            think.
        file_format: `ofx`, `qfx`, `qif` or `csv`.
    """

    user_id: UUID
    provider_slug: str
    file_name: str = personal()
    file_format: str


@event(
    category="data_sync",
    workflow="file_import",
    phase=Phase.SUCCEEDED,
    audit=Audit("FILE_IMPORT_SUCCEEDED", resource="file"),
    sse=SSE(SSEEventType.IMPORT_COMPLETED, "file_name", records_imported="transaction_count"),
)
class FileImportSucceeded(DomainEvent):
    """All that a statement file holds was read and stored.

    Attributes:
        user_id: who handed it in.
        provider_slug: the institution that the statement is from.
        file_name: what the user calls the file.
        file_format: the format it was read as: `ofx`, `qfx`, `qif` or `csv`.
        account_count: how many accounts the file names.
        transaction_count: how many transactions were stored; shown live as `records_imported`.
    """

    user_id: UUID
    provider_slug: str
    file_name: str = personal()
    file_format: str
    account_count: int
    transaction_count: int


@event(
    category="data_sync",
    workflow="file_import",
    phase=Phase.FAILED,
    audit=Audit("FILE_IMPORT_FAILED", resource="file"),
    sse=SSE(SSEEventType.IMPORT_FAILED, "file_name", error="reason"),
)
class FileImportFailed(DomainEvent):
    """A statement file was refused; nothing of it was stored.

    Attributes:
        user_id: who handed it in.
        provider_slug: the institution that the statement was said to be from.
        file_name: what the user calls the file.
        file_format: the format it was said to have: `ofx`, `qfx`, `qif` or `csv`.
        reason: `unsupported_format`, `malformed_file`, `empty_file`, `file_too_large`,
            `unreadable_file`, or `interrupted` where whoever read it is gone; shown live as
            `error`.
    """

    user_id: UUID
    provider_slug: str
    file_name: str = personal()
    file_format: str
    reason: str


@event(
    category="data_sync",
    workflow="file_import",
    phase=Phase.OPERATIONAL,
    sse=SSE(SSEEventType.IMPORT_PROGRESS, "file_name", "progress_percent", "records_processed"),
    log_level=LogLevel.DEBUG,
)
class FileImportProgress(DomainEvent):
    """A stretch of a statement file was read. Emitted now and then, not for every record.

    Attributes:
        user_id: who handed the file in.
        provider_slug: the institution that the statement is from.
        file_name: what the user calls the file.
        file_format: the format it is read as: `ofx`, `qfx`, `qif` or `csv`.
        progress_percent: how far the import is, 0 to 100.
        records_processed: how many records were read so far.
        total_records: how many records the file holds.
    """

    user_id: UUID
    provider_slug: str
    file_name: str = personal()
    file_format: str
    progress_percent: int
    records_processed: int
    total_records: int
