"""`dashtam-events audit` shows the trail of a file or a database, and exports it."""

import asyncio
import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events.adapters.audit import create_audit_tables
from dashtam_events.bus.session import real_savepoints
from dashtam_events.catalogue import UserLoginFailed, UserLoginSucceeded
from tests.adapters.audit.trails import record
from tests.adapters.marked import PERSONAL, SECRET, marked
from tests.cli.running import ENVIRONMENT, call

ANN = UUID(int=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trail of sixty failed logins and one of Ann's that was let in."""
    path = tmp_path_factory.mktemp("audit") / "service.db"

    async def write() -> None:
        url = URL.create("sqlite+aiosqlite", database=str(path))
        engine = real_savepoints(create_async_engine(url))
        await create_audit_tables(engine)
        failed = [marked(UserLoginFailed, occurred_at=START + timedelta(days=n)) for n in range(60)]
        session = UUID(int=7)
        let_in = marked(UserLoginSucceeded, user_id=ANN, session_id=session, occurred_at=START)
        agent = {"ip_address": "192.0.2.7\x1b[2J", "user_agent": "tests"}
        await record(engine, *failed, let_in, metadata=agent)
        await engine.dispose()

    asyncio.run(write())
    return path


def rows(text: str) -> int:
    return len(text.splitlines()) - 1


def test_it_shows_the_last_fifty_under_a_header(file: Path) -> None:
    shown = call("audit", file)
    assert shown.exit_code == 0
    assert rows(shown.stdout) == 50
    header, first, *_ = shown.stdout.splitlines()
    assert header.split() == ["when", "who", "action", "outcome", "on", "from"]
    assert "USER_LOGIN_SUCCESS" in first
    assert "\x1b" not in shown.stdout
    assert SECRET not in shown.stdout
    assert PERSONAL not in shown.stdout


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--limit", "3"], 3),
        (["--user", str(ANN)], 1),
        (["--resource", "session", "--limit", "100"], 61),
        (["--resource", f"session:{UUID(int=7)}"], 1),
        (["--action", "USER_LOGIN_FAILED", "--limit", "100"], 60),
        (["--since", "2026-02-28"], 2),
        (["--until", "2026-01-02T00:00:00+00:00"], 2),
    ],
)
def test_filters_choose(file: Path, options: list[str], count: int) -> None:
    assert rows(call("audit", file, *options).stdout) == count


def test_oldest_first_turns_it_round(file: Path) -> None:
    shown = call("audit", file, "--oldest-first", "--limit", "1")
    assert "2026-01-01" in shown.stdout


def test_json_lines_and_csv_export_all_of_it(file: Path) -> None:
    lines = [json.loads(line) for line in call("audit", file, "--json").stdout.splitlines()]
    table = list(csv.DictReader(io.StringIO(call("audit", file, "--csv").stdout)))
    assert len(lines) == len(table) == 61
    assert [each["leaf_hash"] for each in lines] == [each["leaf_hash"] for each in table]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.db"], "absent.db: no such file"),
        (["mysql://ann:canary@host/db"], "write sqlite:///FILE or postgresql://"),
        (["postgresql://ann:canary@127.0.0.1:1/db"], "postgresql://127.0.0.1:1/db: "),
        ([__file__], "no SQLite database"),
        (["{file}", "--since", "yesterday"], "write a time like"),
        (["{file}", "--user", "nobody"], "no record is like that"),
        (["{file}", "--json", "--csv"], "choose one of --json and --csv"),
        (["{file}", "--csv", "--json"], "choose one of --json and --csv"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(
    file: Path, arguments: list[str], said: str
) -> None:
    outcome = call("audit", *(each.format(file=file) for each in arguments))
    assert outcome.exit_code == 2
    assert said in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert "canary" not in outcome.stderr


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    for address in (f"sqlite:///{missing}", str(missing)):
        refused = call("audit", address)
        assert (refused.exit_code, refused.stderr) == (
            2,
            f"dashtam-events: {missing}: no such file\n",
        )
        assert not missing.exists()


def test_without_its_extra_it_says_what_to_install(file: Path, repository: Path) -> None:
    probe = repository / "tests" / "import_probe.py"
    statement = (
        "import sys; from dashtam_events.cli import main; "
        f"sys.argv = ['dashtam-events', 'audit', {str(file)!r}]; main()"
    )
    outcome = subprocess.run(
        [sys.executable, str(probe), statement, "sqlalchemy"],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    assert 'pip install "dashtam-events[audit]"' in outcome.stderr
    assert json.loads(outcome.stdout)["raised"] == ["SystemExit", "2"]
