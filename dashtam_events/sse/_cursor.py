"""Where a client says it is: an event, or a place between two, written as an SSE id.

<event id>            after this event
at-<position>         after a place in the log, where no event of the user's own stands
live                  from now on
<any of these>~<id>   the same: the id behind it is of an event that is not kept
"""

import re
from uuid import UUID

import attrs

__all__ = ["LIVE", "Cursor", "at", "behind", "parse"]

LIVE = "live"
_AT = re.compile(r"at-([0-9]{1,18})")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@attrs.frozen(kw_only=True)
class Cursor:
    """A cursor that could be read; neither an event nor a position means from now on."""

    event_id: UUID | None = None
    position: int | None = None

    @property
    def is_live(self) -> bool:
        """True where the client has seen nothing yet."""
        return self.event_id is None and self.position is None


def at(position: int | None) -> str:
    """The cursor after a place in the log."""
    return f"at-{position or 0}"


def behind(cursor: str, frame: bytes) -> bytes:
    """A frame whose id, as a cursor, means the place that the stream had come to before it.

    What is not kept cannot be resumed after; its id says after what can. A frame begins with its
    id, so the bytes of the rest are those that everybody else gets.
    """
    return b"".join((b"id: ", cursor.encode("ascii"), b"~", frame.removeprefix(b"id: ")))


def parse(text: str) -> Cursor | None:
    """The cursor that a client came with; None where it is none."""
    if len(text) > 128:
        return None
    text = text.partition("~")[0]
    if text == LIVE:
        return Cursor()
    if place := _AT.fullmatch(text):
        return Cursor(position=int(place[1]))
    return Cursor(event_id=UUID(text)) if _ID.fullmatch(text) else None
