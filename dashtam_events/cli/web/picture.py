"""The life of a connection as an SVG, drawn from the table of its transitions."""

from collections.abc import Mapping
from html import escape

import attrs

from dashtam_events._frozen import FrozenDict
from dashtam_events.cli.web.commands import COMMANDS
from dashtam_events.connection import ConnectionStatus
from dashtam_events.connection._machine import TRANSITIONS

__all__ = ["TALL", "WIDE", "svg"]

_GAP = 3
_LOOP = 62


@attrs.frozen
class _Layout:
    """Where the middle of each state stands on a canvas, and half the size of their boxes."""

    name: str
    size: tuple[int, int]
    half: tuple[int, int]
    places: Mapping[ConnectionStatus, tuple[int, int]]
    bend: float


WIDE = _Layout(
    "wide",
    (520, 344),
    (64, 20),
    FrozenDict(
        {
            ConnectionStatus.PENDING: (68, 34),
            ConnectionStatus.ACTIVE: (260, 102),
            ConnectionStatus.EXPIRED: (452, 34),
            ConnectionStatus.REVOKED: (452, 210),
            ConnectionStatus.FAILED: (68, 210),
            ConnectionStatus.DISCONNECTED: (260, 310),
        }
    ),
    bend=24.0,
)
"""For half a screen."""

TALL = _Layout(
    "tall",
    (320, 376),
    (56, 18),
    FrozenDict(
        {
            ConnectionStatus.PENDING: (60, 24),
            ConnectionStatus.ACTIVE: (160, 140),
            ConnectionStatus.EXPIRED: (260, 24),
            ConnectionStatus.REVOKED: (260, 242),
            ConnectionStatus.FAILED: (60, 242),
            ConnectionStatus.DISCONNECTED: (160, 352),
        }
    ),
    bend=20.0,
)
"""For a phone, where the text of the other would be too small."""

_COMMAND_OF = {command.event: name for name, command in COMMANDS.items()}


@attrs.frozen
class _Edge:
    """One arrow: from where to where, and the commands that lead along it."""

    source: ConnectionStatus
    target: ConnectionStatus
    commands: tuple[str, ...]
    has_return: bool


def svg(layout: _Layout) -> str:
    """The diagram. Its parts carry `data-state` and `data-from`, for a page to light them."""
    edges = _edges()
    parts = [
        *(_arrow(layout, edge) for edge in edges),
        *(_label(layout, edge) for edge in edges),
        *(_box(layout, status) for status in layout.places),
    ]
    (width, height), tip, title = layout.size, f"tip-{layout.name}", f"states-{layout.name}"
    return (
        f'<svg class="states {layout.name}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{title}"><title id="{title}">The states of a connection'
        f'</title><defs><marker id="{tip}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0 10 5 0 10z"/></marker></defs>'
        f"{''.join(parts)}</svg>"
    )


def _edges() -> list[_Edge]:
    edges: list[_Edge] = []
    for source, transitions in TRANSITIONS.items():
        for target in dict.fromkeys(transitions.values()):
            names = [_COMMAND_OF[event] for event, to in transitions.items() if to is target]
            back = source in TRANSITIONS[target].values()
            edges.append(_Edge(source, target, tuple(names), back))
    return edges


def _arrow(layout: _Layout, edge: _Edge) -> str:
    course, tip = _course(layout, edge), f"url(#tip-{layout.name})"
    return f'<path class="edge" {_about(edge)} d="{course}" marker-end="{tip}"/>'


def _label(layout: _Layout, edge: _Edge) -> str:
    x, y = _middle(layout, edge)
    text = escape(", ".join(edge.commands))
    return f'<text class="verb" {_about(edge)} x="{x:.0f}" y="{y:.0f}">{text}</text>'


def _box(layout: _Layout, status: ConnectionStatus) -> str:
    (x, y), (wide, high) = layout.places[status], layout.half
    end = " terminal" if status in ConnectionStatus.terminal_states() else ""
    return (
        f'<g class="state{end}" data-state="{status}"><rect x="{x - wide}" '
        f'y="{y - high}" width="{2 * wide}" height="{2 * high}" rx="10"/>'
        f'<text x="{x}" y="{y}">{status.name}</text></g>'
    )


def _about(edge: _Edge) -> str:
    return f'data-from="{edge.source}" data-to="{edge.target}"'


def _course(layout: _Layout, edge: _Edge) -> str:
    if edge.source is edge.target:
        x, y = layout.places[edge.source]
        top = y - layout.half[1]
        return f"M{x - 22} {top}C{x - 48} {top - _LOOP} {x + 48} {top - _LOOP} {x + 22} {top}"
    bend_x, bend_y = _bend(layout, edge)
    start = _border(layout, edge.source, (bend_x, bend_y))
    end = _border(layout, edge.target, (bend_x, bend_y))
    return f"M{start[0]:.0f} {start[1]:.0f}Q{bend_x:.0f} {bend_y:.0f} {end[0]:.0f} {end[1]:.0f}"


def _bend(layout: _Layout, edge: _Edge) -> tuple[float, float]:
    """The point that a curve is drawn towards; arrows there and back keep apart."""
    (x1, y1), (x2, y2) = layout.places[edge.source], layout.places[edge.target]
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    aside = layout.bend if edge.has_return else 0.0
    return (
        (x1 + x2) / 2 - (y2 - y1) / length * aside,
        (y1 + y2) / 2 + (x2 - x1) / length * aside,
    )


def _border(
    layout: _Layout, status: ConnectionStatus, towards: tuple[float, float]
) -> tuple[float, float]:
    """Where a line from the middle of a state to a point leaves its box."""
    (x, y), (wide, high) = layout.places[status], layout.half
    dx, dy = towards[0] - x, towards[1] - y
    scale = min(
        (wide + _GAP) / abs(dx) if dx else float("inf"),
        (high + _GAP) / abs(dy) if dy else float("inf"),
    )
    return x + dx * scale, y + dy * scale


def _middle(layout: _Layout, edge: _Edge) -> tuple[float, float]:
    if edge.source is edge.target:
        x, y = layout.places[edge.source]
        return x, y - layout.half[1] - _LOOP + 8
    bend_x, bend_y = _bend(layout, edge)
    (x1, y1), (x2, y2) = layout.places[edge.source], layout.places[edge.target]
    # Beside the middle of what goes straight down stand boxes.
    to = 0.62 if x1 == x2 else 0.5
    back = 1 - to
    return (
        back * back * x1 + 2 * to * back * bend_x + to * to * x2,
        back * back * y1 + 2 * to * back * bend_y + to * to * y2,
    )
