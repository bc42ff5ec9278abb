"""`dashtam-events parked`: what subscriptions set aside, to be listed, replayed or dropped."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from dashtam_events.cli.place import Address, address_argument
from dashtam_events.cli.render import console
from dashtam_events.recorded import Position

if TYPE_CHECKING:
    from dashtam_events.subscriptions import ParkedEvent
    from dashtam_events.subscriptions.sql import SQLCheckpointStore

__all__ = ["parked"]

_STYLES = {"failed": "red", "replay": "cyan", "waiting": "dim"}


@click.group()
@address_argument
@click.pass_context
def parked(context: click.Context, address: Address) -> None:
    """See to the events that subscriptions set aside, in a SQLite FILE or the database of a URL."""
    context.obj = address


@parked.command("list")
@click.option("--subscription", metavar="NAME", help="Only those of one subscription.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many."
)
@click.pass_obj
def listed(address: Address, subscription: str | None, limit: int) -> None:
    """List them: where they stand, what they are, and why they are set aside."""

    async def show(kept: "SQLCheckpointStore") -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("subscription", "position", "event", "stream", "state", "tries", "error"):
            table.add_column(column)
        found = await kept.parked(subscription, limit=limit + 1)
        for name, each in found[:limit]:
            table.add_row(*_row(name, each))
        if not found:
            click.echo("nothing is parked")
            return
        console().print(table)
        if len(found) > limit:
            click.echo(f"dashtam-events: more than these {limit}: give a higher --limit", err=True)

    _with(address, show)


@parked.command()
@click.argument("subscription")
@click.argument("positions", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that failed.")
@click.pass_obj
def replay(
    address: Address, subscription: str, positions: tuple[int, ...], *, everything: bool
) -> None:
    """Mark failed events to be tried again: a SUBSCRIPTION that runs takes them up by itself."""
    chosen = _chosen(positions, everything=everything)

    async def mark(kept: "SQLCheckpointStore") -> None:
        marked = await kept.replay(subscription, chosen)
        if not marked:
            raise click.UsageError(f"nothing that failed is {_parked(subscription, chosen)}")
        click.echo(f"{marked} marked to be replayed")

    _with(address, mark)


@parked.command()
@click.argument("subscription")
@click.argument("positions", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All, also those that only wait; for good.")
@click.pass_obj
def drop(
    address: Address, subscription: str, positions: tuple[int, ...], *, everything: bool
) -> None:
    """Forget parked events: the SUBSCRIPTION never deals with them.

    What is dropped does not come again: neither an event, nor the deadline of a process manager,
    which sets no other in its place. To have them dealt with, use replay.
    """
    chosen = _chosen(positions, everything=everything)

    async def forget(kept: "SQLCheckpointStore") -> None:
        dropped = await kept.drop(subscription, chosen)
        if not dropped:
            raise click.UsageError(f"nothing is {_parked(subscription, chosen)}")
        click.echo(f"{dropped} dropped")

    _with(address, forget)


def _chosen(positions: tuple[int, ...], *, everything: bool) -> list[Position] | None:
    if bool(positions) == everything:
        raise click.UsageError("give positions, or --all")
    return None if everything else [Position(each) for each in positions]


def _parked(subscription: str, chosen: list[Position] | None) -> str:
    return f"parked for {subscription!r}" + ("" if chosen is None else " at these positions")


def _with(address: Address, act: Callable[["SQLCheckpointStore"], Awaitable[None]]) -> None:
    # The extra `sqlalchemy` is needed here, and not by the other commands.
    from dashtam_events.subscriptions.sql import SQLCheckpointStore

    async def run() -> None:
        async with SQLCheckpointStore.open(address) as kept:
            await act(kept)

    asyncio.run(run())


def _row(subscription: str, parked: "ParkedEvent") -> tuple[Text, ...]:
    state = parked.state.value
    error = f"{parked.error_type} at {parked.place}" if parked.error_type else ""
    return (
        _printable(subscription),
        Text(str(parked.position)),
        _printable(parked.event_type, "bold"),
        _printable(f"{parked.stream} v{parked.version}", "dim"),
        Text(state, style=_STYLES[state]),
        Text(str(parked.attempts)),
        _printable(error),
    )


def _printable(text: str, style: str = "") -> Text:
    """Text that came from outside, without what would speak to the terminal."""
    return Text("".join(c if c.isprintable() else "\ufffd" for c in text), style=style)
