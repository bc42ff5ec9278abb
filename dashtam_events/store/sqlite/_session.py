"""One opening of a SQLite store: its threads, its connections, and those who wait for it."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from dashtam_events._uncut import to_its_end
from dashtam_events.errors import StoreClosed, StoreError, StoreUnavailable
from dashtam_events.store._arrivals import Arrivals
from dashtam_events.store._rows import Draft, Scribe, Stored
from dashtam_events.store.sqlite._committing import Committer
from dashtam_events.store.sqlite._file import DatabaseFile
from dashtam_events.store.sqlite._readers import Readers
from dashtam_events.store.sqlite._reading import last_position
from dashtam_events.store.sqlite._thread import WriterThread

__all__ = ["Session"]

_POLL_SECONDS = 0.05
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Session:
    """Belongs to the event loop in which it was made; closed once, and then for good."""

    def __init__(self, file: DatabaseFile, scribe: Scribe, *, read_only: bool) -> None:
        self.loop = asyncio.get_running_loop()
        self._file, self._scribe, self._read_only = file, scribe, read_only
        self._readers = Readers(file, look=read_only)
        self._writer: WriterThread | None = None
        self._arrivals = Arrivals()
        self._poller: asyncio.Task[None] | None = None
        self._open = False

    async def open(self) -> None:
        """Open the file away from the loop. Raises as `DatabaseFile` does; then it is closed."""
        try:
            await _in_thread(self._open_file)
        except BaseException:
            await self.close()
            raise
        self._open = True

    def _open_file(self) -> None:
        if self._read_only:
            self._file.check_readable()
            return
        committer = Committer(self._file.open_writer(), self._scribe, self._file)
        self._writer = WriterThread(committer, self.loop, self._arrivals.announce)

    async def close(self) -> None:
        """Write and answer what was accepted, then end every thread, connection and task."""
        self._open = False
        self._arrivals.fail(StoreClosed(self._file.shown))
        self._stop_polling()
        await _in_thread(self._finish)

    def _finish(self) -> None:
        # The writer goes last: the last connection that closes tidies the write-ahead log away.
        self._readers.finish()
        if self._writer is not None:
            self._writer.finish()

    def submit(self, drafts: tuple[Draft, ...]) -> asyncio.Future[Stored]:
        """Write the drafts: what stands afterwards. Raises as `check_writable`."""
        return self.check_writable().submit(drafts)

    def check_writable(self) -> WriterThread:
        """The thread that writes. Raises where the store is closed, or opened for reading only."""
        self._check_open()
        if self._writer is None:
            raise StoreUnavailable(self._file.shown, "it was opened for reading only")
        return self._writer

    async def ask(
        self,
        question: Callable[Concatenate[sqlite3.Connection, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """The answer of a reading thread."""
        self._check_open()
        return await self._readers.ask(question, *args, **kwargs)

    async def wait(self, after: int, timeout: float | None) -> bool:
        """True once the log has gone on after a position, False after `timeout` seconds."""
        future = self._arrivals.expect(after)
        try:
            self._arrivals.announce(await self.ask(last_position))
            self._start_polling()
            return await self._arrivals.wait(future, timeout)
        finally:
            self._arrivals.forget(future)
            if not self._arrivals.awaited:
                self._stop_polling()

    def _start_polling(self) -> None:
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())

    def _stop_polling(self) -> None:
        if self._poller is not None:
            self._poller.cancel()
            self._poller = None

    async def _poll(self) -> None:
        """Look for the commits of other processes, as long as somebody waits for one."""
        try:
            while self._arrivals.awaited:
                await asyncio.sleep(_POLL_SECONDS)
                self._arrivals.announce(await self.ask(last_position))
        except StoreError as error:
            self._arrivals.fail(error)

    def _check_open(self) -> None:
        if not self._open:
            raise StoreClosed(self._file.shown)


async def _in_thread(work: Callable[[], None]) -> None:
    """Do something in a thread of its own: to its end, even where the caller is cancelled."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[BaseException | None] = loop.create_future()

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # noqa: BLE001  # raised again where the work was asked for
            error = raised
        loop.call_soon_threadsafe(done.set_result, error)

    thread = threading.Thread(target=run, name="dashtam-events-file")
    thread.start()
    try:
        failure = await to_its_end(done)
    finally:
        thread.join()
    if failure is not None:
        raise failure
