"""The database in which a store keeps its events, and whether a connection leads there."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from dashtam_events.errors import StoreUnavailable
from dashtam_events.store.postgres._server import Fetch, Server

__all__ = ["Home"]

# When a server was started tells it from all others, also from a copy of it, which has the same
# databases under the same numbers. Anybody may ask for it.
_PLACE = """SELECT pg_catalog.format('%s %s', d.oid,
    (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint)
    FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()"""
_ELSEWHERE = (
    "the transaction given to within() is one of another database: trying again will not help"
)


class Home:
    """Knows the connections that lead to the database of the store; of others it asks once.

    Args:
        server: where the store lives.
        fetch: asks over a connection of the store's own.
    """

    def __init__(self, server: Server, fetch: Fetch) -> None:
        self.server = server
        self._fetch = fetch
        self._place = ""
        self._known: WeakSet[Any] = WeakSet()

    async def learn(self, connection: Any) -> None:
        """Ask where the store lives, over the connection on which it is opened.

        Later it may be too late: behind a pooler, callers of `within` may hold every connection
        that could be asked over.
        """
        ((self._place,),) = await connection.fetch(_PLACE)

    def forget(self) -> None:
        """The store is closed, and cannot tell any more where a new connection leads."""
        self._place = ""

    async def check(
        self, connection: Any, ask: Callable[[str], Awaitable[Sequence[Sequence[Any]]]]
    ) -> None:
        """Raise `StoreUnavailable` where a connection of the driver leads elsewhere.

        `ask` asks over that connection; what it raises is passed on.
        """
        if connection in self._known:
            return
        ((place,),) = await ask(_PLACE)
        if place != self._place:
            # Another server may serve the store by now, or the same one, started anew.
            ((self._place,),) = await self._fetch(_PLACE)
        if place != self._place:
            raise StoreUnavailable(self.server.shown, _ELSEWHERE)
        # What a pool of asyncpg lends out cannot be remembered, and is asked again.
        with suppress(TypeError):
            self._known.add(connection)
