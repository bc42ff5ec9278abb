"""Processes that the tests of the SQLite store start, and some that they kill."""

import asyncio
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from uuid import UUID

from dashtam_events.errors import DashtamEventsError, StoreUnavailable
from dashtam_events.recorded import StreamId
from dashtam_events.store import SQLiteEventStore
from dashtam_events.testing._store_samples import (
    CONTRACT_EVENTS,
    KeyHandedOver,
    a_stream,
    lit,
    log_of,
)

NOBODY = 65534


def _store(path: Path | str, **options: object) -> SQLiteEventStore:
    return SQLiteEventStore(path, registry=CONTRACT_EVENTS, **options)  # type: ignore[arg-type]  # the tests' own options


async def write_beside_others(path: str, name: str, times: int) -> None:
    """Append to a stream of its own and to one that all processes share."""
    async with _store(path, busy_timeout=30) as store:
        for _ in range(times):
            await store.append(StreamId("own", name), lit(2))
            await store.append(StreamId("shared", "all"), lit(3))


async def fill_the_disk(directory: str, step: int, count: int) -> None:
    """Append under a limit on the size of files, for many limits; says what was seen."""
    seen = {"refused": 0, "opened": 0, "acknowledged": 0, "after": 0}
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for number in range(count):
        path = Path(directory, f"{number}.db")
        resource.setrlimit(resource.RLIMIT_FSIZE, (number * step, hard))
        acknowledged: list[UUID] = []
        try:
            async with _store(path) as store:
                seen["opened"] += 1
                await _append_until_refused(store, acknowledged)
                seen["refused"] += 1
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
                await _append(store, acknowledged)
                seen["after"] += 1
        except StoreUnavailable:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        async with _store(path) as store:
            stored = {recorded.event.event_id for recorded in await log_of(store)}
        assert stored.issuperset(acknowledged)
        seen["acknowledged"] += len(acknowledged)
    print(json.dumps(seen))


async def _append_until_refused(store: SQLiteEventStore, acknowledged: list[UUID]) -> None:
    try:
        while True:
            await _append(store, acknowledged)
    except StoreUnavailable:
        return


async def _append(store: SQLiteEventStore, acknowledged: list[UUID]) -> None:
    events = [KeyHandedOver(door="x" * 1500) for _ in range(2)]
    await store.append(a_stream(), events)
    acknowledged += [event.event_id for event in events]


def try_without_rights() -> None:
    """Open what may not be written, as somebody who is not root; says why it is refused."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        directory.chmod(0o755)
        file, locked, closed = (directory / name for name in ("read.db", "locked", "closed"))
        asyncio.run(_make(file))
        for made, mode in ((file, 0o444), (locked, 0o555), (closed, 0o000)):
            made.mkdir(exist_ok=True) if made != file else None
            made.chmod(mode)
        pid = os.fork()
        if pid == 0:
            if os.geteuid() == 0:
                os.setuid(NOBODY)
            for path in (file, locked / "events.db", closed / "events.db"):
                asyncio.run(_say_refusal(path))
            asyncio.run(_look(file))
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(pid, 0)
        closed.chmod(0o755)


async def _make(path: Path) -> None:
    async with _store(path) as store:
        await store.append(a_stream(), lit())


async def _say_refusal(path: Path) -> None:
    try:
        async with _store(path):
            print("opened")
    except DashtamEventsError as error:
        print(getattr(error, "reason", error))


async def _look(path: Path) -> None:
    async with _store(path, read_only=True) as store:
        print(len(await log_of(store)), "read")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", path, name, times]:
            asyncio.run(write_beside_others(path, name, int(times)))
        case ["fill", directory, step, count]:
            asyncio.run(fill_the_disk(directory, int(step), int(count)))
        case ["without-rights"]:
            try_without_rights()
        case unknown:
            raise SystemExit(f"no such child: {unknown}")
