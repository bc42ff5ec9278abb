"""`dashtam-events catalogue`: the events that are known, as a table or as JSON."""

import json
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from dashtam_events.catalogue.export import describe
from dashtam_events.cli.handlers import handlers_table, listening
from dashtam_events.cli.registries import check_category, registry_option
from dashtam_events.cli.render import console, styled_phase
from dashtam_events.registry import EventRegistry

__all__ = ["catalogue"]

_WIDE = 140


@click.command()
@click.argument("word", required=False)
@click.option("--category", metavar="C", help="Only this category.")
@click.option("--workflow", metavar="W", help="Only this workflow.")
@registry_option
@click.option("--handlers", is_flag=True, help="Who hears of each event, by its declaration.")
@click.option("--json", "as_json", is_flag=True, help="Everything that is declared, as JSON.")
def catalogue(
    word: str | None,
    category: str | None,
    workflow: str | None,
    *,
    registry: EventRegistry,
    handlers: bool,
    as_json: bool,
) -> None:
    """List the events of the catalogue.

    WORD keeps those with it in their name, their fields or what they ask of the adapters.
    """
    check_category(registry, () if category is None else (category,))
    chosen = {
        name: about
        for name, about in describe(registry).items()
        if category in (None, about["category"])
        and workflow in (None, about["workflow"])
        and _mentions(word, name, about)
    }
    if as_json:
        told = {name: listening(about) for name, about in chosen.items()} if handlers else chosen
        click.echo(json.dumps(told, indent=2))
        return
    if not chosen:
        raise click.UsageError("no event of the catalogue is like that")
    out = console()
    table = handlers_table if handlers else _table
    out.print(table(chosen, wide=out.width >= _WIDE))
    out.print(_tally(chosen), style="dim")


def _mentions(word: str | None, name: str, about: dict[str, Any]) -> bool:
    fields = [field["name"] for field in about["fields"]]
    asked = [about["category"], about["workflow"], (about["sse"] or {}).get("type")]
    audit = (about["audit"] or {}).get("action")
    texts = [name, *fields, *asked, audit]
    return word is None or any(word.lower() in text.lower() for text in texts if text)


def _table(events: dict[str, dict[str, Any]], *, wide: bool) -> Table:
    """One row for each event; the workflow, which most names tell, only where there is room."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("event", no_wrap=True)
    for column in ("category", "phase", "asks for", "live as", *(["workflow"] if wide else [])):
        table.add_column(column, overflow="fold")
    for name, about in events.items():
        table.add_row(
            Text(name, style="bold"),
            about["category"] or "",
            styled_phase(about["phase"]),
            ", ".join(asked for asked in ("audit", "email") if about[asked]),
            (about["sse"] or {}).get("type", ""),
            *([about["workflow"] or ""] if wide else []),
        )
    return table


def _tally(events: dict[str, dict[str, Any]]) -> str:
    asked = {key: sum(bool(about[key]) for about in events.values()) for key in ("audit", "email")}
    live = sum(bool(about["sse"]) for about in events.values())
    return f"{len(events)} events: {asked['audit']} audited, {asked['email']} e-mailed, {live} live"
