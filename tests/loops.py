"""Time that passes for an event loop at once, so that nobody has to wait for it."""

import asyncio

__all__ = ["pass_time"]


def pass_time(seconds: float) -> None:
    """Put the clock of the running loop forward; whatever is due by then comes next."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]  # the loop asks itself
