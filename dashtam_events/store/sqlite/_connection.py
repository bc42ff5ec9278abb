"""What the SQL of this room is sent over: a connection of sqlite3, or one that serves like it."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

__all__ = ["Answer", "Connection"]


class Answer(Protocol):
    """The rows that a statement found."""

    def fetchone(self) -> Any:
        """The next row; None where there is no more."""
        ...

    def fetchall(self) -> Sequence[Any]:
        """All rows that are left."""
        ...


class Connection(Protocol):
    """Sends statements; what goes wrong is raised as `sqlite3.Error`."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Answer:
        """Send one statement."""
        ...

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> object:
        """Send one statement once for each of several sets of values."""
        ...
