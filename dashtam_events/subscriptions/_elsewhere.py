"""Whose cancellation it is: ours, or that of something that is waited for."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from dashtam_events.subscriptions.errors import WorkCancelled

__all__ = ["cancelled_elsewhere"]


@contextmanager
def cancelled_elsewhere(who: str) -> Generator[None]:
    """Make a failure of a cancellation that was not asked of this task; its own passes.

    Raises:
        WorkCancelled: what was waited for was cancelled by somebody else.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise WorkCancelled(who).with_traceback(error.__traceback__) from None
