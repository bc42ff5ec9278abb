"""Sending what comes closely together in one go."""

import asyncio
from collections.abc import Callable

__all__ = ["RECENT", "Gathering"]

RECENT = 0.1
"""Seconds since its last send within which a stream lets others catch up with what arrives."""
_PAUSE = 0.005  # seconds


class Gathering:
    """Lets what follows closely upon a send wait a few milliseconds, and go out together.

    A send costs far more than an event in it. Only streams that have sent of late wait, so an
    event that comes alone goes out at once, and where many come, many share a send.
    """

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def add(self, go_on: Callable[[], None]) -> None:
        """Call this soon, together with all others that wait."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_PAUSE, self._release)
        self._waiting.append(go_on)

    def _release(self) -> None:
        waiting, self._waiting = self._waiting, []
        for go_on in waiting:
            go_on()
