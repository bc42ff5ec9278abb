"""Why a connection refused a command, in sentences that can be shown."""

from enum import StrEnum

__all__ = ["ProviderConnectionError"]


class ProviderConnectionError(StrEnum):
    """The command does not fit the state that the connection is in; nothing has changed."""

    CANNOT_CONNECT = "Cannot transition to ACTIVE, must be PENDING, EXPIRED, REVOKED or FAILED"
    CANNOT_FAIL = "Cannot transition to FAILED, must be PENDING"
    CANNOT_EXPIRE = "Cannot transition to EXPIRED, must be ACTIVE"
    CANNOT_REVOKE = "Cannot transition to REVOKED, must be ACTIVE"
    CANNOT_UPDATE_CREDENTIALS = "Cannot update credentials, must be ACTIVE"
    CANNOT_SYNC = "Cannot record a sync, must be ACTIVE"
