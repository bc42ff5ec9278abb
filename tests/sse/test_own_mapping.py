"""A service shows its users something of its own making of what is stored."""

import asyncio
import json
from typing import Self
from uuid import uuid4

from dashtam_events import InMemoryEventStore, RecordedEvent
from dashtam_events.sse import ServerSentEvent, SSEEndpoint
from dashtam_events.testing.sse import ReceivedEvent
from tests.sse.serving import NOTES, NoteHidden, NoteWritten, authenticate, raw_stream, write

ME = uuid4()


class Appended(ServerSentEvent):
    """Everything that is stored, with its place in the log."""

    @classmethod
    def from_recorded(cls, recorded: RecordedEvent) -> Self | None:
        return cls(
            event_type=f"appended.{type(recorded.event).__name__}",
            user_id=ME,
            data={"position": recorded.position, "version": recorded.version},
            event_id=recorded.event.event_id,
        )


async def two_appended(endpoint: SSEEndpoint, cursor: str) -> list[ReceivedEvent]:
    """The first two events after a cursor."""

    def appended(seen: list[ReceivedEvent]) -> list[ReceivedEvent]:
        return [each for each in seen if each.type.startswith("appended.")]

    async with asyncio.timeout(60):
        _, seen = await raw_stream(
            endpoint, ME, lambda seen: len(appended(seen)) == 2, f"last_event_id={cursor}"
        )
    return appended(seen)


async def test_what_is_missed_and_what_comes_is_shown_as_the_class_says() -> None:
    store = InMemoryEventStore(registry=NOTES)
    endpoint = SSEEndpoint(authenticate=authenticate, store=store, event_class=Appended)
    cursor = await endpoint.cursor()
    await write(store, [NoteWritten(user_id=ME, number=1), NoteHidden(user_id=ME)])
    seen = await two_appended(endpoint, cursor)
    first, second = seen
    assert (first.type, json.loads(first.data)) == (
        "appended.NoteWritten",
        {"position": 1, "version": 1},
    )
    assert second.type == "appended.NoteHidden"


async def test_a_client_resumes_after_an_event_of_that_class() -> None:
    store = InMemoryEventStore(registry=NOTES)
    endpoint = SSEEndpoint(authenticate=authenticate, store=store, event_class=Appended)
    hidden = [NoteHidden(user_id=ME) for _ in range(3)]
    await write(store, hidden)
    seen = await two_appended(endpoint, str(hidden[0].event_id))
    assert [each.id for each in seen] == [str(each.event_id) for each in hidden[1:]]
