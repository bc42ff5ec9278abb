"""The threads that read, each with a connection of its own."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

from dashtam_events.store.sqlite._failures import translated
from dashtam_events.store.sqlite._file import DatabaseFile

__all__ = ["Readers"]

_THREADS = 4
_P = ParamSpec("_P")
_T = TypeVar("_T")
_Question = Callable[[sqlite3.Connection], Any]


class Readers:
    """Asks questions of a database away from the event loop in which it was made.

    A connection serves one question at a time and is kept for the next; where the file is only
    looked at (`look`), none outlives its question. Threads are started as they are needed. (With
    `ThreadPoolExecutor` the way to a thread and back takes twice as long.)
    """

    def __init__(self, file: DatabaseFile, *, look: bool) -> None:
        self._file, self._look = file, look
        self._loop = asyncio.get_running_loop()
        self._idle: list[sqlite3.Connection] = []
        self._threads: list[threading.Thread] = []
        self._asked: SimpleQueue[tuple[_Question, asyncio.Future[Any]] | None] = SimpleQueue()
        self._unanswered = 0

    async def ask(
        self,
        question: Callable[Concatenate[sqlite3.Connection, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """The answer to a question. Cancelling it lets the thread finish, unheard."""

        def asked(connection: sqlite3.Connection) -> _T:
            return question(connection, *args, **kwargs)

        if self._unanswered >= len(self._threads) < _THREADS:
            self._start()
        answer: asyncio.Future[_T] = self._loop.create_future()
        self._unanswered += 1
        self._asked.put((asked, answer))
        return await answer

    def _start(self) -> None:
        name = f"dashtam-events-reader-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            self._serve(*asked)
            del asked  # what was answered is not kept while nothing is asked

    def _serve(self, question: _Question, future: asyncio.Future[Any]) -> None:
        answer: Any = None
        error: BaseException | None = None
        if not future.cancelled():
            try:
                answer = self._answer(question)
            except BaseException as raised:  # noqa: BLE001  # told to whoever asked
                error = raised
        # Where the loop is gone, so is everybody who could be told.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver, future, answer, error)

    def _deliver(
        self, future: asyncio.Future[Any], answer: Any, error: BaseException | None
    ) -> None:
        self._unanswered -= 1
        if future.done():
            return
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error)

    def _answer(self, question: _Question) -> Any:
        if self._look:
            return self._file.look(question)
        with translated(self._file.shown, self._file.busy_timeout):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._file.open_reader()
            try:
                return question(connection)
            finally:
                self._idle.append(connection)

    def finish(self) -> None:
        """Answer what was asked, close the connections and end; blocks until then."""
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            thread.join()
        while self._idle:
            self._idle.pop().close()
