"""The life of a connection as an SVG, drawn from the table of its transitions."""

from collections.abc import Mapping
from html import escape

import attrs

from dashtam_events._frozen import FrozenDict
from dashtam_events.cli.web.commands import COMMANDS
from dashtam_events.connection import ConnectionStatus
from dashtam_events.connection._machine import TRANSITIONS

__all__ = ["PLACES", "svg"]

_WIDTH, _HEIGHT = 520, 372
_HALF_WIDTH, _HALF_HEIGHT = 64, 20
_BEND = 24.0

PLACES: Mapping[ConnectionStatus, tuple[int, int]] = FrozenDict(
    {
        ConnectionStatus.PENDING: (68, 62),
        ConnectionStatus.ACTIVE: (260, 130),
        ConnectionStatus.EXPIRED: (452, 62),
        ConnectionStatus.REVOKED: (452, 222),
        ConnectionStatus.FAILED: (68, 222),
        ConnectionStatus.DISCONNECTED: (260, 338),
    }
)
"""Where the middle of each state stands."""

_COMMAND_OF = {command.event: name for name, command in COMMANDS.items()}


@attrs.frozen
class _Edge:
    """One arrow: from where to where, and the commands that lead along it."""

    source: ConnectionStatus
    target: ConnectionStatus
    commands: tuple[str, ...]
    has_return: bool


def svg() -> str:
    """The diagram. Its parts carry `data-state` and `data-from`, for a page to light them."""
    parts = [*map(_arrow, _edges()), *map(_label, _edges()), *map(_box, PLACES)]
    return (
        f'<svg class="states" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-labelledby="states-title"><title id="states-title">The states of a connection'
        '</title><defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
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


def _arrow(edge: _Edge) -> str:
    return f'<path class="edge" {_about(edge)} d="{_course(edge)}" marker-end="url(#tip)"/>'


def _label(edge: _Edge) -> str:
    x, y = _middle(edge)
    text = escape(", ".join(edge.commands))
    return f'<text class="verb" {_about(edge)} x="{x:.0f}" y="{y:.0f}">{text}</text>'


def _box(status: ConnectionStatus) -> str:
    x, y = PLACES[status]
    end = " terminal" if status in ConnectionStatus.terminal_states() else ""
    return (
        f'<g class="state{end}" data-state="{status}"><rect x="{x - _HALF_WIDTH}" '
        f'y="{y - _HALF_HEIGHT}" width="{2 * _HALF_WIDTH}" height="{2 * _HALF_HEIGHT}" rx="10"/>'
        f'<text x="{x}" y="{y}">{status.name}</text></g>'
    )


def _about(edge: _Edge) -> str:
    return f'data-from="{edge.source}" data-to="{edge.target}"'


def _course(edge: _Edge) -> str:
    if edge.source is edge.target:
        x, y = PLACES[edge.source]
        top = y - _HALF_HEIGHT
        return f"M{x - 22} {top}C{x - 48} {top - 62} {x + 48} {top - 62} {x + 22} {top}"
    bend_x, bend_y = _bend(edge)
    start = _border(PLACES[edge.source], (bend_x, bend_y))
    end = _border(PLACES[edge.target], (bend_x, bend_y))
    return f"M{start[0]:.0f} {start[1]:.0f}Q{bend_x:.0f} {bend_y:.0f} {end[0]:.0f} {end[1]:.0f}"


def _bend(edge: _Edge) -> tuple[float, float]:
    """The point that a curve is drawn towards; arrows there and back keep apart."""
    (x1, y1), (x2, y2) = PLACES[edge.source], PLACES[edge.target]
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    aside = _BEND if edge.has_return else 0.0
    return (
        (x1 + x2) / 2 - (y2 - y1) / length * aside,
        (y1 + y2) / 2 + (x2 - x1) / length * aside,
    )


def _border(middle: tuple[int, int], towards: tuple[float, float]) -> tuple[float, float]:
    """Where a line from the middle of a state to a point leaves its box."""
    x, y = middle
    dx, dy = towards[0] - x, towards[1] - y
    scale = min(
        (_HALF_WIDTH + 3) / abs(dx) if dx else float("inf"),
        (_HALF_HEIGHT + 3) / abs(dy) if dy else float("inf"),
    )
    return x + dx * scale, y + dy * scale


def _middle(edge: _Edge) -> tuple[float, float]:
    if edge.source is edge.target:
        x, y = PLACES[edge.source]
        return x, y - _HALF_HEIGHT - 54
    bend_x, bend_y = _bend(edge)
    (x1, y1), (x2, y2) = PLACES[edge.source], PLACES[edge.target]
    return (x1 + x2) / 4 + bend_x / 2, (y1 + y2) / 4 + bend_y / 2
