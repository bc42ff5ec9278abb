"""The page's lists come from views, and a writer finds in them what they have just written."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from dashtam_events.catalogue import CATALOGUE, FileImportAttempted
from dashtam_events.cli.story import DEMO_USER
from dashtam_events.cli.web.views import Views
from dashtam_events.connection import ConnectionRepository
from dashtam_events.recorded import StreamId
from dashtam_events.store.sqlite import SQLiteEventStore
from dashtam_events.subscriptions.sql import Projector
from tests.cli.test_web import begin, serving, snapshot, until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
async def service(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(file) as client:
        client.headers["origin"] = str(client.base_url).rstrip("/")
        yield client


async def syncs(service: httpx.AsyncClient) -> dict[str, Any]:
    told: dict[str, Any] = (await service.get("/api/syncs")).json()
    return told


async def test_what_was_just_written_is_in_the_list(service: httpx.AsyncClient) -> None:
    for count in range(1, 11):
        begun = await begin(service, alias=f"Number {count}")
        listed = (await snapshot(service))["connections"]
        assert [each["alias"] for each in listed][-1] == f"Number {count}"
        assert (listed[-1]["id"], listed[-1]["status"], listed[-1]["version"]) == (
            *(begun, "pending"),
            1,
        )


async def test_a_connection_in_the_list_is_as_its_events_say(
    service: httpx.AsyncClient, file: Path
) -> None:
    begun = await begin(service)
    for name in ("connect", "sync", "expire", "connect"):
        await service.post(f"/api/connections/{begun}/{name}", json={})
    (listed,) = (await snapshot(service))["connections"]
    async with SQLiteEventStore(file, registry=CATALOGUE, read_only=True) as store:
        connection = await ConnectionRepository(store).get(UUID(begun))
    assert listed["version"] == connection.version
    assert listed["stream"] == str(connection.stream)
    for name in ("connected_at", "last_sync_at", "created_at", "updated_at"):
        assert listed[name] == getattr(connection, name).isoformat().replace("+00:00", "Z")


async def test_the_history_tells_each_attempt_and_how_it_ended(
    service: httpx.AsyncClient,
) -> None:
    begun = await begin(service)
    for name in ("connect", "sync"):
        await service.post(f"/api/connections/{begun}/{name}", json={})
    (sync,) = (await syncs(service))["attempts"]
    assert (sync["workflow"], sync["outcome"], sync["items"]) == ("account_sync", "succeeded", 3)
    assert sync["connection_id"] == begun
    assert sync["seconds"] >= 0
    await service.post("/api/imports", json={"statement": "decimal_error.ofx"})
    told = await until(
        lambda: syncs(service), lambda told: told["attempts"][0]["outcome"] == "failed"
    )
    assert told["attempts"][0]["reason"] == "malformed_file"
    counted = {each["workflow"]: each for each in told["statistics"]}
    assert (counted["account_sync"]["succeeded"], counted["file_import"]["failed"]) == (1, 1)


async def test_what_ended_a_projector_is_raised_and_not_waited_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_projector: Projector) -> None:
        raise OSError("the disk is gone")

    async def ask_when_it_has_ended() -> None:
        attempted = FileImportAttempted(
            user_id=DEMO_USER, provider_slug="schwab", file_name="a.ofx", file_format="ofx"
        )
        async with (
            asyncio.timeout(60),
            SQLiteEventStore(file, registry=CATALOGUE) as store,
            Views.following(store) as views,
        ):
            monkeypatch.setattr(Projector, "_step", broken)
            await store.append(StreamId("file_import", "1"), [attempted])
            await views.latest_syncs()

    with pytest.raises(OSError, match="the disk is gone"):
        await ask_when_it_has_ended()
