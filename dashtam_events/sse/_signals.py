"""Hearing that the process was told to end, before the server waits for its connections."""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["on_exit_signal"]


@contextmanager
def on_exit_signal(tell: Callable[[], None]) -> Generator[None, None, None]:
    """Call `tell` in the event loop when SIGINT or SIGTERM comes, then do what was done before.

    A signal that nobody handles stays as it is: it ends the process at once. So does every one
    outside of the main thread, where Python lets nobody listen.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {}

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        before[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler):
                before[number] = handler
                signal.signal(number, heard)
    try:
        yield
    finally:
        for caught, handler in before.items():
            if signal.getsignal(caught) is heard:
                signal.signal(caught, handler)
