"""`dashtam-events copy`: moves a store to another engine, or compares two."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import perf_counter

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dashtam_events.cli.place import Address, Place, address
from dashtam_events.cli.render import console
from dashtam_events.store._transfer import Copied, Fingerprint, RawStore, fingerprint
from dashtam_events.store._transfer import copy as copy_store

__all__ = ["copy"]

_DIFFERENT = 1

Told = Callable[[int], None]


@click.command()
@click.argument("source", callback=address)
@click.argument("target", callback=address)
@click.option("--source-schema", default="events", show_default=True, help="In PostgreSQL.")
@click.option("--target-schema", default="events", show_default=True, help="In PostgreSQL.")
@click.option("--verify-only", is_flag=True, help="Copy nothing: compare what both hold.")
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="How many events are in memory, and in a transaction.",
)
@click.pass_context
def copy(
    context: click.Context,
    source: Address,
    target: Address,
    source_schema: str,
    target_schema: str,
    *,
    verify_only: bool,
    batch_size: int,
) -> None:
    """Copy the event store SOURCE to TARGET, each sqlite:///FILE or postgresql://...

    Everything stays as it is and where it is: ids, streams, versions, positions, times, metadata
    and data, byte for byte, and the attachments. TARGET must be empty, or hold an earlier copy:
    run it again to go on after an interruption, or to catch up with a SOURCE that is in use.
    In the end both are compared by count and hash; a difference is exit code 1.
    """
    here, there = Place(source, source_schema), Place(target, target_schema)
    if here == there:
        raise click.UsageError("source and target are the same store")
    work = _verify if verify_only else _copy
    try:
        equal = asyncio.run(work(here, there, batch_size))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    context.exit(0 if equal else _DIFFERENT)


async def _copy(here: Place, there: Place, batch_size: int) -> bool:
    out = console()
    async with (
        here.tables(writable=False, batch_size=batch_size) as source,
        there.tables(writable=True, batch_size=batch_size) as target,
    ):
        out.print(f"from {source.shown}", markup=False)
        out.print(f"to   {target.shown}", markup=False)
        began = perf_counter()
        with _progress(out, "copying", await _count(source)) as told:
            copied = await copy_store(source, target, told)
        _report(out, copied, perf_counter() - began)
    return _compare(out, copied.source, copied.target)


def _report(out: Console, copied: Copied, seconds: float) -> None:
    if copied.began_after:
        out.print(f"went on after position {copied.began_after:,}")
    events, attachments = copied.source.events, copied.source.attachments
    out.print(
        f"{events:,} events up to position {copied.reached:,}, and {attachments:,} attachments, "
        f"in {seconds:.1f} s"
    )
    out.print("what the source takes in after that is not in the copy: run it again to catch up")


async def _verify(here: Place, there: Place, batch_size: int) -> bool:
    out = console()
    async with (
        here.tables(writable=False, batch_size=batch_size) as source,
        there.tables(writable=False, batch_size=batch_size) as target,
    ):
        held: list[Fingerprint] = []
        for store in (source, target):
            with _progress(out, "reading", await _count(store)) as told:
                held.append(await fingerprint(store, told))
    return _compare(out, *held)


async def _count(store: RawStore) -> int:
    async with store.snapshot() as snapshot:
        return await snapshot.count()


def _compare(out: Console, source: Fingerprint, target: Fingerprint) -> bool:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "events", "attachments"):
        table.add_column(column, no_wrap=True)
    table.add_column("sha256", overflow="fold")
    for name, held in (("source", source), ("target", target)):
        table.add_row(name, f"{held.events:,}", f"{held.attachments:,}", held.sha256)
    out.print(table)
    equal = source == target
    out.print("[green]equal[/]" if equal else "[red]different[/]: the target is no copy")
    return equal


@contextmanager
def _progress(out: Console, what: str, total: int) -> Generator[Told, None, None]:
    """A bar on a terminal, nothing in a pipe."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda events: progress.advance(task, events)
