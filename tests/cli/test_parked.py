"""`dashtam-events parked`: what a subscription set aside, on a terminal."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events.bus.session import real_savepoints
from dashtam_events.recorded import RecordedEvent
from dashtam_events.store import InMemoryEventStore
from dashtam_events.subscriptions import Subscription
from dashtam_events.subscriptions.sql import SQLCheckpointStore, create_subscription_tables
from tests.cli.running import call
from tests.subscriptions.houses import REGISTRY, open_doors


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database in which the subscription `mail` parked one event, and one waits behind it."""
    path = tmp_path / "progress.db"
    asyncio.run(_park(path))
    return path


async def _park(path: Path) -> None:
    async def handle(_recorded: RecordedEvent) -> None:
        raise ValueError("a secret value")

    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{path}"))
    await create_subscription_tables(engine)
    store = InMemoryEventStore(registry=REGISTRY)
    await open_doors(store, 1, 2)
    await Subscription("mail", store, handle, checkpoints=SQLCheckpointStore(engine)).run_once()
    await engine.dispose()


def test_parked_events_are_listed_with_their_error_and_without_values(file: Path) -> None:
    shown = call("parked", f"sqlite:///{file}", "list")
    assert shown.exit_code == 0
    [_, failed, waiting] = shown.output.splitlines()
    assert failed.split()[:3] == ["mail", "1", "DoorOpened"]
    assert "ValueError at tests.cli.test_parked._park" in failed
    assert "waiting" in waiting
    assert "secret" not in shown.output


def test_failed_events_are_marked_to_be_replayed(file: Path) -> None:
    assert call("parked", file, "replay", "mail", "1").output == "1 marked to be replayed\n"
    assert "replay" in call("parked", file, "list", "--subscription", "mail").output
    refused = call("parked", file, "replay", "mail", "--all")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == "dashtam-events: nothing that failed is parked for 'mail'\n"


def test_parked_events_are_dropped(file: Path) -> None:
    assert call("parked", file, "drop", "mail", "1").output == "1 dropped\n"
    assert call("parked", file, "drop", "mail", "--all").output == "1 dropped\n"
    assert call("parked", file, "list").output == "nothing is parked\n"


@pytest.mark.parametrize("done", ["drop", "replay"])
@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        (("nosuch", "--all"), "parked for 'nosuch'\n"),
        (("nosuch", "1"), "parked for 'nosuch' at these positions\n"),
        (("mail", "7", "8"), "parked for 'mail' at these positions\n"),
    ],
)
def test_where_nothing_is_there_to_be_chosen_it_is_refused(
    file: Path, done: str, chosen: tuple[str, ...], why: str
) -> None:
    refused = call("parked", file, done, *chosen)
    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert refused.stderr.startswith("dashtam-events: nothing ")
    assert refused.stderr.endswith(why)


def test_a_list_that_is_cut_short_says_so(file: Path) -> None:
    short = call("parked", file, "list", "--limit", "1")
    assert (short.exit_code, len(short.stdout.splitlines())) == (0, 2)
    assert short.stderr == "dashtam-events: more than these 1: give a higher --limit\n"
    assert call("parked", file, "list", "--limit", "2").stderr == ""


def test_the_help_warns_that_what_is_dropped_does_not_come_again(file: Path) -> None:
    said = " ".join(call("parked", file, "drop", "--help").output.split())
    assert "What is dropped does not come again" in said
    assert "the deadline of a process manager" in said
    assert "also those that only wait; for good" in said


@pytest.mark.parametrize("arguments", [("replay", "mail"), ("drop", "mail", "1", "--all")])
def test_positions_or_all_are_to_be_given(file: Path, arguments: tuple[str, ...]) -> None:
    refused = call("parked", file, *arguments)
    assert refused.exit_code == 2
    assert "give positions, or --all" in refused.output


@pytest.mark.parametrize("target", ["nowhere.db", "sqlite:///nowhere.db", "nosuch://x/y"])
def test_a_database_that_is_not_there_is_named_in_one_line(target: str, tmp_path: Path) -> None:
    refused = call("parked", target, "list")
    assert refused.exit_code == 2
    assert len(refused.output.splitlines()) == 1
    assert not (tmp_path / "nowhere.db").exists()
