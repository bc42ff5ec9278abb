"""The life of something that runs in the background until it is stopped."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from dashtam_events.subscriptions.health import SubscriptionState

__all__ = ["Living"]


class Living(ABC):
    """Runs once at a time; is stopped at the next event, or cancelled at once."""

    def __init__(self) -> None:
        self._state = SubscriptionState.IDLE
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def run(self) -> None:
        """Run until it is stopped."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
        if kind is None:
            await self.finished()

    async def stop(self) -> None:
        """Stop when the event in hand is dealt with, and wait for that; the progress is kept.

        A handler that calls it is not waited for. Stopping what does not run does nothing.
        """
        if self._task is not None and self._ended.is_set():
            # It may have been started a moment ago and not have come to run.
            await asyncio.sleep(0)
        if self._ended.is_set():
            return
        self._stopping.set()
        if not any(one is self for one in _WORK_OF.get()):
            await self._ended.wait()

    async def finished(self) -> None:
        """Wait until what `async with` started has ended; raises what ended it."""
        if self._task is not None:
            await asyncio.shield(self._task)

    @contextmanager
    def _alive(self) -> Generator[None, None, None]:
        """The time between start and end; one after the other.

        Raises:
            RuntimeError: it is running already.
        """
        if not self._ended.is_set():
            raise RuntimeError("it is running already")
        self._ended.clear()
        self._stopping.clear()
        self._state = SubscriptionState.RUNNING
        outside = _WORK_OF.set((*_WORK_OF.get(), self))
        try:
            yield
        except asyncio.CancelledError:
            self._state = SubscriptionState.STOPPED
            raise
        except BaseException:
            self._state = SubscriptionState.FAILED
            raise
        else:
            self._state = SubscriptionState.STOPPED
        finally:
            _WORK_OF.reset(outside)
            self._ended.set()

    async def _unless_stopped(self, work: Awaitable[object]) -> None:
        """Wait for something, or for the end, whichever comes first."""
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(work),
            asyncio.ensure_future(self._stopping.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if tasks[0] in done:
            tasks[0].result()


_WORK_OF: ContextVar[tuple[Living, ...]] = ContextVar("dashtam_events_work_of", default=())
"""What runs here and around here; the tasks that it makes are part of it."""
