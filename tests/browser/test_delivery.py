"""Ten thousand events over lines that break, to clients that others wrote."""

import asyncio
import json
import random
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from selenium.webdriver import Chrome

from dashtam_events import SQLiteEventStore
from dashtam_events.sse import SSEEndpoint
from dashtam_events.store import EventStore
from tests.sse.serving import NOTES, NoteWritten, breaking_line, line_to, served, write

ME = uuid4()
WRITERS, EACH, CLIENTS = 5, 500, 2
ALL = WRITERS * EACH
NPM_CLIENT = Path(__file__).with_name("npm_client.mjs")
LISTEN = """
window.clients = Array.from({length: arguments[0]}, () => ({ids: [], opened: 0}));
for (const client of window.clients) {
  client.source = new EventSource('/stream?last_event_id=at-0');
  client.source.addEventListener('stream.open', () => { client.opened += 1; });
  client.source.addEventListener('note.written', (it) => client.ids.push(it.lastEventId));
}
"""
HEARD = "return window.clients.map(({ids, opened}) => ({ids, opened}))"
COUNTS = "return window.clients.map(({ids}) => ids.length)"


async def authenticate(_scope: Any) -> UUID:
    return ME


@asynccontextmanager
async def breaking_stream(store: EventStore) -> AsyncIterator[int]:
    """A stream of the store behind a line that is cut every few dozen events; gives the port."""
    stream = SSEEndpoint(authenticate=authenticate, store=store, retry=0.02, poll=0.5)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/stream":
            await stream(scope, receive, send)
            return
        headers = [(b"content-type", b"text/html"), (b"content-length", b"15")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<!doctype html>"})

    cuts = breaking_line(random.Random(7), 2_000, 7_000)
    async with served(app) as port, line_to(port, cuts=cuts) as line:
        yield line
        await stream.shutdown()


async def write_at_once(store: EventStore) -> None:
    """Several writers, each at a stream of its own."""

    async def writer(number: int) -> None:
        for each in range(EACH):
            note = NoteWritten(user_id=ME, number=each)
            await write(store, [note], stream=str(number))
            await asyncio.sleep(0)

    await asyncio.gather(*map(writer, range(WRITERS)))


async def stored_ids(store: EventStore) -> list[str]:
    return [str(recorded.event.event_id) async for recorded in store.read_all()]


def nothing_lost(heard: list[dict[str, Any]], stored: list[str]) -> None:
    """All of it, once, in order, and over many lines."""
    assert len(stored) == ALL
    for client in heard:
        assert client["ids"] == stored
        assert client["opened"] > 10


async def test_chromium_loses_and_repeats_nothing(tmp_path: Path, browser: Chrome) -> None:
    async with (
        SQLiteEventStore(tmp_path / "notes.db", registry=NOTES) as store,
        breaking_stream(store) as port,
    ):
        await asyncio.to_thread(browser.get, f"http://127.0.0.1:{port}/")
        await asyncio.to_thread(browser.execute_script, LISTEN, CLIENTS)
        await write_at_once(store)
        async with asyncio.timeout(300):
            while min(await asyncio.to_thread(browser.execute_script, COUNTS)) < ALL:  # noqa: ASYNC110  # the page has no event to wait for
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)
        heard = await asyncio.to_thread(browser.execute_script, HEARD)
        await asyncio.to_thread(browser.get, "about:blank")
        nothing_lost(heard, await stored_ids(store))


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with npm's `eventsource`."""
    npm = shutil.which("npm")
    assert npm, "there is no npm; leave its test out by name: -k 'not npm'"
    folder = tmp_path_factory.mktemp("npm")
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--silent")
    subprocess.run([npm, "install", *quiet, "eventsource@>=3"], cwd=folder, check=True, timeout=120)
    return folder


async def test_npm_eventsource_loses_and_repeats_nothing(tmp_path: Path, modules: Path) -> None:
    async with (
        SQLiteEventStore(tmp_path / "notes.db", registry=NOTES) as store,
        breaking_stream(store) as port,
    ):
        url = f"http://127.0.0.1:{port}/stream?last_event_id=at-0"
        words = ("node", str(NPM_CLIENT), str(modules), url, str(ALL))
        pipe = asyncio.subprocess.PIPE
        clients = [
            await asyncio.create_subprocess_exec(*words, stdout=pipe) for _ in range(CLIENTS)
        ]
        await write_at_once(store)
        async with asyncio.timeout(300):
            printed = [(await client.communicate())[0] for client in clients]
        nothing_lost([json.loads(text) for text in printed], await stored_ids(store))
