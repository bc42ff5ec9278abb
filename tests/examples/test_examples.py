"""The examples run as a reader would run them, and print what their text promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import dashtam_events

TAKEN = "What is right is in the log, so the new table takes the place of the old:"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(dashtam_events.__file__).parents[1])}


def run(example: Path, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", example, *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
        env=ENVIRONMENT,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.fixture
def examples(repository: Path) -> Path:
    return repository / "examples"


def test_every_example_is_tested_here(examples: Path) -> None:
    names = {path.stem for path in examples.glob("*.py")}
    assert names == {
        "custom_events",
        "fastapi_service",
        "import_statement",
        "process_manager",
        "quickstart",
        "read_models",
        "two_services",
    }


def test_the_quickstart_stores_tells_and_rebuilds(examples: Path) -> None:
    printed = run(examples / "quickstart.py").splitlines()
    assert printed[0] == "refused: Cannot record a sync, must be ACTIVE"
    assert [line.partition("(")[0] for line in printed[1:3]] == [
        "stored: 1 ProviderConnectionAttempted",
        "stored: 2 ProviderConnectionSucceeded",
    ]
    assert printed[3:] == [
        "heard: connected to schwab",
        "rebuilt: ACTIVE, and PENDING one event earlier",
        "equal: True",
    ]


def test_nobody_hears_in_the_quickstart_before_the_event_is_stored(examples: Path) -> None:
    printed = run(examples / "quickstart.py")
    assert printed.index("stored: 2") < printed.index("heard:")


def test_custom_events_live_beside_the_catalogue(examples: Path) -> None:
    printed = run(examples / "custom_events.py").splitlines()
    assert printed[:3] == [
        "known: 82 events, 2 of them our own",
        "closed",
        "closed already: nothing recorded",
    ]
    assert printed[3].startswith("stored: version 1 AccountCreated(")
    assert printed[4].startswith("stored: version 2 AccountClosed(")
    assert printed[5:] == ["heard: closed by_owner, asked for by app"]


def test_a_personal_field_of_ones_own_event_is_masked(examples: Path) -> None:
    printed = run(examples / "custom_events.py")
    assert "owner_name='***'" in printed
    assert "Lovelace" not in printed


def test_a_good_and_a_broken_statement_are_shown_live(examples: Path) -> None:
    printed = run(examples / "import_statement.py")
    shown = [line.removeprefix("event: ") for line in printed.splitlines() if "event: " in line]
    assert shown == [
        *("import.started", "import.progress", "import.progress", "import.completed"),
        *("import.started", "import.failed"),
    ]
    assert "imported: account 42, +1987.50 EUR" in printed
    assert '"error":"malformed_file"' in printed
    assert "$12.50" not in printed


def test_a_statement_of_ones_own_is_imported(examples: Path, repository: Path) -> None:
    statement = repository / "dashtam_events" / "cli" / "statements" / "suncorp.ofx"
    printed = run(examples / "import_statement.py", str(statement))
    assert "imported: account 123456789, -16.85 AUD" in printed


def test_connections_are_kept_in_shape_until_the_bank_has_no_more_tokens(examples: Path) -> None:
    printed = run(examples / "process_manager.py").splitlines()
    happened = [tuple(line.split()[1:]) for line in printed]
    assert ("silent", "ProviderConnectionFailed") in happened
    assert [name.removeprefix("Provider") for slug, name in happened if slug == "schwab"] == [
        *("ConnectionAttempted", "ConnectionSucceeded"),
        *("TokenRefreshAttempted", "TokenRefreshSucceeded") * 2,
        *("TokenRefreshAttempted", "TokenRefreshFailed") * 3,
        "ConnectionExpired",
    ]


def test_the_service_answers_refuses_records_and_shows_live(examples: Path) -> None:
    printed = run(examples / "fastapi_service.py").splitlines()
    asked = [line for line in printed if line.startswith(("GET", "POST"))]
    statuses = [int(line.partition(" -> ")[2].split()[0]) for line in asked]
    assert statuses == [401, 201, 409, 200, 200, 200, 200, 200]
    assert '"detail":"Cannot record a sync, must be ACTIVE"' in asked[2]
    assert asked[-1].count('"action":') == 4
    assert printed[-3:] == [
        "live: stream.open",
        "live: provider.token.refreshed",
        "live: provider.disconnected",
    ]
    assert [line for line in printed if line.startswith("logged")] == [
        "logged: provider_connection_attempted",
        "logged: provider_connection_succeeded",
        "logged: provider_token_refresh_succeeded",
        "logged: provider_disconnection_succeeded",
    ]


def test_the_views_go_on_and_are_made_anew_from_the_log(examples: Path) -> None:
    printed = [line.strip() for line in run(examples / "read_models.py").splitlines()]
    assert "connections: at position 9" in printed
    assert "2 ACTIVE, 1 EXPIRED" in printed
    assert any(
        line.startswith("connections: view_connections: 3 rows are only") for line in printed
    )
    rebuilt = printed[printed.index(TAKEN) :]
    assert rebuilt[1:] == [
        "schwab: ACTIVE",
        "chase: EXPIRED",
        "fidelity: ACTIVE",
        "account_sync: failed, provider_unavailable, took 0:00:02",
        "account_sync: succeeded, 3 accounts, took 0:00:02",
        "account_sync: 1 of 2 succeeded",
    ]


def test_each_payment_is_booked_once_however_often_it_is_sent(examples: Path) -> None:
    assert run(examples / "two_services.py").splitlines() == [
        "recorded: 40 payments of 800.00 EUR",
        "killed: the ledger, in the middle",
        "sent: each of them 4 times or more",
        "booked: 40 payments of 800.00 EUR",
    ]
