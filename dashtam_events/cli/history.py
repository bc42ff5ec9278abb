"""`dashtam-events log` and `dashtam-events stream`: what a store holds."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import attrs
import click
from rich.console import Console

from dashtam_events.cli.place import Address, Place, address_argument, schema_option
from dashtam_events.cli.registries import check_category, registry_option
from dashtam_events.cli.render import as_json, console, entry, line
from dashtam_events.connection import ProviderConnection
from dashtam_events.event import spec_of
from dashtam_events.recorded import Position, RecordedEvent, StreamId
from dashtam_events.registry import EventRegistry
from dashtam_events.store.protocol import EventStore
from dashtam_events.subscriptions import follow

__all__ = ["log", "stream"]

_as_json = click.option("--json", "json", is_flag=True, help="One JSON object per line.")
_show_personal = click.option(
    "--show-personal", is_flag=True, help="Show personal fields; they are masked otherwise."
)


def _stream_id(text: str) -> StreamId:
    try:
        return StreamId.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _user_id(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """A user as a store knows them: a UUID in its one canonical form, anything else as it is."""
    try:
        return text and str(UUID(text))
    except ValueError:
        return text


@attrs.frozen(kw_only=True)
class _Query:
    """What of the log is wanted, and how it is shown."""

    stream: StreamId | None
    types: tuple[str, ...]
    categories: tuple[str, ...]
    user: str | None
    after: int | None
    limit: int | None
    follow: bool
    json: bool
    show_personal: bool
    registry: EventRegistry


@click.command()
@address_argument
@schema_option
@click.option("--stream", type=_stream_id, metavar="S", help="Only this stream (category-id).")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="T",
    help="Only events of this name; may be given several times.",
)
@click.option(
    "--category",
    "categories",
    multiple=True,
    metavar="C",
    help="Only this category; may be given several times.",
)
@click.option("--user", metavar="ID", callback=_user_id, help="Only events about this user.")
@click.option("--after", type=click.IntRange(min=0), metavar="N", help="Only after position N.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N events.")
@click.option("--follow", "-f", is_flag=True, help="Go on as events are appended; Ctrl-C ends.")
@registry_option
@_as_json
@_show_personal
def log(address: Address, schema: str, **options: object) -> None:
    """Print the events of the store in a SQLite FILE or a PostgreSQL URL, in commit order.

    Each has its position, time, stream, version, name and fields. All the filters must hold.
    """
    query = _Query(**options)  # type: ignore[arg-type]  # named as the options are
    check_category(query.registry, query.categories)
    asyncio.run(_print_log(Place(address, schema), query))


async def _print_log(place: Place, query: _Query) -> None:
    out, shown = console(), 0
    async with place.store(query.registry) as store:
        async for recorded in _events(store, query):
            if query.stream not in (None, recorded.stream):
                continue
            _print(out, recorded, json=query.json, personal=query.show_personal)
            shown += 1
            if shown == query.limit:
                return
    if not shown:
        click.echo(f"dashtam-events: {_hint(query)}", err=True)


def _hint(query: _Query) -> str:
    """Why there may be nothing to show."""
    known = {spec_of(cls).name for cls in query.registry}
    if unknown := [name for name in query.types if name not in known]:
        return f"nothing found; no event that is known here is called {', '.join(unknown)}"
    if query.user is not None:
        return "nothing found; --user is the id of whom an event is about, written in full"
    return "nothing found"


def _events(store: EventStore, query: _Query) -> AsyncIterator[RecordedEvent]:
    wanted: dict[str, Any] = {
        "after": None if query.after is None else Position(query.after),
        "types": query.types or None,
        "categories": query.categories or None,
        "subject": query.user,
    }
    return follow(store, **wanted) if query.follow else store.read_all(**wanted)


@click.command()
@address_argument
@click.argument("name", metavar="STREAM", type=_stream_id)
@schema_option
@registry_option
@_as_json
@_show_personal
def stream(
    address: Address,
    name: StreamId,
    schema: str,
    *,
    registry: EventRegistry,
    json: bool,
    show_personal: bool,
) -> None:
    """Print one STREAM (category-id) of the store in a SQLite FILE or a PostgreSQL URL.

    For a provider connection, each event is followed by the state that it led to.
    """
    history = asyncio.run(_read(Place(address, schema), name, registry))
    if not history:
        raise click.UsageError(f"the store has no stream {name}")
    out = console()
    for recorded, state in zip(history, _states(name, history), strict=True):
        _print(out, recorded, json=json, personal=show_personal, state=state)


def _print(
    out: Console, recorded: RecordedEvent, *, json: bool, personal: bool, state: str | None = None
) -> None:
    if json:
        click.echo(as_json(recorded, personal=personal, state=state))
    elif out.is_terminal:
        out.print(entry(recorded, personal=personal, state=state))
    else:
        out.print(line(recorded, personal=personal, state=state), soft_wrap=True)


async def _read(place: Place, name: StreamId, registry: EventRegistry) -> list[RecordedEvent]:
    async with place.store(registry) as store:
        return [recorded async for recorded in store.read_stream(name)]


def _states(name: StreamId, history: list[RecordedEvent]) -> Iterator[str | None]:
    """The state after each event, where the stream is one of a provider connection."""
    connection = _connection(name)
    for recorded in history:
        if connection is not None:
            connection.advance(recorded)
        yield None if connection is None else connection.status.value


def _connection(name: StreamId) -> ProviderConnection | None:
    """A connection without a past, where a stream can be one's."""
    try:
        connection = ProviderConnection.blank(UUID(name.id))
    except ValueError:
        return None
    return connection if connection.stream == name else None
