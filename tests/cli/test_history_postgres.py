"""What PostgreSQL holds, as `log` and `stream` tell it: the same as of a file."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest
from click.testing import Result

from dashtam_events.catalogue import CATALOGUE, FileImportAttempted
from dashtam_events.recorded import StreamId
from dashtam_events.store.postgres import PostgresEventStore
from tests.cli.running import call, run_code, start
from tests.postgres_server import asking, dsn, mortal_server, postgres, schema

__all__ = ["dsn", "mortal_server", "postgres", "schema"]

PASSWORD = "hunter2"


@attrs.frozen
class Moved:
    """The events of the demo, in a file and in PostgreSQL."""

    file: Path
    url: str
    schema: str

    def log(self, *options: str) -> Result:
        return call("log", self.url, "--schema", self.schema, *options)

    def stream(self, name: str, *options: str) -> Result:
        return call("stream", self.url, name, "--schema", self.schema, *options)

    @property
    def first(self) -> str:
        """The stream of the connection."""
        return str(json.loads(call("log", self.file, "--json").stdout.splitlines()[0])["stream"])


@pytest.fixture
def moved(played: Path, dsn: str, schema: str) -> Moved:
    assert call("copy", played, dsn, "--target-schema", schema).exit_code == 0
    return Moved(played, dsn, schema)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--json",),
        ("--show-personal",),
        ("--type", "ProviderConnectionSucceeded", "--json"),
        ("--category", "data_sync", "--after", "9", "--limit", "2"),
        ("--user", "019a3d5e-4c00-7000-8000-00000000da54", "--type", "FileImportSucceeded"),
        ("--follow", "--limit", "12"),
    ],
)
def test_the_log_is_shown_as_that_of_a_file_is(moved: Moved, options: tuple[str, ...]) -> None:
    shown = moved.log(*options)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout == call("log", moved.file, *options).stdout != ""


@pytest.mark.parametrize("options", [(), ("--json",), ("--show-personal",)])
def test_a_stream_is_shown_as_that_of_a_file_is(moved: Moved, options: tuple[str, ...]) -> None:
    shown = moved.stream(moved.first, *options)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert shown.stdout == call("stream", moved.file, moved.first, *options).stdout != ""
    assert "-> DISCONNECTED" in moved.stream(moved.first).stdout


@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite+aiosqlite:///{}", "{}"])
def test_a_file_is_named_by_its_path_or_its_url(played: Path, form: str) -> None:
    assert call("log", form.format(played)).stdout == call("log", played).stdout != ""


def test_a_stream_that_is_not_there_is_refused(moved: Moved) -> None:
    refused = moved.stream("provider_connection-1")
    assert refused.exit_code == 2
    assert refused.stderr == "dashtam-events: the store has no stream provider_connection-1\n"


def test_follow_shows_what_is_appended_and_ends_quietly(moved: Moved) -> None:
    async def append() -> None:
        user: UUID = uuid4()
        event = FileImportAttempted(
            user_id=user, provider_slug="schwab", file_name="a", file_format="ofx"
        )
        async with PostgresEventStore(moved.url, registry=CATALOGUE, schema=moved.schema) as store:
            await store.append(StreamId("user", user), [event])

    options = ("--schema", moved.schema, "--follow", "--after", "11", "--json")
    with start("log", moved.url, *options) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["position"] == 12
        asyncio.run(append())
        assert json.loads(following.stdout.readline())["position"] == 13
        following.send_signal(signal.SIGINT)
        out, err = following.communicate(timeout=60)
    assert (following.returncode, out, err.strip()) == (130, "", "")


def test_follow_ends_with_one_line_where_the_server_does(played: Path, mortal_server: Any) -> None:
    url = mortal_server.get_uri()
    assert call("copy", played, url, "--target-schema", "followed").exit_code == 0
    with start("log", url, "--schema", "followed", "--follow", "--json") as following:
        assert following.stdout is not None
        for _ in range(12):
            following.stdout.readline()
        time.sleep(0.5)  # so that it listens
        lock = Path(mortal_server.pgdata, "postmaster.pid")
        os.kill(int(lock.read_text().split()[0]), signal.SIGQUIT)
        _out, err = following.communicate(timeout=60)
    while lock.exists():
        time.sleep(0.01)
    mortal_server.ensure_postgres_running()
    assert (following.returncode, err.count("\n")) == (2, 1)
    assert err.startswith("dashtam-events: postgresql:///postgres (followed): ")


Looking = Callable[[str, str], Result]
LOOKING: list[Looking] = [
    lambda url, schema: call("log", url, "--schema", schema),
    lambda url, schema: call("log", url, "--schema", schema, "--follow"),
    lambda url, schema: call("stream", url, "a-b", "--schema", schema),
]


@pytest.mark.parametrize("look", LOOKING)
@pytest.mark.parametrize(
    ("address", "why"),
    [
        (f"postgresql://ann:{PASSWORD}@127.0.0.1:1/db", "the server cannot be reached"),
        (f"postgresql+asyncpg://ann:{PASSWORD}@127.0.0.1:1/db", "the server cannot be reached"),
        (f"postgresql://ann:{PASSWORD}@127.0.0.1:one/db", "the address cannot be read"),
        (f"postgresql://ann:{PASSWORD}@127.0.0.1:1/db?sslmode={PASSWORD}", "cannot be used"),
        (f"mysql://ann:{PASSWORD}@127.0.0.1/db", "write sqlite:///FILE or postgresql://"),
    ],
)
def test_where_nothing_can_be_read_one_line_says_why_and_no_password(
    address: str, why: str, look: Looking
) -> None:
    refused = look(address, "events")
    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert why in refused.stderr
    assert PASSWORD not in refused.stderr


@pytest.mark.parametrize("look", [LOOKING[0], LOOKING[-1]])
async def test_a_schema_that_is_not_there_is_said_and_not_made(
    dsn: str, schema: str, look: Looking
) -> None:
    refused = await asyncio.to_thread(look, dsn, schema)
    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "its schema does not exist" in refused.stderr
    async with asking(dsn) as connection:
        assert not await connection.fetchval(
            "SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema
        )


@pytest.mark.parametrize("look", LOOKING)
def test_a_name_that_no_schema_has_is_refused(dsn: str, look: Looking) -> None:
    refused = look(dsn, "a; DROP")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert "a schema is named" in refused.stderr


@pytest.mark.parametrize("arguments", ["'log', URL", "'stream', URL, 'a-b'"])
def test_without_the_extra_for_postgresql_it_is_named(arguments: str) -> None:
    code = (
        "import sys, importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'asyncpg' else find(name)\n"
        "URL = 'postgresql://127.0.0.1:1/db'\n"
        f"sys.argv = ['dashtam-events', {arguments}]\n"
        "from dashtam_events.cli import main; main()"
    )
    told = run_code(code)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == (
        'dashtam-events: this needs an extra: pip install "dashtam-events[postgres]"\n'
    )
