"""A runner is killed again and again: each reaction is decided once, each command executed."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import create_async_engine

from dashtam_events.bus.session import real_savepoints
from dashtam_events.event import DomainEvent
from dashtam_events.processes import (
    CommandExecuted,
    CommandIssued,
    DeadlineReached,
    ProcessReacted,
    ProcessRunner,
)
from dashtam_events.store import EventStore, SQLiteEventStore
from dashtam_events.subscriptions.sql import SQLCheckpointStore, create_subscription_tables
from tests import counts
from tests.notes import notes_in
from tests.processes.orders import NOON, REGISTRY, Hands, OrderPaid, OrderPlaced, Watch, happen
from tests.store.starting import ENVIRONMENT

KILLS, ORDERS_PER_KILL = counts.of(short=8, full=60), 6
MOST = ORDERS_PER_KILL // 2
ROOT = Path(__file__).resolve().parents[2]


@counts.counted
async def test_a_killed_runner_decides_once_and_executes_all(tmp_path: Path) -> None:
    chance = random.Random(4)
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}{os.pathsep}{ROOT}"}
    child = [sys.executable, str(Path(__file__).with_name("children.py"))]
    engine = real_savepoints(create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'progress.db'}"))
    await create_subscription_tables(engine)
    async with SQLiteEventStore(tmp_path / "events.db", registry=REGISTRY) as store:
        with subprocess.Popen(  # noqa: ASYNC220  # it is waited for line by line
            child, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            for _ in range(KILLS):
                await _order(store)
                _run_and_die(server, tmp_path, chance)
            _pipe(server.stdin).close()
        hands, kept = Hands(), SQLCheckpointStore(engine)
        await ProcessRunner(Watch, store, hands, checkpoints=kept).run_once()
        assert await kept.parked() == ()
        written = [each.event async for each in store.read_all() if each.stream.category == "watch"]
    await engine.dispose()
    executed = [UUID(note) for note in notes_in(tmp_path / "executed")]
    _check(written, executed, [issued.id for issued in hands.done])


async def _order(store: EventStore) -> None:
    """Half of the orders are paid, the others are overdue already."""
    for number in range(ORDERS_PER_KILL):
        placed = OrderPlaced(order=uuid4(), occurred_at=NOON)
        await happen(store, placed)
        if number % 2:
            await happen(store, OrderPaid(order=placed.order or uuid4()))


def _check(written: list[DomainEvent], executed: list[UUID], at_last: list[UUID]) -> None:
    issued = [each.command_id for each in written if isinstance(each, CommandIssued)]
    noted = [each.command_id for each in written if isinstance(each, CommandExecuted)]
    assert len(issued) == KILLS * ORDERS_PER_KILL // 2 * 3
    assert sorted(noted) == sorted(issued)
    assert {*executed, *at_last} == set(issued)
    # At each kill, one command may have been executed and not been noted.
    assert len(executed) + len(at_last) - len(issued) <= KILLS
    assert len(executed) >= KILLS
    reached = [each for each in written if isinstance(each, DeadlineReached)]
    assert len(reached) == KILLS * ORDERS_PER_KILL // 2
    causes = Counter(each.cause for each in written if isinstance(each, ProcessReacted))
    assert set(causes.values()) == {1}
    assert len(causes) == KILLS * ORDERS_PER_KILL * 2


def _run_and_die(server: "subprocess.Popen[str]", place: Path, chance: random.Random) -> None:
    moment = chance.choice(["before", "after", str(chance.randint(0, 20))])
    _pipe(server.stdin).write(f"{place} {chance.randint(1, MOST)} {moment}\n")
    _pipe(server.stdin).flush()
    assert _pipe(server.stdout).readline() == f"{-signal.SIGKILL}\n"


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
