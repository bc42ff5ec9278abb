"""A process is killed in mid-handler, again and again: nothing is skipped, or written twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import IO
from uuid import uuid4

from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events.bus.session import real_savepoints
from dashtam_events.recorded import StreamId
from dashtam_events.store import EventStore, SQLiteEventStore
from dashtam_events.subscriptions.sql import Projector, SQLCheckpointStore
from tests.store.starting import ENVIRONMENT
from tests.subscriptions.houses import REGISTRY, DoorOpened
from tests.subscriptions.poison import Handler, subscribed
from tests.subscriptions.walls import Openings

KILLS, EVENTS_PER_KILL = 30, 20
ROOT = Path(__file__).resolve().parents[2]


async def test_a_killed_subscriber_skips_nothing_and_a_killed_projector_repeats_nothing(
    tmp_path: Path,
) -> None:
    chance = random.Random(4)
    streams = [StreamId("house", uuid4()) for _ in range(5)]
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}{os.pathsep}{ROOT}"}
    child = [sys.executable, str(Path(__file__).with_name("children.py"))]
    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'views.db'}"))
    async with SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY) as store:
        with subprocess.Popen(  # noqa: ASYNC220  # it is waited for line by line
            child, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            for _ in range(KILLS):
                await _append(store, streams)
                _kill(server, tmp_path, after=chance.uniform(0.05, 0.4))
            _pipe(server.stdin).close()
        stored = [recorded.position async for recorded in store.read_all()]
        view, rest = Openings(), Handler()
        await subscribed(store, SQLCheckpointStore(engine), rest).run_once()
        await Projector(store, view, engine).run_once()
        assert len(await view.written(engine)) == len(stored)
    await engine.dispose()
    handled = _handled(tmp_path / "handled")
    last = {recorded.position for recorded in rest.seen}
    assert {position for position, _, _ in handled} | last == set(stored)
    assert len(handled) > 100
    _check_order(handled)


async def _append(store: EventStore, streams: list[StreamId]) -> None:
    for number in range(EVENTS_PER_KILL // 2):
        opened = [DoorOpened(number=number), DoorOpened(number=number)]
        await store.append(streams[number % len(streams)], opened)


def _kill(server: "subprocess.Popen[str]", place: Path, *, after: float) -> None:
    _pipe(server.stdin).write(f"{place}\n")
    _pipe(server.stdin).flush()
    pid = int(_pipe(server.stdout).readline())
    time.sleep(after)  # nothing else is to happen meanwhile
    os.kill(pid, signal.SIGKILL)
    assert _pipe(server.stdout).readline() == "dead\n"


def _handled(path: Path) -> list[tuple[int, str, int]]:
    """What was handled, line by line; the last one of a process may be torn."""
    lines = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
    return [(int(position), stream, int(version)) for position, stream, version in lines]


def _check_order(handled: list[tuple[int, str, int]]) -> None:
    """In each stream an event comes after the one before it, or again."""
    furthest: defaultdict[str, int] = defaultdict(int)
    for _, stream, version in handled:
        assert version <= furthest[stream] + 1
        furthest[stream] = max(furthest[stream], version)


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
