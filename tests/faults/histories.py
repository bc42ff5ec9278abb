"""What was acknowledged, handled and written, compared with what is stored."""

from collections import defaultdict
from uuid import UUID

from dashtam_events.recorded import Position, StreamId
from dashtam_events.store import EventStore
from tests.faults.places import Place
from tests.notes import notes_in

__all__ = ["History", "check_order", "handled_by"]


class History:
    """A log as it grows, read on from where the last reading ended."""

    def __init__(self, place: Place) -> None:
        self._acknowledged = place.file("acknowledged")
        self._read_to: Position | None = None
        self.stored: set[UUID] = set()
        self._heads: defaultdict[StreamId, int] = defaultdict(int)

    async def check(self, store: EventStore) -> None:
        """Nothing acknowledged is missing, nothing is stored twice, and no append is torn.

        Appends are of three events, and each left its version beside the stream.
        """
        acknowledged = set(notes_in(self._acknowledged))
        changed = set()
        async for recorded in store.read_all(after=self._read_to):
            assert recorded.event.event_id not in self.stored
            assert recorded.version == self._heads[recorded.stream] + 1
            self.stored.add(recorded.event.event_id)
            self._heads[recorded.stream] += 1
            self._read_to = recorded.position
            changed.add(recorded.stream)
        lost = acknowledged - {str(event_id) for event_id in self.stored}
        assert not lost, f"{len(lost)} acknowledged events are lost"
        for stream in changed:
            assert self._heads[stream] % 3 == 0
            kept = await store.read_attachment(stream, "head")
            assert kept is not None
            assert kept.version >= self._heads[stream]


def handled_by(place: Place) -> list[tuple[int, str, int]]:
    """The position, stream and version of each event that a subscriber noted."""
    lines = [note.split() for note in notes_in(place.file("handled"))]
    return [(int(position), stream, int(version)) for position, stream, version in lines]


def check_order(handled: list[tuple[int, str, int]]) -> None:
    """In each stream an event comes after the one before it, or again."""
    furthest: defaultdict[str, int] = defaultdict(int)
    for _, stream, version in handled:
        assert version <= furthest[stream] + 1
        furthest[stream] = max(furthest[stream], version)
