"""The demo: the whole way of a fact on a real file, and an exit code that can be believed."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.cli import performance
from dashtam_events.connection import ConnectionRepository, ConnectionStatus, ProviderConnection
from dashtam_events.recorded import RecordedEvent
from dashtam_events.store.sqlite import SQLiteEventStore
from tests.cli.running import STATEMENTS, call, on_a_terminal, run

LIFE = (
    *("ProviderConnectionAttempted", "ProviderConnectionSucceeded", "ProviderConnectionSynced"),
    *("ProviderTokenRefreshSucceeded", "ProviderConnectionExpired"),
    *("ProviderConnectionSucceeded", "ProviderDisconnectionSucceeded"),
)


def stored(file: Path) -> list[str]:
    async def read() -> list[str]:
        async with SQLiteEventStore(file, registry=CATALOGUE, read_only=True) as store:
            return [type(each.event).__name__ async for each in store.read_all()]

    return asyncio.run(read())


def test_the_connection_and_the_import_have_a_stream_each(played: Path) -> None:
    lines = call("log", played, "--json").stdout.splitlines()
    counts = Counter(json.loads(line)["stream"].partition("-")[0] for line in lines)
    assert len({json.loads(line)["stream"] for line in lines}) == 2
    assert counts == {"provider_connection": 7, "file_import": 5}


def test_the_file_holds_the_life_and_the_import(played: Path) -> None:
    assert stored(played) == [
        *LIFE,
        "FileImportAttempted",
        *["FileImportProgress"] * 3,
        "FileImportSucceeded",
    ]


async def test_the_connection_in_the_file_is_disconnected_and_has_no_credentials(
    played: Path,
) -> None:
    async with SQLiteEventStore(played, registry=CATALOGUE, read_only=True) as store:
        first = await anext(store.read_all())
        connection = await ConnectionRepository(store).get(UUID(first.stream.id))
    assert connection.status is ConnectionStatus.DISCONNECTED
    assert connection.credentials is None


def test_a_person_sees_what_is_decided_stored_heard_and_so(tmp_path: Path) -> None:
    shown = call("demo", "--db", tmp_path / "events.db")
    assert shown.exit_code == 0
    appended = re.findall(r"append  #(\d+) (\w+)", shown.stdout)
    assert [int(position) for position, _ in appended] == list(range(1, 13))
    assert tuple(name for _, name in appended[:7]) == LIFE
    assert re.findall(r"state   ([A-Z]+):", shown.stdout) == [
        *("PENDING", "ACTIVE", "ACTIVE", "ACTIVE", "ACTIVE", "EXPIRED", "ACTIVE", "DISCONNECTED")
    ]
    assert "refused Cannot transition to ACTIVE" in shown.stdout
    assert "event: provider.token.refreshed" in shown.stdout
    assert "BROKEN" not in shown.stdout
    assert shown.stdout.count("\n  ok ") == 6


def test_a_person_sees_the_upkeep_give_up_and_refresh() -> None:
    """By itself, once the clock is set forward."""
    shown = call("demo", "--plain").stdout
    assert re.findall(r"  upkeep  asked for (\w+)", shown) == [
        "FailConnection",
        "RefreshCredentials",
    ]
    assert re.findall(r"  stored  (\w+)", shown) == [
        "ProviderConnectionFailed",
        "ProviderTokenRefreshAttempted",
        "ProviderTokenRefreshSucceeded",
    ]
    assert re.findall(r"  now     ([A-Z]+)$", shown, re.MULTILINE) == ["FAILED", "ACTIVE"]


def test_each_event_is_heard_of_after_it_is_appended() -> None:
    shown = call("demo", "--plain").stdout
    for scene in re.split(r"\n\d+\. ", shown):
        labels = re.findall(r"^  (decide|append|log|live|state) ", scene, re.MULTILINE)
        order = ("decide", "append", "log", "live", "state")
        assert labels == [label for label in order if label in labels]


def test_log_lines_mask_what_is_personal() -> None:
    shown = call("demo", "--plain").stdout
    logged = [line for line in shown.splitlines() if line.startswith("  log ")]
    assert any("provider_connection_attempted" in line and "alias=***" in line for line in logged)
    assert not any("My IRA" in line or "checking.ofx" in line for line in logged)


def test_the_credentials_are_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    shown = call("demo", "--plain", "--db", file).stdout
    assert "sealed" not in shown
    assert "sealed" not in call("log", file, "--json", "--show-personal").stdout


def test_a_file_can_be_used_again(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    for _ in range(3):
        assert call("demo", "--plain", "--db", file).exit_code == 0
    assert len(stored(file)) == 36


def test_without_a_file_one_is_made_and_kept() -> None:
    shown = call("demo", "--plain").stdout
    found = re.search(r"^Written to (.*): 12 events in 2 streams\.$", shown, re.MULTILINE)
    assert found is not None
    assert Path(found[1]).is_file()


def test_a_broken_statement_ends_in_one_failure(tmp_path: Path) -> None:
    file, statement = tmp_path / "events.db", STATEMENTS / "decimal_error.ofx"
    shown = call("demo", "--plain", "--db", file, "--statement", statement)
    assert shown.exit_code == 0
    assert "reason=malformed_file" in shown.stdout
    assert (stored(file))[7:] == ["FileImportAttempted", "FileImportFailed"]


@pytest.mark.parametrize("line", [0, 1])
def test_what_it_says_to_try_next_works(line: int) -> None:
    shown = call("demo", "--plain").stdout
    commands = re.findall(r"^  dashtam-events (.*)$", shown, re.MULTILINE)
    tried = call(*commands[line].split())
    assert tried.exit_code == 0
    assert "ProviderDisconnectionSucceeded" in tried.stdout


class Forgetful(SQLiteEventStore):
    """A store that leaves out the last event of its log."""

    async def read_all(self, **wanted: Any) -> AsyncGenerator[RecordedEvent, None]:
        events = [each async for each in super().read_all(**wanted)]
        for each in events[:-1]:
            yield each


@pytest.mark.parametrize(
    ("where", "what", "lie"),
    [
        (performance, "SQLiteEventStore", Forgetful),
        (performance, "is_successful", lambda _: True),
        (ProviderConnection, "same_state_as", lambda *_: False),
    ],
)
def test_a_broken_promise_is_shown_and_fails(
    where: object, what: str, lie: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, what, lie)
    shown = call("demo", "--plain")
    assert shown.exit_code == 1
    assert shown.stdout.count("\n  BROKEN ") == 1


def test_in_a_pipe_it_is_plain_and_does_not_wait() -> None:
    shown = run("demo", "--pause", "5")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.isascii()


def test_on_a_terminal_it_draws_panels_in_colour() -> None:
    code, shown = on_a_terminal("demo", "--pause", "0.01")
    assert code == 0
    assert "╭─" in shown
    assert "1. A user asks to connect" in shown
    assert "\x1b[" in shown


def test_the_path_that_it_names_is_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    shown = call("demo", "--plain", "--db", tmp_path / "here" / ".." / "events.db")
    assert shown.exit_code == 0
    assert f"Written to {tmp_path.resolve() / 'events.db'}:" in shown.stdout
    assert "../" not in shown.stdout
