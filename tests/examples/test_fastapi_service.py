"""The service of the examples keeps the promises of its docstring."""

import importlib.util
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from dashtam_events import VersionConflict
from dashtam_events.adapters.audit import AuditLog

ANN, BOB = ({"Authorization": f"Bearer {name}-token"} for name in ("ann", "bob"))
WANTED = {"provider_slug": "schwab", "alias": "My IRA"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def example(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = repository / "examples" / "fastapi_service.py"
    spec = importlib.util.spec_from_file_location("fastapi_service", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fastapi_service", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "service.db"


@pytest.fixture
async def app(
    example: ModuleType, file: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    monkeypatch.setattr(example, "PATIENCE", 0.05)
    app = example.create_app(file)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    carrier = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=carrier, base_url="http://a", headers=ANN) as client:
        yield client


async def begun(client: httpx.AsyncClient) -> str:
    return f"/connections/{(await client.post('/connections', json=WANTED)).json()['id']}"


async def audited(app: Any) -> list[str]:
    page = await AuditLog(app.state.service.engine).page(newest_first=False)
    return [record.action for record in page.records]


async def stored(app: Any) -> list[str]:
    store = app.state.service.store
    return [type(each.event).__name__ async for each in store.read_all()]


def is_problem(response: httpx.Response, status: int) -> bool:
    told = response.json()
    return (
        response.status_code == told["status"] == status
        and response.headers["content-type"] == "application/problem+json"
        and {"type", "title", "detail"} < told.keys()
    )


async def test_what_is_asked_in_the_wrong_way_is_a_problem(client: httpx.AsyncClient) -> None:
    path = await begun(client)
    assert is_problem(await client.get("/audit", headers={"Authorization": "Bearer x"}), 401)
    assert is_problem(await client.get("/nowhere"), 404)
    assert is_problem(await client.post(f"{path}/explode"), 422)
    assert is_problem(await client.post("/connections", json={"provider_slug": ""}), 422)
    assert is_problem(await client.post(f"/connections/{uuid4()}/sync"), 404)


async def test_the_connection_of_somebody_else_does_not_exist(client: httpx.AsyncClient) -> None:
    path = await begun(client)
    assert is_problem(await client.post(f"{path}/connect", headers=BOB), 404)
    assert (await client.post(f"{path}/connect")).json()["status"] == "active"
    assert (await client.get("/audit", headers=BOB)).json() == []


async def test_a_refusal_leaves_nothing(app: Any, client: httpx.AsyncClient) -> None:
    refused = await client.post(f"{await begun(client)}/sync")
    assert is_problem(refused, 409)
    assert refused.json()["type"].endswith("/cannot_sync")
    assert await stored(app) == ["ProviderConnectionAttempted"]
    assert await audited(app) == ["PROVIDER_CONNECTION_ATTEMPTED"]


@pytest.mark.parametrize("command", ["expire", "sync"])
@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (OperationalError("COMMIT", None, sqlite3.OperationalError("My IRA")), 503),
        (RuntimeError("My IRA"), 500),
    ],
)
async def test_a_failing_commit_leaves_nothing_and_nobody_hears(
    app: Any,
    client: httpx.AsyncClient,
    *,
    command: str,
    failure: Exception,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also where the event asks for no audit."""
    path = await begun(client)
    await client.post(f"{path}/connect")
    before = await stored(app), await audited(app), (await client.get("/connections")).json()
    caplog.set_level(logging.DEBUG, logger="dashtam_events.events")

    def fail(_connection: object) -> None:
        raise failure

    engine = app.state.service.engine.sync_engine
    event.listen(engine, "commit", fail)
    answer = await client.post(f"{path}/{command}")
    event.remove(engine, "commit", fail)
    assert is_problem(answer, status)
    assert "My IRA" not in answer.text
    after = await stored(app), await audited(app), (await client.get("/connections")).json()
    assert after == before
    assert caplog.records == []


async def test_an_audit_row_says_from_where(app: Any, client: httpx.AsyncClient) -> None:
    trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "User-Agent": "test"}
    await client.post("/connections", json=WANTED, headers=trace)
    (record,) = (await AuditLog(app.state.service.engine).page()).records
    assert (record.trace_id, record.user_agent, record.ip_address) == (TRACE, "test", "127.0.0.1")


@pytest.mark.parametrize(
    "wanted",
    [{"provider_slug": "a\0b", "alias": "x"}, {"provider_slug": "schwab", "alias": "\0secret"}],
)
async def test_what_the_events_refuse_is_a_problem_of_the_request(
    app: Any, client: httpx.AsyncClient, wanted: dict[str, str]
) -> None:
    refused = await client.post("/connections", json=wanted)
    assert is_problem(refused, 422)
    assert "secret" not in refused.text
    assert (await stored(app), await audited(app)) == ([], [])


async def test_a_held_lock_is_a_problem_for_now_and_reading_goes_on(
    client: httpx.AsyncClient, file: Path
) -> None:
    path = await begun(client)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for asked in ("/connections", f"{path}/connect"):
            busy = await client.post(asked, json=WANTED)
            assert is_problem(busy, 503)
            assert busy.headers["retry-after"] == "1"
        assert len((await client.get("/connections")).json()) == 1
        assert len((await client.get("/audit")).json()) == 1
    assert (await client.post(f"{path}/connect")).status_code == 200


async def test_an_audit_that_cannot_be_written_keeps_the_events_from_being_stored(
    app: Any, client: httpx.AsyncClient, file: Path
) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("ALTER TABLE audit_log RENAME TO lost")
    assert is_problem(await client.post("/connections", json=WANTED), 500)
    assert await stored(app) == []


async def test_a_lost_race_is_a_conflict(
    client: httpx.AsyncClient, example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_given: object, **_options: object) -> None:
        raise VersionConflict("connection", 0, 1)

    monkeypatch.setattr(example.ConnectionRepository, "save", lost)
    assert is_problem(await client.post("/connections", json=WANTED), 409)


async def test_the_same_file_serves_again(example: ModuleType, file: Path) -> None:
    for count in (1, 2):
        app = example.create_app(file)
        async with app.router.lifespan_context(app):
            carrier = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=carrier, base_url="http://a") as client:
                await client.post("/connections", json=WANTED, headers=ANN)
            assert len(await audited(app)) == len(await stored(app)) == count
