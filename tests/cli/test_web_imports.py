"""An import that is cut off is told as failed, and one that lives is left alone."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.cli.web import imports
from dashtam_events.cli.web.imports import Imports
from dashtam_events.recorded import EventMetadata, StreamId
from dashtam_events.store.sqlite import SQLiteEventStore
from tests.cli.running import start
from tests.cli.test_web import serving, snapshot, until

METADATA = EventMetadata(correlation_id="mine")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SQLiteEventStore]:
    async with SQLiteEventStore(file, registry=CATALOGUE) as store:
        yield store


async def begin(client: httpx.AsyncClient) -> str:
    origin = {"origin": str(client.base_url).rstrip("/")}
    body = {"statement": "fidelity-savings.ofx", "correlation_id": "mine"}
    answer = await client.post("/api/imports", json=body, headers=origin)
    return str(answer.json()["stream"])


def import_and_kill(file: Path) -> None:
    """Serve the page, begin an import, and kill the server when it is under way."""
    with start("demo", "--web", "--port", "0", "--pause", "2", "--db", file) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        body = {"statement": "fidelity-savings.ofx", "correlation_id": "mine"}
        with httpx.Client(base_url=found[0], timeout=60, trust_env=False) as client:
            client.post("/api/imports", json=body, headers={"origin": found[0]})
            while client.get("/api/position").json()["position"] < 2:
                pass
        process.kill()


async def names(store: SQLiteEventStore, stream: StreamId) -> list[str]:
    return [type(each.event).__name__ async for each in store.read_stream(stream)]


async def test_an_import_of_a_server_that_was_killed_is_told_as_interrupted(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(import_and_kill, file)
    monkeypatch.setattr(imports, "_LEAST_PATIENCE", 60.0)
    async with serving(file) as client:
        before = (await snapshot(client))["imports"]
        assert [each["name"] for each in before] == ["FileImportProgress"]
    monkeypatch.undo()
    async with serving(file) as client:

        async def told() -> dict[str, Any]:
            return dict((await snapshot(client))["imports"][0])

        failed = await until(told, lambda last: last["name"] == "FileImportFailed")
        assert failed["fields"]["reason"] == "interrupted"
        assert failed["correlation_id"] == "mine"
        (attempt,) = (await client.get("/api/syncs")).json()["attempts"]
    assert (attempt["outcome"], attempt["reason"]) == ("failed", "interrupted")
    async with serving(file) as client:
        assert (await snapshot(client))["imports"] == [failed]


async def test_an_import_of_a_server_that_lives_is_left_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_LEAST_PATIENCE", 30.0)
    async with serving(file, pause=0.1) as one:
        await begin(one)
        await until(lambda: snapshot(one), lambda told: told["position"] >= 2)
        async with serving(file, pause=0.1) as other:
            await until(
                lambda: snapshot(other),
                lambda told: told["imports"][0]["name"] == "FileImportSucceeded",
            )


async def test_one_that_was_only_slow_has_one_end(
    store: SQLiteEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_LEAST_PATIENCE", 0.0)
    slow, hasty = Imports(store, pause=60.0), Imports(store, pause=0.0)
    stream = slow.begin("fidelity-savings.ofx", METADATA)
    while not await names(store, stream):  # noqa: ASYNC110  # the store is asked
        await asyncio.sleep(0.01)
    hasty.clear_up()
    while len(await names(store, stream)) < 2:  # noqa: ASYNC110  # the store is asked
        await asyncio.sleep(0.01)
    await hasty.finish()
    await slow.finish()
    assert await names(store, stream) == ["FileImportAttempted", "FileImportFailed"]


async def test_a_server_that_ends_lets_its_imports_come_to_their_end(
    store: SQLiteEventStore,
) -> None:
    patient = Imports(store, pause=60.0)
    stream = patient.begin("fidelity-savings.ofx", METADATA)
    await patient.finish()
    assert (await names(store, stream))[-1] == "FileImportSucceeded"


async def test_a_server_that_ends_at_once_tells_nothing_of_what_others_do(
    store: SQLiteEventStore,
) -> None:
    slow, brief = Imports(store, pause=60.0), Imports(store, pause=60.0)
    stream = slow.begin("fidelity-savings.ofx", METADATA)
    while not await names(store, stream):  # noqa: ASYNC110  # the store is asked
        await asyncio.sleep(0.01)
    brief.clear_up()
    await brief.finish()
    await slow.finish()
    assert (await names(store, stream))[-1] == "FileImportSucceeded"
