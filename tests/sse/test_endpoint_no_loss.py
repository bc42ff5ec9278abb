"""Nothing is lost, nothing repeated, and the order kept, however the line breaks."""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest

import dashtam_events
from dashtam_events import InMemoryEventStore, SQLiteEventStore
from dashtam_events.sse import ServerSentEvent, SSEEndpoint, SSEHub
from dashtam_events.store import EventStore
from tests.sse.serving import (
    NOTES,
    Client,
    NoteHidden,
    NoteWritten,
    authenticate,
    breaking_line,
    enough,
    eventually,
    line_to,
    raw_stream,
    request,
    served,
    write,
)


async def written_by_many(store: EventStore, users: list[UUID], count: int, writers: int) -> None:
    """Each user gets `count` notes from writers that get in each other's way."""

    async def one(writer: int) -> None:
        for start in range(writer, count, writers * 5):
            numbers = range(start, min(start + writers * 5, count), writers)
            for user_id in users:
                notes = [NoteWritten(user_id=user_id, number=number) for number in numbers]
                await write(store, [*notes, NoteHidden(user_id=user_id)], f"writer_{writer}")
            await asyncio.sleep(0)

    await asyncio.gather(*(one(writer) for writer in range(writers)))


async def in_order(store: EventStore, user_id: UUID) -> list[int]:
    """The numbers of a user's notes as the store has them."""
    found = [recorded.event async for recorded in store.read_all(subject=user_id)]
    return [event.number for event in found if isinstance(event, NoteWritten)]


async def test_10_000_events_with_cuts_anywhere_and_concurrent_writers(tmp_path: Path) -> None:
    """Five readers, each cut off every few dozen events, in the middle of one as a rule."""
    users = [uuid4() for _ in range(5)]
    chance = random.Random(5)
    async with SQLiteEventStore(tmp_path / "notes.db", registry=NOTES) as store:
        app = SSEEndpoint(authenticate=authenticate, store=store, max_per_user=1_000)
        cuts = breaking_line(chance, 1_000, 9_000)
        async with served(app) as port, line_to(port, cuts=cuts) as line:
            clients = [Client(port=line, user_id=user_id, last_id="at-0") for user_id in users]
            async with asyncio.timeout(300):
                reading = [asyncio.create_task(one.run(enough(2_000))) for one in clients]
                await written_by_many(store, users, 2_000, 4)
                await asyncio.gather(*reading)
        for client in clients:
            assert client.numbers == await in_order(store, client.user_id)
            assert len(set(client.numbers)) == 2_000
            assert set(client.others) == {"stream.open"}
            assert client.opened > 20


async def test_joining_what_comes_live_leaves_no_seam(tmp_path: Path) -> None:
    """Clients come at any time while events are written, and stay."""
    me = uuid4()
    store = InMemoryEventStore(registry=NOTES)
    app = SSEEndpoint(authenticate=authenticate, store=store, max_per_user=100, send_timeout=60)
    async with served(app) as port, asyncio.timeout(60):
        clients: list[Client] = []
        reading: list[asyncio.Task[None]] = []
        for start in range(0, 400, 20):
            client = Client(port=port, user_id=me, last_id="at-0")
            clients.append(client)
            reading.append(asyncio.create_task(client.run(enough(400))))
            for number in range(start, start + 20):
                await write(store, [NoteWritten(user_id=me, number=number)])
                await asyncio.sleep(0)
        await asyncio.gather(*reading)
    assert all(client.numbers == list(range(400)) for client in clients)
    assert all(client.opened == 1 for client in clients)


async def test_what_is_handed_out_while_a_client_reads_its_last_page_is_not_lost() -> None:
    """The others have it already when the client is done reading: it has to read once more."""
    early, late = uuid4(), uuid4()
    has_read, go_on = asyncio.Event(), asyncio.Event()

    class Slow(InMemoryEventStore):
        async def read_all(self, **options: Any) -> Any:
            async for recorded in super().read_all(**options):
                yield recorded
            if options.get("subject") == late and not go_on.is_set():
                has_read.set()
                await go_on.wait()

    store = Slow(registry=NOTES)
    app = SSEEndpoint(authenticate=authenticate, store=store)
    async with asyncio.timeout(60):
        first = asyncio.create_task(raw_stream(app, early, lambda seen: len(seen) == 2))
        await eventually(lambda: app.counters.open == 1 and not app.counters.lagging)
        second = asyncio.create_task(raw_stream(app, late, lambda seen: len(seen) == 2))
        await has_read.wait()
        await write(store, [NoteWritten(user_id=late, number=1)])
        await write(store, [NoteWritten(user_id=early, number=2)])
        await first
        go_on.set()
        _, seen = await second
    assert [event.type for event in seen] == ["stream.open", "note.written"]


async def test_a_subscriber_and_a_store_are_read_side_by_side_without_losing_the_place() -> None:
    """A client that is cut off again and again while both kinds come loses no stored event."""
    me, hub = uuid4(), SSEHub()
    store = InMemoryEventStore(registry=NOTES)
    app = SSEEndpoint(authenticate=authenticate, store=store, subscriber=hub)
    cuts = breaking_line(random.Random(3), 500, 4_000)
    async with served(app) as port, line_to(port, cuts=cuts) as line, asyncio.timeout(60):
        client = Client(port=line, user_id=me, last_id="at-0")
        reading = asyncio.create_task(client.run(enough(500)))
        await eventually(lambda: app.counters.open == 1 and not app.counters.lagging)
        for number in range(500):
            await write(store, [NoteWritten(user_id=me, number=number)])
            event = ServerSentEvent(event_type="note.read", user_id=me, data={"text": "x" * 50})
            await hub.publish(event)
            await asyncio.sleep(0.001)
        await reading
    assert client.numbers == list(range(500))
    assert "note.read" in client.others
    assert "stream.reset" not in client.others


@asynccontextmanager
async def server_process(file: Path) -> AsyncIterator[tuple[int, Process]]:
    """Serve a file of notes in a process of its own; gives its port."""
    script = str(Path(__file__).with_name("server.py"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", script, str(file)),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(dashtam_events.__file__).parents[1])},
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_two_server_processes_on_one_file_show_every_event_of_each_other(
    tmp_path: Path,
) -> None:
    me, file = uuid4(), tmp_path / "notes.db"
    async with (
        SQLiteEventStore(file, registry=NOTES) as store,
        server_process(file) as (one, _),
        server_process(file) as (two, _),
        asyncio.timeout(60),
    ):
        clients = [Client(port=port, user_id=me, last_id="at-0") for port in (one, two)]
        reading = [asyncio.create_task(client.run(enough(200))) for client in clients]
        for number in range(200):
            await write(store, [NoteWritten(user_id=me, number=number)])
        await asyncio.gather(*reading)
        # What one of them gave out, the other takes as a cursor.
        moved = Client(port=two, user_id=me, last_id=clients[0].seen[100].id)
        await moved.run(enough(100))
    assert [client.numbers for client in clients] == [list(range(200))] * 2
    assert moved.numbers == list(range(100, 200))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_server_that_is_told_to_end_does_so_in_under_a_second(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The best of three counts: one that waits for its streams takes seconds every time."""
    for attempt in range(3):
        took = await _seconds_to_end(tmp_path / f"notes-{attempt}.db", number)
        if took < 1:
            return
    pytest.fail(f"it took {took:.1f} s")


async def _seconds_to_end(path: Path, number: signal.Signals) -> float:
    """How long a server with 101 open streams takes to end; they are told that it does."""
    async with server_process(path) as (port, process):
        client = Client(port=port, user_id=uuid4())
        reading = asyncio.create_task(client.run(lambda one: "stream.closing" in one.others))
        lines = [await request(port, uuid4()) for _ in range(100)]
        await eventually(lambda: bool(client.seen))
        begun = monotonic()
        process.send_signal(number)
        await asyncio.wait_for(process.wait(), 60)
        took = monotonic() - begun
        await reading
        for line in lines:
            line.close()
    return took
