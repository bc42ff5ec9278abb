"""What is read of a SQLite store, whoever carries the questions to the file."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from dashtam_events.recorded import Position, StreamId
from dashtam_events.store._rows import LogQuery, Row, StreamQuery, check_attachment_name
from dashtam_events.store._store import RowStore
from dashtam_events.store.protocol import Attachment, check_event_id, check_stream
from dashtam_events.store.sqlite import _reading
from dashtam_events.store.sqlite._connection import Connection

__all__ = ["AskingStore"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class AskingStore(RowStore):
    """A store that reads by asking questions of a connection."""

    @abstractmethod
    async def _ask(
        self,
        question: Callable[Concatenate[Connection, _P], _T],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """The answer to a question."""

    async def _page(self, query: StreamQuery | LogQuery, after: int, size: int) -> Sequence[Row]:
        return await self._ask(_reading.page, query, after, size)

    async def position_of(self, event_id: UUID) -> Position | None:
        """Where an event stands in the log; None where it is not stored."""
        check_event_id(event_id)
        position = await self._ask(_reading.position_of, event_id.bytes)
        return None if position is None else Position(position)

    async def last_position(self) -> Position | None:
        """The position of the last event of the log; None while it is empty."""
        position = await self._ask(_reading.last_position)
        return Position(position) if position else None

    async def read_attachment(self, stream: StreamId, name: str) -> Attachment | None:
        """The value kept beside a stream under a name; None where none ever was."""
        check_stream(stream)
        check_attachment_name(name)
        return await self._ask(_reading.attachment, str(stream), name)
