"""What a file holds, as `log` and `stream` tell it."""

import json
import re
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dashtam_events.event import DomainEvent, event
from dashtam_events.recorded import StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store.sqlite import SQLiteEventStore
from tests.cli.running import call, on_a_terminal, run, start


def told(*arguments: "str | Path") -> list[dict[str, Any]]:
    shown = call("log", *arguments, "--json")
    assert shown.exit_code == 0
    return [json.loads(line) for line in shown.stdout.splitlines()]


def positions(*arguments: "str | Path") -> list[int]:
    return [each["position"] for each in told(*arguments)]


def test_the_log_has_every_event_in_order_one_line_each(played: Path) -> None:
    lines = call("log", played).stdout.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1, 13))
    assert positions(played) == list(range(1, 13))


def test_a_line_says_where_what_and_in_which_stream(played: Path) -> None:
    first = told(played)[0]
    line = call("log", played, "--limit", "1").stdout
    assert line.split()[3:6] == [first["stream"], "v1", "ProviderConnectionAttempted"]
    assert f"user_id={first['data']['user_id']}" in line


def test_json_has_all_that_is_recorded(played: Path) -> None:
    first = told(played)[0]
    assert first["type"] == "ProviderConnectionAttempted"
    assert first["version"] == 1
    assert first["data"]["provider_slug"] == "schwab"
    assert {"recorded_at", "occurred_at", "event_id", "metadata"} <= first.keys()


def test_personal_fields_are_masked_unless_asked_for(played: Path) -> None:
    masked = call("log", played).stdout
    assert "alias=***" in masked
    assert "checking.ofx" not in masked
    clear = call("log", played, "--show-personal").stdout
    assert 'alias="My IRA"' in clear
    assert "file_name=checking.ofx" in clear
    assert told(played)[0]["data"]["alias"] == "***"
    assert told(played, "--show-personal")[0]["data"]["alias"] == "My IRA"


def test_the_filters_choose_and_must_all_hold(played: Path) -> None:
    first, last = told(played)[0], told(played)[-1]
    assert positions(played, "--stream", first["stream"]) == list(range(1, 8))
    assert positions(played, "--type", "ProviderConnectionSucceeded") == [2, 6]
    assert positions(played, "--type", "FileImportFailed") == []
    assert positions(played, "--category", "data_sync") == list(range(8, 13))
    assert positions(played, "--user", first["data"]["user_id"]) == list(range(1, 13))
    assert positions(played, "--user", str(uuid4())) == []
    assert positions(played, "--after", "10") == [11, 12]
    assert positions(played, "--limit", "2", "--stream", last["stream"]) == [8, 9]
    assert positions(played, "--category", "provider", "--stream", last["stream"]) == []


def test_a_stream_shows_the_state_after_each_event(played: Path) -> None:
    name = told(played)[0]["stream"]
    shown = call("stream", played, name)
    assert shown.exit_code == 0
    assert [line.split("-> ")[1].split()[0] for line in shown.stdout.splitlines()] == [
        *("PENDING", "ACTIVE", "ACTIVE", "ACTIVE", "EXPIRED", "ACTIVE", "DISCONNECTED")
    ]
    assert "alias=***" in shown.stdout
    assert 'alias="My IRA"' in call("stream", played, name, "--show-personal").stdout


def test_a_stream_as_json_has_the_state(played: Path) -> None:
    name = told(played)[0]["stream"]
    lines = call("stream", played, name, "--json").stdout.splitlines()
    assert json.loads(lines[-1])["state"] == "disconnected"


def test_a_stream_of_something_else_has_no_state(played: Path) -> None:
    name = told(played)[-1]["stream"]
    shown = call("stream", played, name)
    assert shown.exit_code == 0
    assert len(shown.stdout.splitlines()) == 5
    assert "->" not in shown.stdout
    assert "state" not in json.loads(call("stream", played, name, "--json").stdout.splitlines()[0])


def test_on_a_terminal_the_details_stand_below_what_happened(played: Path) -> None:
    name = told(played)[0]["stream"]
    code, shown = on_a_terminal("log", played, "--limit", "1")
    above, below, *_ = re.sub(r"\x1b\[[\d;]*m", "", shown).splitlines()
    assert code == 0
    assert above.split()[-1] == "ProviderConnectionAttempted"
    assert below.startswith(f"        {name} ")
    code, shown = on_a_terminal("stream", played, name)
    assert code == 0
    assert name not in shown
    assert "DISCONNECTED" in shown


@event
class LanternLit(DomainEvent):
    """An event that the command has never heard of."""

    keeper: str


async def test_events_that_are_not_known_here_are_shown_without_their_content(
    tmp_path: Path,
) -> None:
    file = tmp_path / "events.db"
    async with SQLiteEventStore(file, registry=EventRegistry([LanternLit])) as store:
        await store.append(StreamId("provider_connection", "one"), [LanternLit(keeper="Ada")])
    shown = run("log", file, "--show-personal")
    assert shown.returncode == 0
    assert "LanternLit" in shown.stdout
    assert "Ada" not in shown.stdout
    assert run("stream", file, "provider_connection-one").returncode == 0


def test_what_cannot_be_read_is_told_with_where_it_stands(played: Path, tmp_path: Path) -> None:
    (third,) = told(played, "--after", "2", "--limit", "1")
    damaged = shutil.copy(played, tmp_path / "damaged.db")
    with closing(sqlite3.connect(damaged)) as file:
        file.execute("UPDATE events SET data = ? WHERE position = 3", (b"CANARY",))
        file.commit()
    shown = call("log", damaged, "--json")
    assert shown.exit_code == 2
    assert [json.loads(line)["position"] for line in shown.stdout.splitlines()] == [1, 2]
    assert shown.stderr == (
        f"dashtam-events: {third['type']}: expected a JSON object in UTF-8, "
        f"at position 3 of the log: {third['stream']}, version {third['version']}\n"
    )


def test_looking_changes_nothing(played: Path) -> None:
    before = played.read_bytes()
    played.chmod(0o444)
    try:
        assert call("log", played).exit_code == 0
    finally:
        played.chmod(0o644)
    assert played.read_bytes() == before


def test_follow_shows_what_another_process_appends(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    assert run("demo", "--plain", "--db", file).returncode == 0
    with start("log", file, "--follow", "--after", "11", "--json") as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["position"] == 12
        assert run("demo", "--plain", "--db", file).returncode == 0
        seen = [json.loads(following.stdout.readline())["position"] for _ in range(12)]
        following.send_signal(signal.SIGINT)
        out, err = following.communicate(timeout=60)
    assert seen == list(range(13, 25))
    assert (following.returncode, out, err.strip()) == (130, "", "")


def test_follow_ends_at_the_limit(played: Path) -> None:
    shown = run("log", played, "--follow", "--limit", "3")
    assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 3)


def test_a_user_is_found_however_their_id_is_written(played: Path) -> None:
    user = told(played)[0]["data"]["user_id"]
    for written in (user.upper(), f"{{{user}}}", user.replace("-", "")):
        assert positions(played, "--user", written) == list(range(1, 13))


@pytest.mark.parametrize(
    ("filters", "hint"),
    [
        (("--type", "NoSuchEvent"), "no event that is known here is called NoSuchEvent"),
        (("--type", "FileImportFailed"), "nothing found\n"),
        (("--user", "Ann"), "--user is the id of whom an event is about"),
        (("--after", "12"), "nothing found\n"),
    ],
)
def test_where_nothing_is_found_it_says_so_beside_the_output(
    played: Path, filters: tuple[str, ...], hint: str
) -> None:
    shown = call("log", played, *filters)
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert shown.stderr.startswith("dashtam-events: nothing found")
    assert hint in shown.stderr


def test_where_something_is_found_it_says_nothing_else(played: Path) -> None:
    assert call("log", played, "--limit", "1").stderr == ""
