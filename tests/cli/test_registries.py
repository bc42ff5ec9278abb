"""A service's own events, told to the command by the module that holds their registry."""

import asyncio
import json
from pathlib import Path

import pytest

from dashtam_events import SQLiteEventStore, StreamId
from tests.cli.own_events import OWN, DoorOpened
from tests.cli.running import call

REGISTRY = ("--registry", "tests.cli.own_events:OWN")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    async def write(path: Path) -> None:
        async with SQLiteEventStore(path, registry=OWN) as store:
            await store.append(StreamId("door", "1"), [DoorOpened(door="front")])

    path = tmp_path / "own.db"
    asyncio.run(write(path))
    return path


def test_the_log_decodes_the_events_of_a_registry_that_it_is_given(kept: Path) -> None:
    [told] = call("log", kept, "--json", *REGISTRY).stdout.splitlines()
    assert json.loads(told)["data"]["door"] == "front"


def test_without_it_they_are_told_by_name_and_size(kept: Path) -> None:
    told = call("log", kept).stdout
    assert "DoorOpened" in told
    assert "front" not in told


def test_a_stream_is_decoded_too(kept: Path) -> None:
    assert "front" in call("stream", kept, "door-1", *REGISTRY).stdout


def test_its_categories_can_be_asked_for(kept: Path) -> None:
    assert "front" in call("log", kept, *REGISTRY, "--category", "doors").stdout
    refused = call("log", kept, "--category", "doors")
    assert refused.exit_code == 2
    assert "'doors' is not one of 'authentication'" in refused.stderr


def test_the_catalogue_lists_its_events_beside_ours() -> None:
    listed = json.loads(call("catalogue", "--json", "--category", "doors", *REGISTRY).stdout)
    assert list(listed) == ["DoorOpened"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("tests.cli.nowhere:OWN", "cannot import 'tests.cli.nowhere:OWN'"),
        ("tests.cli.own_events:ABSENT", "cannot import 'tests.cli.own_events:ABSENT'"),
        ("tests.cli.own_events", "cannot import 'tests.cli.own_events'"),
        ("tests.cli.own_events:DoorOpened", "'tests.cli.own_events:DoorOpened' is no EventRegist"),
    ],
)
def test_what_is_no_registry_is_one_line(path: str, why: str) -> None:
    refused = call("catalogue", "--registry", path)
    assert refused.exit_code == 2
    assert why in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
