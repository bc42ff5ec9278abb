"""Time in tests: what passes for an event loop at once, and what something takes at the least."""

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["pass_time", "quickest"]


def pass_time(seconds: float) -> None:
    """Put the clock of the running loop forward; whatever is due by then comes next."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]  # the loop asks itself


async def quickest(trial: Callable[[], Awaitable[float]], bound: float) -> float:
    """How many seconds something takes: the least of three, or the first below a bound.

    What waits for something that it should not wait for takes longer every time.
    """
    took = await trial()
    for _ in range(2):
        if took >= bound:
            took = min(took, await trial())
    return took
