"""Which adapters hear of an event by its declaration, for `dashtam-events catalogue --handlers`."""

from typing import Any

from rich.table import Table
from rich.text import Text

__all__ = ["handlers_table", "listening"]

_LEVELS = {"debug": "dim", "warning": "yellow", "error": "red"}


def listening(about: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What each adapter that hears of an event is told by its declaration, by adapter.

    Args:
        about: the event, as `describe` tells of it.
    """
    told = {
        "logging": {"level": about["log_level"]},
        "audit": about["audit"],
        "email": about["email"],
        "sse": about["sse"],
        "sessions": {"end": True} if about["ends_sessions"] else None,
    }
    return {adapter: says for adapter, says in told.items() if says is not None}


def handlers_table(events: dict[str, dict[str, Any]], *, wide: bool) -> Table:
    """One row for each event, one column for each adapter; empty where it does not listen.

    Only where there is room, the action of the audit and the condition of a mail are spelled out.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("event", no_wrap=True)
    for adapter in ("logging", "audit", "email", "sse", "sessions"):
        table.add_column(adapter, overflow="fold")
    for name, about in events.items():
        told = listening(about)
        level = told["logging"]["level"]
        table.add_row(
            Text(name, style="bold"),
            Text(level, style=_LEVELS.get(level, "")),
            _record(told.get("audit"), wide=wide),
            _mail(told.get("email"), wide=wide),
            told.get("sse", {}).get("type", ""),
            "end" if "sessions" in told else "",
        )
    return table


def _record(audit: dict[str, Any] | None, *, wide: bool) -> str:
    if audit is None:
        return ""
    return str(audit["action"]) if wide else "yes"


def _mail(email: dict[str, Any] | None, *, wide: bool) -> str:
    if email is None:
        return ""
    if email["when"] is None:
        return "always"
    return f"when {email['when']}" if wide else "at times"
