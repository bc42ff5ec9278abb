"""How recorded events look: in colour on a terminal, one plain line each in a pipe, or as JSON."""

import json
from collections.abc import Mapping
from typing import Any

import attrs
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from dashtam_events.declaration import Phase
from dashtam_events.event import DomainEvent, spec_of
from dashtam_events.privacy import redact
from dashtam_events.recorded import RecordedEvent, UnknownEvent

__all__ = ["as_json", "console", "entry", "fields_of", "line", "name_of", "named", "styled_phase"]

_STYLES = {
    Phase.ATTEMPTED: "cyan",
    Phase.SUCCEEDED: "green",
    Phase.ALLOWED: "green",
    Phase.FAILED: "red",
    Phase.DENIED: "red",
    Phase.OPERATIONAL: "blue",
}
_AROUND = ("event_id", "occurred_at")
_PIPE_WIDTH = 4096


def console(*, plain: bool = False) -> Console:
    """Where to print: as wide as the terminal, or, in a pipe or `plain`, never wrapped."""
    out = Console(highlight=False)
    if out.is_terminal and not plain:
        return out
    return Console(
        highlight=False, width=_PIPE_WIDTH, color_system=None, force_terminal=False, emoji=False
    )


def name_of(event: DomainEvent) -> str:
    """The stored name of an event, known here or not."""
    return event.name if isinstance(event, UnknownEvent) else spec_of(type(event)).name


def styled_phase(phase: str | None) -> Text:
    """A phase in its colour."""
    return Text(phase or "", style=_STYLES[Phase(phase)] if phase else "")


def named(event: DomainEvent, *, width: int = 0) -> Text:
    """The name of an event in the colour of its phase, filled up to a width."""
    if isinstance(event, UnknownEvent):
        return Text(f"{event.name:<{width}}", style="bold magenta")
    spec = spec_of(type(event))
    style = _STYLES[spec.phase] if spec.phase else ""
    return Text(f"{spec.name:<{width}}", style=f"bold {style}")


def _shown(value: Any, *, personal: bool = False) -> dict[str, Any]:
    """The fields of an event or of metadata: personal ones masked unless asked for, no secrets."""
    masked = redact(value)
    if not personal:
        return masked
    return {name: getattr(value, name) for name in masked}


def fields_of(event: DomainEvent, *, personal: bool = False) -> dict[str, Any]:
    """What is shown of an event's own fields; of an unknown one, how large it is."""
    if isinstance(event, UnknownEvent):
        return {"unknown": f"{len(event.data)} bytes of version {event.schema_version}"}
    fields = _shown(event, personal=personal)
    return {name: value for name, value in fields.items() if name not in _AROUND}


def line(recorded: RecordedEvent, *, personal: bool = False, state: str | None = None) -> Text:
    """One recorded event as one line of text."""
    about = (f"{recorded.event.occurred_at:%Y-%m-%d %H:%M:%S}  {recorded.stream}  ", "dim")
    head = _head(recorded, about, state)
    return head.append(_facts(recorded.event, personal=personal), style="dim")


def entry(
    recorded: RecordedEvent, *, personal: bool = False, state: str | None = None
) -> RenderableType:
    """One recorded event as a terminal shows it: what happened, and under it the details.

    Of a stream's own history, each with its `state`, the stream is not named again.
    """
    head = _head(recorded, (f"{recorded.event.occurred_at:%Y-%m-%d %H:%M:%S}  ", "dim"), state)
    stream = f"{recorded.stream}  " if state is None else ""
    details = Text(stream + _facts(recorded.event, personal=personal), style="dim")
    return Group(head, Padding(details, (0, 0, 0, 8)))


def _head(recorded: RecordedEvent, about: tuple[str, str], state: str | None) -> Text:
    after = [("-> ", "dim"), (f"{state.upper():<13}", "bold")] if state else []
    return Text.assemble(
        (f"{recorded.position:>6}  ", "dim"),
        about,
        (f"v{recorded.version:<3} ", "dim"),
        named(recorded.event, width=31),
        " ",
        *after,
    )


def _facts(event: DomainEvent, *, personal: bool) -> str:
    fields = fields_of(event, personal=personal)
    return " ".join(f"{name}={_text(value)}" for name, value in fields.items() if value is not None)


def as_json(recorded: RecordedEvent, *, personal: bool = False, state: str | None = None) -> str:
    """One recorded event as one line of JSON."""
    event = recorded.event
    told = {
        "position": recorded.position,
        "stream": str(recorded.stream),
        "version": recorded.version,
        "recorded_at": recorded.recorded_at,
        "type": name_of(event),
        "event_id": event.event_id,
        "occurred_at": event.occurred_at,
        "data": fields_of(event, personal=personal),
        "metadata": _shown(recorded.metadata, personal=personal),
    }
    return json.dumps(told if state is None else told | {"state": state}, default=_plain)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=_plain).strip('"')
    return json.dumps(text) if " " in text or not text.isprintable() or not text else text


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if attrs.has(type(value)):
        return redact(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
