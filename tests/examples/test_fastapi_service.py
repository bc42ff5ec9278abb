"""The service of the examples keeps the promises of its docstring."""

import importlib.util
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import pytest

from dashtam_events import ProviderConnection, VersionConflict
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
async def app(example: ModuleType, tmp_path: Path) -> AsyncIterator[Any]:
    app = example.create_app(tmp_path)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    carrier = httpx.ASGITransport(app)
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


async def test_a_refusal_leaves_nothing_in_either_database(
    app: Any, client: httpx.AsyncClient
) -> None:
    refused = await client.post(f"{await begun(client)}/sync")
    assert is_problem(refused, 409)
    assert refused.json()["type"].endswith("/cannot_sync")
    assert await stored(app) == ["ProviderConnectionAttempted"]
    assert await audited(app) == ["PROVIDER_CONNECTION_ATTEMPTED"]


@pytest.mark.parametrize("command", ["expire", "sync"])
async def test_a_lost_race_leaves_nothing_and_is_not_logged(
    app: Any,
    client: httpx.AsyncClient,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also where the event asks for no audit, so that no statement is run before it is stored."""
    path = await begun(client)
    await client.post(f"{path}/connect")
    before, trail = await stored(app), await audited(app)
    caplog.set_level(logging.DEBUG, logger="dashtam_events.events")

    async def lost(connection: ProviderConnection, **_options: Any) -> None:
        raise VersionConflict(str(connection.stream), 2, 3)

    monkeypatch.setattr(app.state.service.connections, "save", lost)
    assert is_problem(await client.post(f"{path}/{command}"), 409)
    assert (await stored(app), await audited(app)) == (before, trail)
    assert caplog.records == []


async def test_an_audit_row_says_from_where(app: Any, client: httpx.AsyncClient) -> None:
    trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "User-Agent": "test"}
    await client.post("/connections", json=WANTED, headers=trace)
    (record,) = (await AuditLog(app.state.service.engine).page()).records
    assert (record.trace_id, record.user_agent, record.ip_address) == (TRACE, "test", "127.0.0.1")


async def test_rows_that_a_crash_kept_back_are_added_at_the_next_start(
    example: ModuleType, tmp_path: Path
) -> None:
    user = next(iter(example.TOKENS.values()))
    first = example.create_app(tmp_path)
    async with first.router.lifespan_context(first):
        connection = ProviderConnection.start(
            user_id=user, provider_id=uuid4(), provider_slug="schwab"
        )
        await first.state.service.connections.save(connection, metadata={"ip_address": "192.0.2.7"})
        assert await audited(first) == []
    for _ in range(2):
        again = example.create_app(tmp_path)
        async with again.router.lifespan_context(again):
            (record,) = (await AuditLog(again.state.service.engine).page()).records
        assert record.action == "PROVIDER_CONNECTION_ATTEMPTED"
        assert record.ip_address == "192.0.2.7"
