"""The walls between the rooms hold, and each is seen to break when something is built through."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dashtam_events

PACKAGE = Path(dashtam_events.__file__).parent
PURE = ("event", "recorded", "registry", "aggregate", "catalogue", "connection", "codec")
OUTSIDE = ("asyncio", "logging", "socket", "sqlite3", "click", "rich", "hypothesis")
PROBE = Path(__file__).with_name("import_probe.py")

Plant = Callable[[str, str], None]


@pytest.fixture
def house(tmp_path: Path, repository: Path) -> Path:
    """A copy of the package and of its contracts, to build walls through."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "dashtam_events", ignore=ignore)
    shutil.copy(repository / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.fixture
def plant(house: Path) -> Plant:
    """Write a line at the end of a room, which is built where it does not stand yet."""

    def build(room: str, line: str) -> None:
        path = house / "dashtam_events" / room
        if path.with_suffix("").is_dir():
            path = path.with_suffix("") / "__init__.py"
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")

    return build


def inspect(house: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    checker = shutil.which("lint-imports", path=Path(sys.executable).parent)
    assert checker, "import-linter is not installed beside this Python"
    chosen = [argument for contract in contracts for argument in ("--contract", contract)]
    return subprocess.run(
        [checker, "--no-cache", *chosen],
        cwd=house,
        env=os.environ | {"PYTHONPATH": str(house), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def complaint(house: Path, contract: str) -> str:
    """What the checker says of a contract that must be broken; its blanks made single."""
    outcome = inspect(house, contract)
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert "0 kept, 1 broken" in outcome.stdout
    return " ".join(outcome.stdout.split())


def test_every_wall_holds(house: Path) -> None:
    outcome = inspect(house)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert " 0 broken" in outcome.stdout


def test_wall_1_a_lower_floor_may_not_import_a_higher_one(house: Path, plant: Plant) -> None:
    plant("errors.py", "from dashtam_events import event")
    said = complaint(house, "floors")
    assert "dashtam_events.errors is not allowed to import dashtam_events.event" in said


def test_wall_1_rooms_side_by_side_may_not_import_each_other(house: Path, plant: Plant) -> None:
    plant("_ids.py", "from dashtam_events import _clock")
    said = complaint(house, "floors")
    assert "dashtam_events._ids is not allowed to import dashtam_events._clock" in said


def test_wall_1_a_new_room_must_be_given_a_floor(house: Path, plant: Plant) -> None:
    plant("attic.py", "")
    said = complaint(house, "floors")
    assert "not listed as layers: - dashtam_events.attic" in said


def test_wall_1_no_room_may_import_the_front_door(house: Path, plant: Plant) -> None:
    plant("recorded.py", "import dashtam_events")
    said = complaint(house, "front-door")
    assert "dashtam_events.recorded is not allowed to import dashtam_events" in said


@pytest.mark.parametrize("bank", ["catalogue", "connection", "upkeep", "views", "adapters", "cli"])
def test_wall_2_no_room_of_the_kit_may_know_the_banks(house: Path, plant: Plant, bank: str) -> None:
    kit = (
        *("registry", "codec", "store", "bus", "sse", "subscriptions", "repository"),
        *("processes", "testing"),
    )
    plant(f"{bank}.py", "")
    for room in kit:
        plant(f"{room}.py", f"def late():\n    import dashtam_events.{bank}")
    said = complaint(house, "banks")
    for room in kit:
        assert f"dashtam_events.{room} is not allowed to import dashtam_events.{bank}" in said


def test_wall_3_backends_may_not_import_each_other(house: Path, plant: Plant) -> None:
    plant("store/sqlite.py", "")
    plant("store/memory.py", "from dashtam_events.store import sqlite")
    said = complaint(house, "backends")
    assert (
        "dashtam_events.store.memory is not allowed to import dashtam_events.store.sqlite" in said
    )


@pytest.mark.parametrize(
    ("contract", "guests"),
    [
        ("door-sqlite", ["sqlite3"]),
        ("door-cattrs", ["cattrs"]),
        ("door-ids", ["uuid_utils"]),
        ("door-cli", ["click", "ofxparse", "rich"]),
        ("door-adapters", ["aiosmtplib", "jinja2", "structlog"]),
        ("door-postgres", ["asyncpg"]),
        ("door-redis", ["redis"]),
        ("door-sqlalchemy", ["aiosqlite", "alembic", "sqlalchemy"]),
        ("door-web", ["starlette", "uvicorn"]),
        ("door-testing", ["hypothesis", "pytest", "pytest_asyncio"]),
    ],
)
def test_wall_3_a_guest_comes_in_by_its_one_door(
    house: Path, plant: Plant, contract: str, guests: list[str]
) -> None:
    for guest in guests:
        plant("bus/memory.py", f"def late():\n    import {guest}")
    said = complaint(house, contract)
    for guest in guests:
        assert f"dashtam_events.bus.memory -> {guest} " in said


def test_wall_4_no_pure_room_may_meet_the_world_outside(house: Path, plant: Plant) -> None:
    for room in PURE:
        plant(f"{room}.py", "import asyncio")
    said = complaint(house, "pure")
    for room in PURE:
        assert f"dashtam_events.{room} is not allowed to import asyncio" in said


def test_wall_4_the_world_outside_is_more_than_asyncio(house: Path, plant: Plant) -> None:
    for outsider in OUTSIDE:
        plant("privacy.py", f"def late():\n    import {outsider}")
    said = complaint(house, "pure")
    for outsider in OUTSIDE:
        assert f"dashtam_events.privacy is not allowed to import {outsider}" in said


def probe(package: Path, statement: str, *absent: str) -> dict[str, list[str]]:
    """Run a statement in a new process; tell what it loaded, opened, raised and said."""
    measured = package == PACKAGE  # a copy with a hole in it does not count as covered
    kept = {name: it for name, it in os.environ.items() if measured or "COVERAGE_" not in name}
    outcome = subprocess.run(
        [sys.executable, "-B", "-W", "error", str(PROBE), statement, *absent],
        cwd=package.parent,
        env=kept | {"PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    seen: dict[str, list[str]] = json.loads(outcome.stdout)
    return seen | {"said": [outcome.stderr]}


CORE = {
    *("attr", "attrs", "cattr", "cattrs", "dashtam_events", "msgspec", "returns"),
    *("typing_extensions", "uuid_utils"),
}
EXTRAS = (
    *(
        "aiosmtplib",
        "aiosqlite",
        "asyncpg",
        "click",
        "hypothesis",
        "jinja2",
        "ofxparse",
        "pytest",
        "pytest_asyncio",
    ),
    *("redis", "rich", "sqlalchemy", "starlette", "structlog", "uvicorn"),
)


def test_wall_5_the_front_door_loads_the_core_only_and_opens_nothing() -> None:
    seen = probe(PACKAGE, "import dashtam_events")
    assert set(seen["loaded"]) <= CORE
    assert seen["opened"] == []


def test_wall_5_the_front_door_opens_on_a_bare_install() -> None:
    assert probe(PACKAGE, "import dashtam_events", *EXTRAS)["raised"] == []


def test_wall_5_an_extra_in_the_front_door_is_seen(house: Path, plant: Plant) -> None:
    plant("__init__.py", "import rich")
    package = house / "dashtam_events"
    assert "rich" in probe(package, "import dashtam_events")["loaded"]
    raised = probe(package, "import dashtam_events", *EXTRAS)["raised"]
    assert raised[0] == "ModuleNotFoundError"


@pytest.mark.parametrize(
    ("line", "trace"),
    [
        ("import socket; socket.socket().close()", "socket.__new__"),
        ("import asyncio; asyncio.new_event_loop().close()", "socket.__new__"),
        ("import sqlite3; sqlite3.connect(':memory:').close()", "sqlite3.connect"),
        ("open(__file__ + '.log', 'w').close()", "open"),
        ("import threading as t; t.Thread(target=t.Event().wait, daemon=True).start()", "thread"),
    ],
)
def test_wall_5_what_the_front_door_opens_is_seen(
    house: Path, plant: Plant, line: str, trace: str
) -> None:
    plant("__init__.py", line)
    opened = probe(house / "dashtam_events", "import dashtam_events")["opened"]
    assert any(entry.startswith(trace) for entry in opened), opened


@pytest.mark.parametrize(
    ("statement", "extra"),
    [
        ("from dashtam_events.cli import main; main()", "cli"),
        ("from dashtam_events.testing import events", "testing"),
        ("import dashtam_events.bus.session", "sqlalchemy"),
        ("import dashtam_events.subscriptions.sql", "sqlalchemy"),
        ("import dashtam_events.views", "sqlalchemy"),
        ("import dashtam_events.sse.redis", "redis"),
        ("import dashtam_events.store.postgres", "postgres"),
        ("import dashtam_events.adapters.audit", "audit"),
        ("import dashtam_events.cli.web", "web"),
    ],
)
def test_wall_5_a_missing_extra_is_named_with_the_command_that_mends_it(
    statement: str, extra: str
) -> None:
    seen = probe(PACKAGE, statement, *EXTRAS)
    assert seen["raised"][0] in ("MissingExtra", "SystemExit")
    assert f'pip install "dashtam-events[{extra}]"' in seen["raised"][1] + seen["said"][0]


def test_wall_5_pytest_loads_the_plugin_where_the_rest_of_the_extra_is_missing() -> None:
    """Every pytest run of every user loads it, also of those who never asked for the kit."""
    statement = "import dashtam_events.testing.plugin"
    assert probe(PACKAGE, statement, "hypothesis", "pytest_asyncio")["raised"] == []
