"""The figures as pictures: SVG that can be read on a light page and on a dark one."""

from collections.abc import Iterable, Sequence
from html import escape
from math import log10

from tests.benchmarks.growth import Growth
from tests.benchmarks.harness import Outcome

__all__ = ["bars", "lines"]

_STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #333 }
.faint { fill: #666 } .rule { stroke: #bbb; stroke-width: 1 }
.ours { fill: #00796b; stroke: #00796b } .rival { fill: #b26a00 } .limit { stroke: #666 }
path { fill: none !important; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .faint { fill: #aaa } .rule { stroke: #555 }
  .ours { fill: #4db6ac; stroke: #4db6ac } .rival { fill: #ffb74d } .limit { stroke: #aaa }
}
</style>"""


def _svg(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            _STYLE,
            *parts,
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, content: str, *, anchor: str = "start", kind: str = "") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" class="{kind}">'
        f"{escape(content)}</text>"
    )


def lines(growth: Growth) -> str:
    """What an item costs by the size, from zero up, sizes on a logarithmic scale."""
    left, right, top, bottom = 60, 420, 30, 150
    sizes = [log10(point.size) for point in growth.points]
    highest = 1.25 * max(point.cost for point in growth.points)
    span = sizes[-1] - sizes[0] or 1
    xs = [left + 20 + (right - left - 40) * (size - sizes[0]) / span for size in sizes]
    ys = [bottom - (bottom - top) * point.cost / highest for point in growth.points]
    path = " ".join(f"{'L' if n else 'M'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(zip(xs, ys)))  # noqa: B905  # of one length
    parts = [
        _text(left, 16, f"{growth.name}, {growth.unit}"),
        f'<line class="rule" x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}"/>',
        _text(left - 6, bottom + 4, "0", anchor="end", kind="faint"),
        f'<path class="ours" d="{path}"/>',
    ]
    for x, y, point in zip(xs, ys, growth.points, strict=True):
        parts += [
            f'<circle class="ours" cx="{x:.1f}" cy="{y:.1f}" r="3"/>',
            _text(x, y - 8, f"{point.cost:,.3g}", anchor="middle"),
            _text(x, bottom + 16, f"{point.size:,}", anchor="middle", kind="faint"),
        ]
    parts.append(
        _text((left + right) / 2, bottom + 34, growth.along, anchor="middle", kind="faint")
    )
    return _svg(440, 195, f"{growth.name}, by {growth.along}", parts)


def bars(outcomes: Sequence[Outcome]) -> str:
    """How many times the limit ours and the rival cost, on a logarithmic scale."""
    shown = [each for each in outcomes if each.limit]
    left, right, step = 270, 620, 40
    widest = max(max(each.ours, each.rival or 0) / (each.limit or 1) for each in shown)
    scale = (right - left) / max(log10(widest), 0.1)
    parts = [_text(left, 16, "times the limit (logarithmic)", kind="faint")]
    for place, each in enumerate(shown):
        y = 30 + place * step
        parts.append(_text(left - 8, y + 16, each.name, anchor="end"))
        ways = (("ours", each.ours, y), ("rival", each.rival, y + 14))
        for kind, cost, top in ways:
            if cost is None:
                continue
            ratio = cost / (each.limit or 1)
            width = max(scale * log10(max(ratio, 1)), 1)
            parts.append(
                f'<rect class="{kind}" x="{left}" y="{top}" width="{width:.0f}" height="12"/>'
            )
            parts.append(_text(left + width + 5, top + 10, f"{kind} {ratio:.2f}", kind="faint"))
    height = 40 + len(shown) * step
    parts.append(f'<line class="limit" x1="{left}" y1="24" x2="{left}" y2="{height - 8}"/>')
    return _svg(720, height, "What ours and the rival cost, in times of the limit", parts)
