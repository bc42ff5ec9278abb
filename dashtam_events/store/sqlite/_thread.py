"""The thread that writes: takes whatever waits, commits it together, tells everybody at once."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from dashtam_events.store._rows import Draft, Stored
from dashtam_events.store.sqlite._committing import Committer, Job
from dashtam_events.store.sqlite._writing import Outcome

__all__ = ["WriterThread"]

_MOST_TOGETHER = 256


class WriterThread:
    """Commits appends in the order in which they came, as many at once as wait.

    A hop between the event loop and a thread costs more than an insert, and a commit more than
    both: appends that wait together share them.

    Args:
        committer: writes; used by the thread alone.
        loop: where the appends come from and where their outcome is told.
        committed: called there with the position of the log after each commit.
    """

    def __init__(
        self,
        committer: Committer,
        loop: asyncio.AbstractEventLoop,
        committed: Callable[[int], None],
    ) -> None:
        self._committer, self._loop, self._committed = committer, loop, committed
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="dashtam-events-writer", daemon=True)
        self._thread.start()

    def submit(self, drafts: tuple[Draft, ...]) -> asyncio.Future[Stored]:
        """Accept an append. Cancelling the future before its turn has come unmakes it."""
        job = Job(drafts, self._loop.create_future())
        self._waiting.put(job)
        return job.future

    def finish(self) -> None:
        """Write what was accepted, close the connection and end; blocks until then."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        finished = False
        while not finished:
            jobs, finished = self._take()
            if jobs:
                self._tell(*self._write(jobs))
        self._committer.close()

    def _take(self) -> tuple[list[Job], bool]:
        """Wait for a job and take all that wait with it; True where there will be no more."""
        taken: list[Job] = []
        job = self._waiting.get()
        while job is not None:
            taken.append(job)
            if len(taken) == _MOST_TOGETHER or self._waiting.empty():
                return taken, False
            job = self._waiting.get()
        return taken, True

    def _write(self, jobs: list[Job]) -> tuple[list[tuple[Job, Outcome]], int]:
        try:
            return self._committer.write(jobs)
        except BaseException as error:  # noqa: BLE001  # told to the callers
            return [(job, error) for job in jobs], 0

    def _tell(self, outcomes: list[tuple[Job, Outcome]], position: int) -> None:
        # Where the loop is gone, so is everybody who could be told.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver, outcomes, position)

    def _deliver(self, outcomes: list[tuple[Job, Outcome]], position: int) -> None:
        for job, outcome in outcomes:
            if job.future.done():
                continue
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)
        self._committed(position)
