"""The figures as pictures: SVG that can be read on a light page and on a dark one.

A picture brings its own background, because what it prefers is asked of the system, and a page
can be switched.
"""

from collections.abc import Iterable, Sequence
from html import escape
from math import log10

from tests.benchmarks.growth import Growth
from tests.benchmarks.harness import Outcome

__all__ = ["bars", "lines", "told"]

_STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #222 }
.page { fill: #fff } .faint { fill: #555 } .rule { stroke: #bbb }
.ours { fill: #00796b; stroke: #00796b } .rival { fill: #b26a00 } .limit { stroke: #555 }
path { fill: none !important; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #eee }
  .page { fill: #1e2129 } .faint { fill: #bbb } .rule { stroke: #555 }
  .ours { fill: #4db6ac; stroke: #4db6ac } .rival { fill: #ffb74d } .limit { stroke: #bbb }
}
</style>"""
_WIDTH = 720


def _svg(height: int, title: str, parts: Iterable[str]) -> str:
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title>",
            _STYLE,
            f'<rect class="page" width="{_WIDTH}" height="{height}" rx="4"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, content: str, *, anchor: str = "start", faint: bool = False) -> str:
    kind = ' class="faint"' if faint else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{kind}>{escape(content)}</text>'


def told(growth: Growth) -> str:
    """What the picture of a curve shows, in words."""
    costs = "; ".join(f"{point.size:,}: {point.cost:,.3g}" for point in growth.points)
    return f"{growth.name}, {growth.unit}, by {growth.along}: {costs}"


def lines(growth: Growth) -> str:
    """What an item costs by the size, from zero up; the sizes are spaced evenly."""
    left, right, top, bottom = 60, _WIDTH - 60, 46, 170
    step = (right - left) / max(len(growth.points) - 1, 1)
    height = (bottom - top) / max(point.cost for point in growth.points)
    places = [
        (left + step * place, bottom - height * point.cost)
        for place, point in enumerate(growth.points)
    ]
    path = " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    parts = [
        _text(16, 20, f"{growth.name}, {growth.unit}"),
        f'<line class="rule" x1="{left - 30}" y1="{bottom}" x2="{right + 30}" y2="{bottom}"/>',
        _text(left - 36, bottom + 4, "0", anchor="end", faint=True),
        f'<path class="ours" d="M{path}"/>',
        _text(_WIDTH / 2, bottom + 36, growth.along, anchor="middle", faint=True),
    ]
    for (x, y), point in zip(places, growth.points, strict=True):
        parts += [
            f'<circle class="ours" cx="{x:.1f}" cy="{y:.1f}" r="3"/>',
            _text(x, y - 8, f"{point.cost:,.3g}", anchor="middle"),
            _text(x, bottom + 18, f"{point.size:,}", anchor="middle", faint=True),
        ]
    return _svg(216, told(growth), parts)


def bars(outcomes: Sequence[Outcome]) -> str:
    """How many times the limit ours and the rival cost, on a logarithmic scale.

    What costs more has a bar to the right of the line at 1, what costs less one to the left.
    """
    shown = [(each.name, _ratios(each)) for each in outcomes if each.limit]
    every = [1.0, *(ratio for _, ratios in shown for ratio in ratios.values())]
    left, right, step = 270, _WIDTH - 90, 38
    scale = (right - left) / max(log10(max(every) / min(every)), 0.1)
    line = left - scale * log10(min(every))
    height = 40 + len(shown) * step
    parts = [
        _text(line, 20, "times the limit", faint=True),
        f'<line class="limit" x1="{line:.0f}" y1="28" x2="{line:.0f}" y2="{height - 8}"/>',
    ]
    for place, (name, ratios) in enumerate(shown):
        y = 34 + place * step
        parts.append(_text(left - 8, y + 16, name, anchor="end"))
        for lower, (kind, ratio) in enumerate(ratios.items()):
            parts += _bar(kind, ratio, line, y + 14 * lower, scale)
    return _svg(height, "What ours and the rival cost, in times of the limit", parts)


def _ratios(outcome: Outcome) -> dict[str, float]:
    costs = {"ours": outcome.ours, "rival": outcome.rival}
    return {kind: cost / (outcome.limit or 1) for kind, cost in costs.items() if cost}


def _bar(kind: str, ratio: float, line: float, top: int, scale: float) -> list[str]:
    end = line + scale * log10(ratio)
    begin, width = min(line, end), max(abs(end - line), 1)
    return [
        f'<rect class="{kind}" x="{begin:.0f}" y="{top}" width="{width:.0f}" height="12"/>',
        _text(begin + width + 5, top + 10, f"{kind} {ratio:.2f}", faint=True),
    ]
