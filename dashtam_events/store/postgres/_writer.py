"""The task that writes: takes whatever waits, commits it together, tells everybody."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import attrs

from dashtam_events.errors import StoreError, StoreUnavailable
from dashtam_events.store._rows import Draft, Scribe, Stored, ids_of
from dashtam_events.store.postgres._batch import Job, Outcome, Pen
from dashtam_events.store.postgres._failures import is_refused

__all__ = ["Writer"]

_MOST_TOGETHER = 256
_MOST_BYTES = 4 * 1024 * 1024


@attrs.frozen(eq=False)
class _Accepted:
    """A job, and whom to tell what became of it."""

    job: Job
    future: asyncio.Future[Stored]


class Writer:
    """Appends in the order in which it was asked to, as much at once as waits.

    One statement is under way at a time: the server would let a second one wait anyway, and what
    comes meanwhile shares the next.

    Args:
        pen: writes.
        scribe: tells the instant, where `clocked`; otherwise the server does.
        clocked: whether the instant is the scribe's.
        committed: called with the position of the log after each commit.
    """

    def __init__(
        self, pen: Pen, scribe: Scribe, committed: Callable[[int], None], *, clocked: bool
    ) -> None:
        self._pen, self._scribe, self._committed, self._clocked = pen, scribe, committed, clocked
        self._waiting: deque[_Accepted] = deque()
        self._task: asyncio.Task[None] | None = None

    def submit(self, drafts: tuple[Draft, ...]) -> asyncio.Future[Stored]:
        """Accept an append. Cancelling the future before its turn has come unmakes it."""
        instant = self._scribe.instant() if self._clocked else None
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Accepted(Job(drafts, instant), future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return future

    async def finish(self) -> None:
        """Write what was accepted."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while taken := self._take():
            try:
                outcomes = await self._write([accepted.job for accepted in taken])
            except Exception as error:  # noqa: BLE001  # told to the callers
                outcomes = [error] * len(taken)
            except BaseException as error:
                for accepted in (*taken, *self._waiting):
                    _tell(accepted, error)
                raise
            for accepted, outcome in zip(taken, outcomes, strict=True):
                _tell(accepted, outcome)
            self._announce(outcomes)

    def _take(self) -> list[_Accepted]:
        """Those that wait, up to one that repeats an event of theirs, or is large."""
        taken: list[_Accepted] = []
        ids: set[bytes] = set()
        size = 0
        while self._waiting and len(taken) < _MOST_TOGETHER:
            accepted = self._waiting[0]
            if not accepted.future.done():
                theirs = ids_of(accepted.job.drafts)
                size += _size(accepted.job)
                if taken and (size > _MOST_BYTES or not ids.isdisjoint(theirs)):
                    break
                ids.update(theirs)
                taken.append(accepted)
            self._waiting.popleft()
        return taken

    async def _write(self, jobs: Sequence[Job]) -> list[Outcome]:
        try:
            return await self._pen.write(jobs)
        except StoreUnavailable as error:
            if len(jobs) == 1 or not is_refused(error):
                raise
        # One of them holds what the server will not take; the others must not suffer for it.
        return [await self._alone(job) for job in jobs]

    async def _alone(self, job: Job) -> Outcome:
        try:
            (outcome,) = await self._pen.write([job])
        except StoreError as error:
            return error
        return outcome

    def _announce(self, outcomes: Sequence[Outcome]) -> None:
        written = [done.rows[-1][-1][0] for done in outcomes if isinstance(done, Stored)]
        if written:
            self._committed(max(written))


def _size(job: Job) -> int:
    return sum(
        sum(len(cell[-1]) for cell in draft.cells)
        + sum(len(data or b"") for data in draft.append.attachments.values())
        for draft in job.drafts
    )


def _tell(accepted: _Accepted, outcome: Outcome) -> None:
    future = accepted.future
    if future.done():
        return
    if isinstance(outcome, asyncio.CancelledError):
        future.cancel()
    elif isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
