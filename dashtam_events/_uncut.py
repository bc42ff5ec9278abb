"""What a cancellation does to work that leaves something behind."""

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["at_first_uncut", "cut", "to_its_end"]

_T = TypeVar("_T")


async def to_its_end(work: Awaitable[_T]) -> _T:
    """Do something to its end, even where the caller is cancelled; then they are."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    return task.result()


async def cut(work: Coroutine[Any, Any, _T], *, after: Sequence[float]) -> _T:
    """Do something; where the caller is cancelled, cancel it so many seconds after that.

    The caller waits for its end, since it may have things to put right, and is cancelled then.
    What does not heed the first cancellation has to heed the second.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError as error:
        calls = [task.get_loop().call_later(seconds, task.cancel) for seconds in after]
        with suppress(asyncio.CancelledError):
            await to_its_end(asyncio.wait([task]))
        for each in calls:
            each.cancel()
        raise error from None if task.cancelled() else task.exception()
    return task.result()


async def at_first_uncut(work: Coroutine[Any, Any, _T]) -> _T:
    """Do something to its end, even where the caller is cancelled; not where they are so twice."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
