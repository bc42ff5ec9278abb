"""Appends in encoded form: whether they fit, and whether they are an earlier one again."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from dashtam_events.errors import DuplicateEvent, VersionConflict
from dashtam_events.store.protocol import ANY, EXISTS, NO_STREAM, Append

__all__ = [
    "Cell",
    "Draft",
    "Row",
    "Stored",
    "check_expected",
    "ids_of",
    "refuse_twins",
    "repeated",
]

Row = tuple[int, bytes, str, int, str, int, str | None, int, bytes, bytes | None]
"""Position, event_id, stream, version, type, schema version, subject, instant, data, metadata.

The instant is that of recording, in microseconds since 1970 (UTC). Rows are bare tuples because
they are made and read by the thousand.
"""

Cell = tuple[bytes, str, int, str | None, bytes]
"""What an event gives to its row: event_id, type, schema version, subject, data."""

_OTHER_CONTENT = "is stored already, with other content"
_TWICE = "stands twice in this append"


class Draft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An append in encoded form: all of its rows except where they will stand."""

    append: Append
    stream: str
    cells: tuple[Cell, ...]
    metadata: bytes | None

    def __repr__(self) -> str:
        return f"Draft(<{len(self.cells)} events>, stream={self.stream!r})"

    def rows(self, position: int, version: int, instant: int) -> list[Row]:
        """The rows that follow this position of the log and this version of the stream."""
        stream, metadata = self.stream, self.metadata
        return [
            (position + n, id_, stream, version + n, name, schema, subject, instant, data, metadata)
            for n, (id_, name, schema, subject, data) in enumerate(self.cells, 1)
        ]


class Stored(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The rows of each append, as they stand in the store; `repeated` where they stood before."""

    rows: tuple[list[Row], ...]
    repeated: bool

    def __repr__(self) -> str:
        return f"Stored(<{sum(map(len, self.rows))} rows>, repeated={self.repeated})"


def check_expected(append: Append, actual: int) -> None:
    """Raises `VersionConflict` where the stream is not as the append expects it."""
    expected = append.expected
    if expected is ANY:
        return
    wanted = 0 if expected is NO_STREAM else expected
    met = actual > 0 if expected is EXISTS else actual == wanted
    if not met:
        shown = str(expected) if isinstance(expected, str) else expected
        raise VersionConflict(str(append.stream), shown, actual)


def ids_of(drafts: tuple[Draft, ...]) -> list[bytes]:
    """The ids of all events, in order."""
    return [cell[0] for draft in drafts for cell in draft.cells]


def repeated(drafts: tuple[Draft, ...], known: Mapping[bytes, Row]) -> Stored | None:
    """What stands of the drafts where they are an earlier append again; None where all is new.

    `known` holds the rows of those events that are stored. It is the same append where the events
    have the same type and content, and stand in the same streams, in the same order, without
    others between them.

    Raises:
        DuplicateEvent: some of the events are known, or all of them but not as this append.
    """
    if not known:
        return None
    ids = ids_of(drafts)
    first = next(event_id for event_id in ids if event_id in known)
    if len(known) < len(ids):
        raise DuplicateEvent(UUID(bytes=first))
    rows = tuple([[known[cell[0]] for cell in draft.cells] for draft in drafts])
    heads: dict[str, int] = {}
    for draft, standing in zip(drafts, rows, strict=True):
        for row in standing:
            stream, version = row[2], row[3]
            if stream != draft.stream or version != heads.get(stream, version - 1) + 1:
                raise DuplicateEvent(UUID(bytes=first))
            heads[stream] = version
        for cell, row in zip(draft.cells, standing, strict=True):
            if not _same(cell, row):
                raise DuplicateEvent(UUID(bytes=cell[0]), _OTHER_CONTENT)
    return Stored(rows=rows, repeated=True)


def _same(cell: Cell, row: Row) -> bool:
    """Whether an event has the type and content of a stored one.

    What was written in an earlier schema version has other bytes; its id has to do.
    """
    _, name, schema, _, data = cell
    return name == row[4] and (schema != row[5] or data == row[8])


def refuse_twins(drafts: tuple[Draft, ...]) -> None:
    ids = ids_of(drafts)
    if len(set(ids)) < len(ids):
        twin = next(one for place, one in enumerate(ids) if one in ids[:place])
        raise DuplicateEvent(UUID(bytes=twin), _TWICE)
