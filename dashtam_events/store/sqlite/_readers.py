"""The threads that read, each with a connection of its own."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from dashtam_events.store.sqlite._failures import translated
from dashtam_events.store.sqlite._file import DatabaseFile

__all__ = ["Readers"]

_THREADS = 4
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Readers:
    """Asks questions of a database away from the event loop.

    A connection serves one question at a time and is kept for the next; where the file is only
    looked at (`look`), none outlives its question.
    """

    def __init__(self, file: DatabaseFile, *, look: bool) -> None:
        self._file, self._look = file, look
        self._idle: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(_THREADS, "dashtam-events-reader")

    async def ask(
        self,
        question: Callable[Concatenate[sqlite3.Connection, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """The answer to a question. Cancelling it lets the thread finish, unheard."""

        def asked(connection: sqlite3.Connection) -> _T:
            return question(connection, *args, **kwargs)

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._answer, asked)

    def _answer(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
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
        self._threads.shutdown(wait=True)
        while self._idle:
            self._idle.pop().close()
