"""The page of the docs that shows a run: tables and charts."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from tests.benchmarks.charts import bars, lines
from tests.benchmarks.growth import Growth
from tests.benchmarks.harness import Outcome

__all__ = ["write_page"]

_INTRO = """# Benchmarks

Each row is one kind of work, done three ways in turn, round by round, in one run: by hand on the
same driver (the limit), with the rival at its own documented best, and with this library, through
its public interface. The figures are medians; machines differ, so look at the ratios. The same
durability everywhere: SQLite with `synchronous=FULL`.

Run it yourself, in a checkout: `nox -s bench`, or `nox -s bench -- --quick` for a first look.
With `-- --page docs/pages` it writes this page anew.
"""
_NOTES = """
Where guarantees differ: by hand nothing is checked. Ours checks every value that it writes and
reads, knows an append that is repeated, keeps metadata, and filters by type and subject through
indexes. The rival is asked for nothing more than it gives by default; it has no subject, no
idempotence by event, and its asynchronous use blocks the loop.
"""


def write_page(
    folder: Path,
    machine: Mapping[str, object],
    outcomes: Sequence[Outcome],
    growths: Sequence[Growth],
    *,
    today: date,
) -> None:
    """Write `benchmarks.md` into a folder, and its charts into `benchmarks` beside it."""
    charts = folder / "benchmarks"
    charts.mkdir(exist_ok=True)
    (charts / "ratios.svg").write_text(bars(outcomes), encoding="utf-8")
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    parts = [_INTRO, f"Run on {today:%d %B %Y}: {facts}.\n", *_table(outcomes), _NOTES]
    parts.append("![Ours and the rival, in times of the limit](benchmarks/ratios.svg)\n")
    if growths:
        parts.append("## How cost grows\n")
        parts.append("Nothing that should be flat may grow.\n")
    for number, growth in enumerate(growths, start=1):
        name = f"growth-{number}.svg"
        (charts / name).write_text(lines(growth), encoding="utf-8")
        parts.append(f"![{growth.name}, by {growth.along}](benchmarks/{name})\n")
    parts += _growth_table(growths)
    (folder / "benchmarks.md").write_text("\n".join(parts), encoding="utf-8")


def _table(outcomes: Sequence[Outcome]) -> list[str]:
    rows = [
        "| work | unit | limit | rival | ours | spread | ratio | target |",
        "|---|---|" + "---:|" * 6,
    ]
    for each in outcomes:
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        mark = "" if each.met else " (not met)"
        costs = " | ".join(map(_figure, (each.limit, each.rival, each.ours, each.spread)))
        rows.append(f"| {each.name} | {each.unit} | {costs} | {ratio} | {each.target:g}{mark} |")
    return ["\n".join(rows)]


def _growth_table(growths: Sequence[Growth]) -> list[str]:
    if not growths:
        return []
    rows = ["| what | by | unit | cost | grows |", "|---|---|---|---|---:|"]
    for each in growths:
        costs = ", ".join(f"{point.size:,}: {_figure(point.cost)}" for point in each.points)
        rows.append(f"| {each.name} | {each.along} | {each.unit} | {costs} | {each.growth:.2f}x |")
    return ["\n".join(rows) + "\n"]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}"
