"""Owners are killed and paused: nothing is lost, out of order, or written by one that is fenced."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import IO

import attrs
import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dashtam_events.recorded import StreamId
from dashtam_events.store import EventStore
from dashtam_events.store.postgres import PostgresEventStore
from dashtam_events.subscriptions import Checkpoint
from dashtam_events.subscriptions.sql import SQLCheckpointStore, create_subscription_tables
from tests import counts
from tests.databases import new_database, plain_address
from tests.notes import notes_in
from tests.store.starting import ENVIRONMENT
from tests.subscriptions.houses import REGISTRY, DoorOpened
from tests.subscriptions.members import LEASE, PARTITIONS, Effects

MEMBERS, STREAMS = 4, 150
FAULTS = counts.of(short=4, full=100)
ROOT = Path(__file__).resolve().parents[2]


@attrs.frozen
class Effect:
    """One event that was dealt with, in the order in which they were."""

    stream: str
    version: int
    partition: int
    epoch: int


class Members:
    """Four processes, of which some are paused at times."""

    def __init__(self, server: "subprocess.Popen[str]", told: dict[str, str]) -> None:
        self._server, self._told = server, told
        self._paused: dict[int, asyncio.Task[None]] = {}
        self._born = 0
        self.alive = [self._bear() for _ in range(MEMBERS)]

    def kill(self, nth: int) -> None:
        """End one without a word; another one takes its place."""
        os.kill(self.alive[nth], signal.SIGKILL)
        assert self._ask(str(self.alive[nth])) == -signal.SIGKILL
        self.alive[nth] = self._bear()

    def pause(self, nth: int, seconds: float) -> None:
        """Let one stand still for a time, unless it does."""
        pid = self.alive[nth]
        if pid not in self._paused or self._paused[pid].done():
            os.kill(pid, signal.SIGSTOP)
            self._paused[pid] = asyncio.create_task(self._wake(pid, seconds))

    async def awake(self) -> None:
        """Wait until none is paused."""
        await asyncio.gather(*self._paused.values())

    def stop(self) -> None:
        """Let all of them stop, and see that each comes to a good end."""
        for pid in self.alive:
            os.kill(pid, signal.SIGTERM)
        ended, self.alive = self.alive, []
        assert [self._ask(str(pid)) for pid in ended] == [0] * MEMBERS

    def close(self) -> None:
        """End those that did not stop."""
        for pid in self.alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _wake(self, pid: int, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if pid in self.alive:
            os.kill(pid, signal.SIGCONT)

    def _bear(self) -> int:
        self._born += 1
        return self._ask(json.dumps(self._told | {"name": f"member {self._born}"}))

    def _ask(self, line: str) -> int:
        told, heard = _pipe(self._server.stdin), _pipe(self._server.stdout)
        told.write(line + "\n")
        told.flush()
        return int(heard.readline())


@counts.counted
async def test_whoever_is_killed_or_paused_nothing_is_lost_out_of_order_or_written_by_the_fenced(
    postgres: URL, tmp_path: Path
) -> None:
    chance = random.Random(4)
    async with new_database(postgres) as url, _opened(url) as (engine, store):
        dsn = plain_address(url)
        whole = url.render_as_string(hide_password=False)
        told = {"url": whole, "dsn": dsn, "schema": "log", "folder": str(tmp_path)}
        with _serving() as server, closing(Members(server, told)) as members:
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(_write(store, chance))
                await _make_trouble(members, chance)
                writing.cancel()
            await members.awake()
            await _caught_up(engine, store)
            members.stop()
        stored = Counter([str(each.stream) async for each in store.read_all()])
        written = await _written(engine)
        assert await SQLCheckpointStore(engine).parked() == ()
    _check_written(written, stored)
    _check_handled(_handled(tmp_path / "handled"), stored)
    assert max(effect.epoch for effect in written) > 1


def _effects(*told: str) -> list[Effect]:
    """Version, partition and epoch of each, all of one stream."""
    return [Effect("house-1", *map(int, each.split())) for each in told]


@pytest.mark.parametrize(
    "written",
    [
        _effects("1 5 1", "3 5 1"),
        _effects("1 5 1", "3 5 1", "2 5 1"),
        _effects("1 5 1", "2 5 1", "2 5 2", "3 5 2"),
        _effects("1 5 2", "2 5 1", "3 5 2"),
        _effects("1 5 1", "2 5 1"),
    ],
    ids=["lost", "out of order", "twice", "by the fenced", "not yet"],
)
def test_what_must_not_be_written_is_found(written: list[Effect]) -> None:
    _check_written(_effects("1 5 1", "2 5 1", "3 5 2"), Counter({"house-1": 3}))
    with pytest.raises(AssertionError):
        _check_written(written, Counter({"house-1": 3}))


@pytest.mark.parametrize(
    "handled",
    [
        _effects("1 5 1", "3 5 2"),
        _effects("1 5 1", "2 5 1"),
        _effects("1 5 2", "2 5 1", "3 5 1"),
        _effects("1 5 1", "2 5 1", "1 5 1", "3 5 1"),
    ],
    ids=["lost", "not yet", "only by the fenced", "out of order in an epoch"],
)
def test_what_must_not_be_handled_is_found(handled: list[Effect]) -> None:
    again = _effects("1 5 1", "2 5 1", "2 5 2", "3 5 1", "3 5 2")
    _check_handled(again, Counter({"house-1": 3}))
    with pytest.raises(AssertionError):
        _check_handled(handled, Counter({"house-1": 3}))


async def _make_trouble(members: Members, chance: random.Random) -> None:
    for _ in range(FAULTS):
        await asyncio.sleep(chance.uniform(0.1, 0.5) * LEASE)
        nth = chance.randrange(MEMBERS)
        if chance.random() < 0.4:
            members.kill(nth)
        else:
            members.pause(nth, chance.uniform(1.2, 1.8) * LEASE)


async def _write(store: EventStore, chance: random.Random) -> None:
    while True:
        stream = StreamId("house", str(chance.randrange(STREAMS)))
        opened = [DoorOpened(number=number) for number in range(chance.randint(1, 4))]
        await store.append(stream, opened)
        await asyncio.sleep(0.03)


async def _caught_up(engine: AsyncEngine, store: EventStore) -> None:
    """Wait until all checkpoints are where the log ends, and the members have equal shares."""
    end, kept = await store.last_position(), SQLCheckpointStore(engine)
    async with asyncio.timeout(120):
        while True:
            found = await kept.partitions("plain") + await kept.partitions("effects")
            if {each.position for each in found} == {end} and _is_fair(found):
                return
            await asyncio.sleep(0.1)


def _is_fair(found: Iterable[Checkpoint]) -> bool:
    shares = Counter((each.subscription, each.owner) for each in found)
    return set(shares.values()) == {PARTITIONS // MEMBERS}


async def _written(engine: AsyncEngine) -> list[Effect]:
    """What the projection wrote, in order; each under the epoch that was stored at that moment."""
    effects = Effects().effects
    async with engine.connect() as connection:
        rows = (await connection.execute(select(effects).order_by(effects.c.number))).all()
    assert [row for row in rows if row.epoch != row.stored_epoch] == []
    return [Effect(row.stream, row.version, row.partition, row.epoch) for row in rows]


def _handled(path: Path) -> list[Effect]:
    """What the handlers did, in order."""
    lines = [note.split() for note in notes_in(path)]
    return [Effect(stream, *map(int, numbers)) for stream, *numbers in lines]


def _check_written(written: list[Effect], stored: Counter[str]) -> None:
    """Each event once, each stream in order, no partition in an epoch that was over."""
    versions: defaultdict[str, list[int]] = defaultdict(list)
    epochs: defaultdict[int, int] = defaultdict(int)
    for effect in written:
        versions[effect.stream].append(effect.version)
        assert effect.epoch >= epochs[effect.partition]
        epochs[effect.partition] = effect.epoch
    assert versions == {stream: list(range(1, count + 1)) for stream, count in stored.items()}


def _check_handled(handled: list[Effect], stored: Counter[str]) -> None:
    """In each stream an event comes after the one before it, or again, and none is left out.

    A system that refuses what comes under an epoch that is over sees each of them too.
    """
    _check_order(handled, stored)
    latest: defaultdict[int, int] = defaultdict(int)
    accepted: list[Effect] = []
    for effect in handled:
        if effect.epoch >= latest[effect.partition]:
            latest[effect.partition] = effect.epoch
            accepted.append(effect)
    _check_order(accepted, stored)


def _check_order(effects: list[Effect], stored: Counter[str]) -> None:
    furthest: Counter[str] = Counter()
    in_epoch: dict[tuple[str, int], int] = {}
    for effect in effects:
        assert effect.version <= furthest[effect.stream] + 1
        furthest[effect.stream] = max(furthest[effect.stream], effect.version)
        before = in_epoch.get((effect.stream, effect.epoch), effect.version - 1)
        assert effect.version <= before + 1
        in_epoch[effect.stream, effect.epoch] = effect.version
    assert furthest == stored


@asynccontextmanager
async def _opened(url: URL) -> AsyncIterator[tuple[AsyncEngine, EventStore]]:
    engine = create_async_engine(url)
    await create_subscription_tables(engine)
    dsn = plain_address(url)
    async with PostgresEventStore(dsn, schema="log", registry=REGISTRY) as store:
        yield engine, store
    await engine.dispose()


@contextmanager
def _serving() -> Iterator["subprocess.Popen[str]"]:
    """The process that forks; its children end with it."""
    path = f"{ENVIRONMENT['PYTHONPATH']}{os.pathsep}{ROOT}"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.subscriptions.members"],
        env=ENVIRONMENT | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        yield server
        _pipe(server.stdin).close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
