"""Wakes those who wait for the log to go on."""

import asyncio

from dashtam_events.errors import StoreError

__all__ = ["Arrivals"]


class Arrivals:
    """Everybody who waits for the log to go on after a position.

    Remembers no position, since a log that is restored under an open store becomes shorter: so
    expect first, then look where the log ends, announce that, and wait. Belongs to one event
    loop; cancelling a wait leaves nothing behind.
    """

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[StoreError | None], int] = {}

    @property
    def awaited(self) -> bool:
        """True while somebody waits."""
        return bool(self._waiting)

    def announce(self, position: int) -> None:
        """The log has come to this position: wake whoever waits for it."""
        for future, after in self._waiting.items():
            if position > after and not future.done():
                future.set_result(None)

    def fail(self, error: StoreError) -> None:
        """Nothing more will be heard: everybody who waits raises this."""
        for future in self._waiting:
            if not future.done():
                future.set_result(error)

    def expect(self, after: int) -> "asyncio.Future[StoreError | None]":
        """A promise that is kept once the log goes on; hand it to `wait`."""
        future: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = after
        return future

    def forget(self, future: "asyncio.Future[StoreError | None]") -> None:
        """Nobody waits for this any more."""
        del self._waiting[future]

    async def wait(
        self, future: "asyncio.Future[StoreError | None]", timeout: float | None
    ) -> bool:
        """True once the log went on, False after `timeout` seconds."""
        await asyncio.wait([future], timeout=timeout)
        if not future.done():
            return False
        error = future.result()
        if error is not None:
            raise error
        return True
