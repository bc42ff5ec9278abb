"""`dashtam-events demo`: a connection's life and an import, on a real file, told as they happen."""

import asyncio
import os
import shlex
import sys
import tempfile
from pathlib import Path
from shutil import which

import click
from rich.text import Text

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.cli.performance import Performance, Promise, look_back
from dashtam_events.cli.render import console
from dashtam_events.cli.stage import Stage
from dashtam_events.cli.story import DEMO_USER
from dashtam_events.cli.upkeep import Upkeep
from dashtam_events.recorded import RecordedEvent, StreamId
from dashtam_events.store.sqlite import SQLiteEventStore

__all__ = ["demo"]

_STATEMENT = Path(__file__).parent / "statements" / "checking.ofx"
_OPENING = (
    "A fact has one way: it is decided, appended to a file, and only then heard of.\n"
    "decide: a command, which may be refused    append: stored, for good\n"
    "log, live: a log line and a browser's event stream    state: what is so now"
)


@click.command()
@click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep the events in this file; by default in a new temporary one.",
)
@click.option(
    "--statement",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=_STATEMENT,
    metavar="FILE.ofx",
    help="Import this statement; by default one that comes with the library.",
)
@click.option("--plain", is_flag=True, help="Lines without colour, frames or pauses.")
@click.option(
    "--pause",
    type=click.FloatRange(0, 60),
    default=0.3,
    show_default=True,
    metavar="SECONDS",
    help="How long to rest on every row, on a terminal.",
)
@click.option("--web", is_flag=True, help="Serve a page to do it by hand, and watch it live.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    metavar="N",
    help="Where the page is, on this machine; 0 takes any free port.",
)
def demo(
    db: Path | None, statement: Path, *, plain: bool, pause: float, web: bool, port: int
) -> None:
    """Watch a provider connection live through its life.

    Every fact is decided, appended to a SQLite file, and only then heard of; at the end the
    connection is rebuilt from the file. The exit code is 0 only if all of it was as promised.
    """
    named = db or Path(tempfile.mkdtemp(prefix="dashtam-events-")) / "events.db"
    # Not Path.resolve, which raises where links lead to one another.
    path = Path(os.path.realpath(named))
    if web:
        from dashtam_events.cli.web import serve

        serve(path, port=port, pause=pause)
        return
    out = console(plain=plain)
    stage = Stage(out, plain or not out.is_terminal, pause)
    if not asyncio.run(_perform(stage, path, statement)):
        sys.exit(1)


async def _perform(stage: Stage, path: Path, statement: Path) -> bool:
    """Play all of it; whether every promise was kept."""
    async with SQLiteEventStore(path, registry=CATALOGUE) as store:
        stage.say(Text(f"{_OPENING}\nThe file: {path}", style="dim"))
        performance = Performance(store, stage)
        connection = await performance.live_a_connection(DEMO_USER)
        imported = await performance.import_a_statement(statement, DEMO_USER)
    kept_up = Promise(
        "a silent connection was given up, and a token refreshed in time",
        await Upkeep(stage).keep(DEMO_USER),
    )
    found = await look_back(stage, path, connection, performance.appended)
    promises = [*performance.promises, kept_up, *found]
    _close(stage, promises)
    _point_on(stage, path, performance.appended, (connection.stream, imported))
    return all(promise.kept for promise in promises)


def _close(stage: Stage, promises: list[Promise]) -> None:
    stage.say("\nWhat you saw, compared with what is stored:")
    for promise in promises:
        verdict = ("  ok      ", "bold green") if promise.kept else ("  BROKEN  ", "bold red")
        stage.say(Text.assemble(verdict, promise.text))


def _point_on(
    stage: Stage, path: Path, appended: list[RecordedEvent], streams: tuple[StreamId, StreamId]
) -> None:
    """Say what was written where, and what to type next."""
    file = shlex.quote(str(path))
    stage.say(f"\nWritten to {path}: {len(appended)} events in 2 streams.")
    for stream in streams:
        count = sum(recorded.stream == stream for recorded in appended)
        stage.say(f"  {stream}  {count} events")
    stage.say("\nTry next:")
    for arguments in (
        f"log {file}",
        f"stream {file} {streams[0]}",
        f"log {file} --category data_sync --json",
        "catalogue provider",
        f"log {file} --follow",
    ):
        stage.say(f"  {_typed()} {arguments}")
    stage.say(f"and, in another terminal, meanwhile:\n  {_typed()} demo --db {file}")


def _typed() -> str:
    """The command as the person typed it: by its path, where the shell would not find it."""
    name = "dashtam-events"
    typed = sys.argv[0]
    return shlex.quote(typed) if Path(typed).name == name and which(name) is None else name
