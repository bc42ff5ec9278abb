"""The service behind the demo's page, without a browser: its answers, its guard, its stream."""

import asyncio
import json
import re
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from httpx_sse import aconnect_sse

from dashtam_events.adapters.audit import AuditLog
from dashtam_events.catalogue import CATALOGUE
from dashtam_events.cli.web import create_app
from dashtam_events.cli.web.commands import COMMANDS
from dashtam_events.cli.web.imports import STATEMENTS
from dashtam_events.cli.web.picture import TALL, WIDE, svg
from dashtam_events.connection import ConnectionStatus, ProviderConnectionError
from dashtam_events.connection._machine import TRANSITIONS
from dashtam_events.recorded import StreamId, UnknownEvent
from dashtam_events.store.sqlite import SQLiteEventStore
from tests.cli.running import call, run, start
from tests.sse.serving import served


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@asynccontextmanager
async def serving(
    file: Path, *, pause: float = 0, **headers: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service on a file."""
    async with served(create_app(file, pause=pause), lifespan="on") as port:
        address = f"http://127.0.0.1:{port}"
        options: dict[str, Any] = {"timeout": 60, "trust_env": False}
        async with httpx.AsyncClient(base_url=address, headers=headers, **options) as client:
            yield client


@pytest.fixture
async def service(file: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service that names its origin, as a browser does."""
    async with serving(file) as client:
        client.headers["origin"] = str(client.base_url).rstrip("/")
        yield client


async def begin(service: httpx.AsyncClient, **body: Any) -> str:
    answer = await service.post("/api/connections", json={"provider_slug": "schwab"} | body)
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def until(ask: Callable[[], Awaitable[Any]], enough: Callable[[Any], Any]) -> Any:
    """Ask again and again until the answer is as it should be; returns it."""
    async with asyncio.timeout(60):
        while not enough(answer := await ask()):  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.02)
    return answer


async def snapshot(service: httpx.AsyncClient) -> dict[str, Any]:
    told: dict[str, Any] = (await service.get("/api/snapshot")).json()
    return told


async def audit(service: httpx.AsyncClient) -> dict[str, Any]:
    told: dict[str, Any] = (await service.get("/api/audit")).json()
    return told


async def test_an_empty_log_has_an_empty_snapshot_that_can_be_gone_on_from(
    service: httpx.AsyncClient,
) -> None:
    told = await snapshot(service)
    assert (told["connections"], told["events"], told["position"]) == ([], [], 0)
    assert told["cursor"] == "at-0"


async def test_a_connection_is_begun_and_led_through_its_life(service: httpx.AsyncClient) -> None:
    begun = await begin(service, alias="My savings")
    for name in ("connect", "sync", "refresh", "expire", "connect", "revoke", "disconnect"):
        answer = await service.post(f"/api/connections/{begun}/{name}", json={})
        assert answer.status_code == 200
    (connection,) = (await snapshot(service))["connections"]
    assert connection["status"] == "disconnected"
    assert connection["alias"] == "My savings"
    assert connection["version"] == 8
    for version, state in enumerate(("pending", "active", "active", "active", "expired"), 1):
        then = (await service.get(f"/api/connections/{begun}?at_version={version}")).json()
        assert then["status"] == state


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_refusal_is_a_problem_with_its_reason(
    service: httpx.AsyncClient, name: str
) -> None:
    begun = await begin(service)
    await service.post(f"/api/connections/{begun}/disconnect", json={})
    answer = await service.post(f"/api/connections/{begun}/{name}", json={})
    if name == "disconnect":
        assert answer.status_code == 200
    else:
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"] in list(ProviderConnectionError)
    assert (await snapshot(service))["position"] == 2


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_every_statement_comes_to_one_end(service: httpx.AsyncClient, statement: str) -> None:
    answer = await service.post("/api/imports", json={"statement": statement})
    assert answer.status_code == 202
    over = ("FileImportSucceeded", "FileImportFailed")
    told = await until(
        lambda: snapshot(service),
        lambda told: told["imports"] and told["imports"][0]["name"] in over,
    )
    assert told["imports"][0]["stream"] == answer.json()["stream"]
    failed = told["imports"][0]["name"] == "FileImportFailed"
    assert failed == (statement == "decimal_error.ofx")


async def test_what_a_request_leads_to_bears_its_mark(service: httpx.AsyncClient) -> None:
    begun = await begin(service)
    await service.post(f"/api/connections/{begun}/connect", json={"correlation_id": "mine"})
    last = (await snapshot(service))["events"][-1]
    assert last["correlation_id"] == "mine"


async def test_the_audit_trail_holds_what_anybody_wrote_and_goes_on_after_a_restart(
    file: Path,
) -> None:
    assert (await asyncio.to_thread(run, "demo", "--db", file)).returncode == 0
    for _ in range(2):
        async with serving(file) as client:
            found = await until(partial(audit, client), lambda page: len(page["records"]) == 8)
    assert [each["action"] for each in found["records"]][-2:] == [
        *("PROVIDER_CONNECTED", "PROVIDER_CONNECTION_ATTEMPTED")
    ]
    async with AuditLog.open(file.with_suffix(".audit.db")) as trail:
        ids = [record.event_id async for record in trail.records()]
    assert len(ids) == len(set(ids)) == len(found["records"])


async def test_older_records_are_on_a_further_page(service: httpx.AsyncClient) -> None:
    for _ in range(30):
        await begin(service)
    page = await until(lambda: audit(service), lambda page: page["next"])
    further = (await service.get("/api/audit", params={"cursor": page["next"]})).json()
    assert further["records"]
    assert (await service.get("/api/audit?cursor=nonsense")).status_code == 400


async def test_the_stream_goes_on_after_the_snapshot_without_a_seam(
    service: httpx.AsyncClient,
) -> None:
    begun = await begin(service)
    cursor = (await snapshot(service))["cursor"]
    await service.post(f"/api/connections/{begun}/connect", json={})
    await service.post(f"/api/connections/{begun}/expire", json={})
    seen: list[dict[str, Any]] = []
    async with aconnect_sse(service, "GET", f"/live?last_event_id={cursor}") as source:
        async for received in source.aiter_sse():
            seen += [received.json()] if received.event == "appended" else []
            if len(seen) == 2:
                break
    assert [(each["position"], each["version"]) for each in seen] == [(2, 2), (3, 3)]
    assert seen[0]["heard"] == {
        "log": "info provider_connection_succeeded",
        "audit": "PROVIDER_CONNECTED",
        "email": True,
        "live": None,
    }
    assert (await service.get("/api/position")).json() == {"position": 3}


async def test_an_event_of_a_later_release_does_not_stop_the_page(file: Path) -> None:
    async with SQLiteEventStore(file, registry=CATALOGUE) as store:
        unknown = UnknownEvent(name="MoonLanded", schema_version=1, data=b"{}")
        await store.append(StreamId("moon", "1"), [unknown])
    async with serving(file) as client:
        assert (await snapshot(client))["events"] == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/connections", {}, 400),
        ("/api/connections", {"provider_slug": 1}, 400),
        ("/api/connections", {"provider_slug": "schwab", "alias": 1}, 400),
        ("/api/connections", {"provider_slug": "s" * 51}, 422),
        ("/api/connections", {"provider_slug": "schwab", "correlation_id": "x" * 65}, 400),
        ("/api/connections", {"provider_slug": "x" * 5000}, 400),
        ("/api/connections", [1], 400),
        ("/api/imports", {"statement": "../demo.py"}, 404),
        ("/api/imports", {"statement": ["checking.ofx"]}, 404),
        (f"/api/connections/{UUID(int=4711)}/connect", {}, 404),
        (f"/api/connections/{UUID(int=4711)}/explode", {}, 404),
    ],
)
async def test_what_the_page_never_sends_is_refused_in_words(
    service: httpx.AsyncClient, path: str, body: Any, status: int
) -> None:
    answer = await service.post(path, json=body)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert (await snapshot(service))["position"] == 0


@pytest.mark.parametrize("version", ["", "0", "-1", "x", "1" * 20, "\u0661"])
async def test_a_version_that_is_none_is_refused(service: httpx.AsyncClient, version: str) -> None:
    params = {"at_version": version}
    answer = await service.get(f"/api/connections/{uuid4()}", params=params)
    assert answer.status_code == 400


async def test_no_such_body_or_connection(service: httpx.AsyncClient) -> None:
    answer = await service.post("/api/connections", content=b"\xff{")
    assert answer.status_code == 400
    assert (await service.get(f"/api/connections/{uuid4()}?at_version=1")).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://elsewhere.example"}, 403),
        ({"origin": "http://localhost:1"}, 403),
        ({"origin": "https://localhost"}, 403),
        ({"origin": "http://localhost", "sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://localhost", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost", "sec-fetch-site": "same-origin"}, 201),
        ({"origin": "http://localhost"}, 201),
    ],
)
async def test_only_a_page_from_here_may_change_something(
    file: Path, headers: dict[str, str], status: int
) -> None:
    async with serving(file, host="localhost") as client:
        body = {"provider_slug": "schwab"}
        answer = await client.post("/api/connections", json=body, headers=headers)
        assert answer.status_code == status
        assert (await snapshot(client))["position"] == (status == 201)


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example", "[", "@"])
async def test_a_name_that_is_not_of_this_machine_is_not_answered(file: Path, host: str) -> None:
    async with serving(file, host=host) as client:
        for path in ("/", "/live", "/api/snapshot", "/static/dashboard.js"):
            assert (await client.get(path)).status_code == 421


@pytest.mark.parametrize("path", ["/", "/static/dashboard.js", "/api/snapshot", "/nowhere"])
async def test_every_answer_comes_with_the_policy(service: httpx.AsyncClient, path: str) -> None:
    headers = (await service.get(path)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in headers["content-security-policy"]


async def test_the_page_names_nothing_that_is_elsewhere(service: httpx.AsyncClient) -> None:
    text = (await service.get("/")).text
    paths = sorted(set(re.findall(r'(?:src|href)="(/static/[^"]+)"', text)))
    assert len(paths) == 3
    texts = [text, *[(await service.get(path)).text for path in paths]]
    hosts = {host for each in texts for host in re.findall(r"https?://([\w.]+)", each)}
    assert hosts <= {"www.w3.org"}


@pytest.mark.parametrize("layout", [WIDE, TALL], ids=lambda layout: layout.name)
def test_the_diagram_holds_every_row_of_the_table(layout: Any) -> None:
    drawn = svg(layout)
    assert set(layout.places) == set(ConnectionStatus)
    for status, transitions in TRANSITIONS.items():
        assert f'data-state="{status}"' in drawn
        for to in transitions.values():
            assert f'class="edge" data-from="{status}" data-to="{to}"' in drawn
    rows = {(source, to) for source, events in TRANSITIONS.items() for to in events.values()}
    assert drawn.count('class="edge"') == len(rows)


async def test_the_page_carries_the_table_and_every_command(service: httpx.AsyncClient) -> None:
    found = re.search(r'id="tables">(.*?)</script>', (await service.get("/")).text)
    assert found is not None
    tables = json.loads(found[1])
    events = {event.__name__ for events in TRANSITIONS.values() for event in events}
    assert {each["event"] for each in tables["commands"]} == events
    assert tables["transitions"]["disconnected"] == {}


async def test_the_page_carries_why_each_command_is_refused(service: httpx.AsyncClient) -> None:
    found = re.search(r'id="tables">(.*?)</script>', (await service.get("/")).text)
    assert found is not None
    refusals = json.loads(found[1])["refusals"]
    for status, transitions in TRANSITIONS.items():
        reasons = refusals[status]
        assert set(reasons) == {
            name for name in COMMANDS if COMMANDS[name].event not in transitions
        }
        said = {name: reason for name, reason in reasons.items() if name != "disconnect"}
        assert set(said.values()) <= set(ProviderConnectionError)
    assert refusals["disconnected"]["disconnect"] is None


def test_the_command_says_where_the_page_is_and_ends_with_ctrl_c(file: Path) -> None:
    with start("demo", "--web", "--port", "0", "--db", file) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"The file: {file}\n"
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None
        assert httpx.get(found[0], timeout=60, trust_env=False).status_code == 200
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.strip()) == (130, "")


def test_a_port_that_is_taken_is_said_in_one_line(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = call("demo", "--web", "--port", str(port), "--db", file)
    assert shown.exit_code == 2
    assert f"port {port} cannot be used" in shown.stderr
