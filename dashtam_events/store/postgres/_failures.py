"""What the errors of PostgreSQL and of its driver mean to the user; none leaves this room."""

import ssl

import asyncpg

from dashtam_events.errors import StoreBusy, StoreError, StoreUnavailable

__all__ = ["FOREIGN", "KNOWN", "is_lost", "is_refused", "meaning"]

FOREIGN = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""Everything that the driver raises; a command that takes too long is an OSError too."""

_BUSY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # So the driver calls a connection that has heard of its end, and is not closed yet.
    asyncpg.InternalClientError,
)
_POOLER = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
KNOWN = "23505"
"""The code of what may be there once and was there already."""
_PASSING = ("53300", "57P03")
_REASONS = {
    "28000": "access is denied",
    "28P01": "access is denied: wrong user or password",
    "3D000": "there is no such database",
    "3F000": "it has no such schema: run `dashtam-events migrate`",
    "42501": "access is denied: this role lacks a privilege",
    "42883": "its schema has no function append: run `dashtam-events migrate`",
    "42P01": "its schema has no tables: run `dashtam-events migrate`",
    "53100": "the disk is full",
    "53300": "the server has no connection left",
    "57014": "the statement was cancelled",
    "57P03": "the server is starting up or shutting down",
    "25006": "it cannot be written to: a standby, or a transaction for reading only",
    "25P02": "the transaction around it has failed already: roll it back",
    "DE001": (
        "the transaction given to within() is of another isolation than READ COMMITTED, which "
        "appends need: begin one with it, trying again will not help"
    ),
}


def meaning(error: BaseException, store: str, waited: float) -> StoreError:
    """The error of ours that says the same; `waited` is how long a busy store was waited for.

    Raise it where the foreign error is no longer handled: its words may hold the value of a
    field, and are read as well where it is only the context of ours.
    """
    if isinstance(error, _BUSY):
        return StoreBusy(store, waited)
    code = None if is_lost(error) else getattr(error, "sqlstate", None)
    return StoreUnavailable(store, _reason(error), code)


def is_refused(error: StoreUnavailable) -> bool:
    """Whether the server was there, and would not take what it was given."""
    return error.code is not None and error.code not in _PASSING


def _reason(error: BaseException) -> str:
    """Never the server's own words: they may hold the value of a field."""
    if isinstance(error, _POOLER):
        return "a transaction pooler is in the way: open the store with transaction_pooler=True"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if (refused := _tls(error)) is not None:
        return refused
    if is_lost(error):
        return "the connection was lost"
    if isinstance(error, asyncpg.PostgresError):
        code = getattr(error, "sqlstate", None) or ""
        return _REASONS.get(code, f"PostgreSQL refused it: {type(error).__name__} ({code})")
    if isinstance(error, OSError):
        # Of this one alone the system gives no number and no words.
        long = "path too long" in str(error)
        known = "the path of its socket is too long" if long else error.strerror
        return f"the server cannot be reached: {known or type(error).__name__}"
    return f"the driver refused it: {type(error).__name__}"


def _tls(error: BaseException) -> str | None:
    """Why no connection by TLS came about, where that is why."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    if isinstance(error, asyncpg.ClientConfigurationError):
        return "its address, or a file that it names for TLS (sslrootcert), cannot be used"
    if isinstance(error, ConnectionError) and "SSL" in str(error):
        return "it offers no TLS, which the address asks for"
    return None


def is_lost(error: BaseException | None) -> bool:
    """Whether the connection is gone, and with it the answer."""
    if isinstance(error, asyncpg.InterfaceError):
        return "closed" in str(error) or "released back" in str(error)
    if isinstance(error, ConnectionError):
        return not isinstance(error, ConnectionRefusedError)
    return isinstance(error, _LOST)
