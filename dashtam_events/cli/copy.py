"""`dashtam-events copy`: moves a store to another engine, or compares two."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from time import perf_counter
from urllib.parse import unquote

import attrs
import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dashtam_events.cli.render import console
from dashtam_events.store._address import check_address
from dashtam_events.store._transfer import Copied, Fingerprint, RawStore, fingerprint
from dashtam_events.store._transfer import copy as copy_store

__all__ = ["copy"]

_DIFFERENT = 1
_KINDS = "write sqlite:///FILE or postgresql://USER@HOST/DATABASE"

Told = Callable[[int], None]


@attrs.frozen(kw_only=True, repr=False)
class _Place:
    """Where a store is: a file, or an address of PostgreSQL and a schema in it."""

    address: str | Path
    schema: str
    batch_size: int

    def open(self, *, writable: bool) -> AbstractAsyncContextManager[RawStore]:
        if isinstance(self.address, Path):
            from dashtam_events.store.sqlite._transfer import open_raw as open_file

            return open_file(self.address, writable=writable, batch_size=self.batch_size)
        # The extra `postgres` is needed here, and not for files.
        from dashtam_events.store.postgres._transfer import open_raw as open_schema

        return open_schema(
            self.address, schema=self.schema, writable=writable, batch_size=self.batch_size
        )


def _address(_context: click.Context, _parameter: click.Parameter, text: str) -> str | Path:
    """A file, or an address of PostgreSQL; what is none may hold a password, and is not shown."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return Path(text)
    kind = scheme.partition("+")[0]
    if kind == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return Path(unquote(rest[1:]))
    if kind not in ("postgres", "postgresql"):
        raise click.BadParameter(_KINDS)
    try:
        check_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return text


@click.command()
@click.argument("source", callback=_address)
@click.argument("target", callback=_address)
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
    source: str | Path,
    target: str | Path,
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
    here = _Place(address=source, schema=source_schema, batch_size=batch_size)
    there = _Place(address=target, schema=target_schema, batch_size=batch_size)
    if (here.address, here.schema) == (there.address, there.schema):
        raise click.UsageError("source and target are the same store")
    try:
        equal = asyncio.run(_verify(here, there) if verify_only else _copy(here, there))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    context.exit(0 if equal else _DIFFERENT)


async def _copy(here: _Place, there: _Place) -> bool:
    out = console()
    async with here.open(writable=False) as source, there.open(writable=True) as target:
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


async def _verify(here: _Place, there: _Place) -> bool:
    out = console()
    async with here.open(writable=False) as source, there.open(writable=False) as target:
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
    for column in ("", "events", "attachments", "sha256"):
        table.add_column(column, no_wrap=True, overflow="fold")
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
