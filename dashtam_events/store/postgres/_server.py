"""The server of a store: its address, and how it is connected to and asked."""

import asyncio
import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import asyncpg
import attrs

from dashtam_events.errors import StoreError, StoreUnavailable
from dashtam_events.store._address import check_address, printable
from dashtam_events.store.postgres._failures import FOREIGN, is_lost, meaning

__all__ = ["TLS", "Connections", "Fetch", "Line", "Server"]

TLS = ssl.SSLContext | str | bool | None

_NO_FILE = (FileNotFoundError, PermissionError, IsADirectoryError)
_TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


class Fetch(Protocol):
    """Asks one statement; raises errors of ours only."""

    def __call__(self, sql: str, *values: Any) -> Awaitable[Sequence[Any]]: ...


def _plain(dsn: str) -> str:
    """The address as the driver reads it; one for SQLAlchemy names the driver as well."""
    scheme, separator, rest = dsn.partition("://")
    if not separator or scheme not in ("postgres", "postgresql", "postgresql+asyncpg"):
        raise ValueError("the address of a store begins with postgresql://")
    check_address(dsn)
    return f"postgresql://{rest}"


@attrs.frozen(kw_only=True, repr=False)
class Server:
    """Where a store lives. Times are in seconds.

    Behind a transaction pooler a session is nobody's own: statements are then not prepared by
    name, and each is wrapped in a transaction, which keeps the pooler from splitting it.
    """

    dsn: str = attrs.field(converter=_plain)
    schema: str
    tls: TLS = None
    connect_timeout: float
    command_timeout: float
    busy_timeout: float
    pooler: bool = False

    @property
    def shown(self) -> str:
        """The address as it may be printed: without a password, nor anything behind a `?`."""
        return f"{printable(self.dsn)} ({self.schema})"

    def options(self) -> dict[str, Any]:
        """What a connection is made with."""
        settings = {"application_name": "dashtam-events"}
        if not self.pooler:
            # A database may have another default; the lock of an append needs this one.
            settings["default_transaction_isolation"] = "read committed"
        options: dict[str, Any] = {
            "dsn": self.dsn,
            "timeout": self.connect_timeout,
            "command_timeout": self.command_timeout,
            "server_settings": settings,
        }
        if self.tls is not None:
            options["ssl"] = self.tls
        if self.pooler:
            options["statement_cache_size"] = 0
        return options

    async def connect(self) -> Any:
        """A connection of its own. Raises `StoreUnavailable`."""
        try:
            return await asyncpg.connect(**self.options())
        except FOREIGN as error:
            failure = self.meaning(error)
        raise failure

    async def ask(self, connection: Any, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        """Ask one statement; raises the driver's errors, and ends a connection that was lost."""
        try:
            if self.pooler:
                # Of a database with another default too: the lock of an append needs this one.
                async with connection.transaction(isolation="read_committed"):
                    return await _fetched(connection, sql, values)
            return await _fetched(connection, sql, values)
        except FOREIGN as error:
            if is_lost(error):
                # A pool has taken back what it heard the end of.
                with suppress(asyncpg.InterfaceError):
                    connection.terminate()
            raise

    def meaning(self, error: BaseException) -> StoreError:
        """The error of ours that says the same."""
        if isinstance(error, _NO_FILE) and (absent := _unreadable(self.dsn)):
            reason = f"a file named for TLS cannot be read: {', '.join(absent)}"
            return StoreUnavailable(self.shown, reason)
        return meaning(error, self.shown, self.busy_timeout)


def _unreadable(dsn: str) -> list[str]:
    """What names a file for TLS that cannot be read; the driver does not say which it was."""
    given = parse_qs(urlsplit(dsn).query)
    named = {
        name: given.get(name, [os.environ.get(f"PG{name.upper()}", "")])[-1] for name in _TLS_FILES
    }
    return [
        name
        for name, path in named.items()
        if path and not (Path(path).is_file() and os.access(path, os.R_OK))
    ]


async def _fetched(connection: Any, sql: str, values: Sequence[Any]) -> Sequence[Any]:
    found: Sequence[Any] = await connection.fetch(sql, *values)
    return found


async def _keep_as_it_is(_connection: Any) -> None:
    """Nothing is left in a session that would have to be cleared away at the cost of a trip."""


class _Persistent(ABC):
    """Asks over connections that are made when they are needed, and again when they were lost."""

    def __init__(self, server: Server, most: int = 1) -> None:
        self._server, self._most = server, most

    async def fetch(self, sql: str, *values: Any) -> Sequence[Any]:
        """Ask one statement, and again where the connection was lost over it.

        So it must do no harm twice: a question, or an append, which is stored once. It is asked
        again once for each connection that there may be: all of them are lost with a server that
        is started anew, and none is noticed before it is used.
        """
        left = self._most
        while True:
            try:
                return await self._fetch(sql, values)
            except FOREIGN as error:
                failure, lost = self._server.meaning(error), is_lost(error)
            if left == 0 or not lost:
                raise failure
            left -= 1

    @abstractmethod
    async def _fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        """Ask once; raises the driver's errors."""


class Line(_Persistent):
    """One connection, for one who asks one thing after the other."""

    _connection: Any = None

    async def _fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(**self._server.options())
        try:
            return await self._server.ask(self._connection, sql, values)
        except (TimeoutError, asyncio.CancelledError):
            # The answer may come yet, and must not be taken for that to the next question.
            self._connection.terminate()
            raise

    async def close(self) -> None:
        """Close it, after a moment also where the server says nothing more."""
        if self._connection is not None:
            with suppress(*FOREIGN):
                await self._connection.close(timeout=self._server.connect_timeout)


class Connections(_Persistent):
    """Some connections, for any number who ask at the same time."""

    def __init__(self, server: Server, most: int) -> None:
        super().__init__(server, most)
        self._pool = asyncpg.create_pool(
            min_size=0, max_size=most, reset=_keep_as_it_is, **server.options()
        )

    async def open(self) -> None:
        """Get ready; connects to nothing yet."""
        await self._pool

    async def _fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Any]:
        async with self._pool.acquire() as connection:
            return await self._server.ask(connection, sql, values)

    async def close(self) -> None:
        """Close them, after a moment also where the server says nothing more."""
        try:
            async with asyncio.timeout(self._server.connect_timeout):
                await self._pool.close()
        except FOREIGN:
            self._pool.terminate()
