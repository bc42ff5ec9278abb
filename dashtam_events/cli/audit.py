"""`dashtam-events audit`: what the audit trail of a database holds, on a terminal or as a file."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from dashtam_events.cli.place import Address, address_argument
from dashtam_events.cli.render import console

if TYPE_CHECKING:
    from dashtam_events.adapters.audit import AuditLog, AuditRecord

__all__ = ["audit"]

_STYLES = {"success": "green", "allowed": "green", "failure": "red", "denied": "red"}


def _time(text: str) -> datetime:
    """A day or an instant of ISO 8601, in UTC where it names no zone."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            "write a time like 2026-01-31 or 2026-01-31T12:00:00+00:00"
        ) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


@click.command()
@address_argument
@click.option("--user", "user_id", metavar="ID", help="Only what this user did, or was done to.")
@click.option("--resource", metavar="TYPE[:ID]", help="Only on this kind of thing, or this one.")
@click.option("--action", metavar="A", help="Only this action, such as USER_LOGIN_SUCCESS.")
@click.option("--since", type=_time, metavar="T", help="Only what happened at T or later.")
@click.option("--until", type=_time, metavar="T", help="Only what happened before T.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N records.")
@click.option("--oldest-first", is_flag=True, help="In the order of recording; else backwards.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a header.")
def audit(
    address: Address,
    resource: str | None,
    *,
    oldest_first: bool,
    as_json: bool,
    as_csv: bool,
    **options: Any,
) -> None:
    """Print the audit trail that a SQLite FILE or the database of a URL holds.

    The last 50 records, unless --limit says otherwise or they are exported with --json or --csv.
    """
    if as_json and as_csv:
        raise click.UsageError("choose one of --json and --csv")
    kind, _colon, resource_id = (resource or "").partition(":")
    options |= {"resource_type": kind or None, "resource_id": resource_id or None}
    options["newest_first"] = not oldest_first
    asyncio.run(_print(address, options, as_json=as_json, as_csv=as_csv))


async def _print(address: Address, options: dict[str, Any], *, as_json: bool, as_csv: bool) -> None:
    # The extra `audit` is needed here, and not by the other commands.
    from dashtam_events.adapters.audit import AuditLog

    async with AuditLog.open(address) as log:
        if not as_json and not as_csv:
            await _show(log, options)
            return
        async for line in log.export_csv(**options) if as_csv else log.export_jsonl(**options):
            click.echo(line, nl=False)


async def _show(log: "AuditLog", options: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("when", "who", "action", "outcome", "on", "from"):
        table.add_column(column, no_wrap=column == "when")
    options["limit"] = options["limit"] or 50
    async for record in log.records(**options):
        table.add_row(*_row(record))
    if not table.row_count:
        raise click.UsageError("no record is like that")
    console().print(table)


def _row(record: "AuditRecord") -> tuple[Text, ...]:
    return (
        Text(f"{record.occurred_at:%Y-%m-%d %H:%M:%S}", style="dim"),
        _printable(record.actor),
        _printable(record.action, "bold"),
        _printable(record.outcome, _STYLES.get(record.outcome, "")),
        _printable(f"{record.resource_type} {record.resource_id}"),
        _printable(record.ip_address, "dim"),
    )


def _printable(text: str, style: str = "") -> Text:
    """Text that came from outside, without what would speak to the terminal."""
    return Text("".join(c if c.isprintable() else "\ufffd" for c in text), style=style)
