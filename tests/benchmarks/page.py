"""The page of the docs that shows a run: tables and charts."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from tests.benchmarks.charts import bars, lines, told
from tests.benchmarks.growth import Growth, Point
from tests.benchmarks.harness import Outcome
from tests.benchmarks.parts import Part
from tests.benchmarks.reasons import Reason

__all__ = ["write_page"]

_INTRO = """# Benchmarks

Each row is one kind of work, done three ways in turn, round by round, in one run: by hand on the
same driver (the limit), with a rival, and with this library, through its public interface. The
rival is `eventsourcing`, in the fastest form that its documentation shows: events and aggregates
are msgspec structs that functions make, and psycopg's C library calls a function of the database.
For handlers it is `blinker`, for Server-Sent Events `sse-starlette`. All are as durable: SQLite
with `synchronous=FULL`, PostgreSQL with `fsync`. The figures are medians, and the spread is the
distance between the quartiles of ours. The last columns are how many times the limit, and the
rival, ours costs. Machines differ, so look at those. Where a target is not met, the parts of what
ours costs are measured by themselves afterwards: they need not add up to the figure of the table.
"""
_AGAIN = """
Run it yourself, in a checkout and on a machine that does nothing else: `nox -s bench`, or
`nox -s bench -- --quick` for a first look within a minute or two. It writes this page into
`build/benchmarks`; with `-- --growth --page docs/pages`, which takes some ten minutes and
4 GB of disk, it writes this page anew. The figures behind this one are in
[benchmarks.json](benchmarks/benchmarks.json). With `-- --check`, as continuous integration runs
it, it fails where a ratio to the limit is half as much again as it was in processor time (the
import: a seventh), where a store takes several times as long as by hand by the clock, or where a
cost grows by more than is allowed.
"""
_DIFFERENCES = """
## Where guarantees differ

By hand it is only checked that times have a zone, by a validator of the class, as ours does it too.
Ours checks every value that it writes and
reads, knows an append that is repeated, keeps metadata, and finds events by type and by subject
through indexes. The rival is asked for nothing more than its fastest form gives: its times may be
without a zone, and what it reads is not compared with what it would write.
"""
_GROWTH = """
## How cost grows

What should be flat is flat where no figure is more times the least before it than is allowed. What
one event in ten thousand costs to find is compared with reading as many that stand in a row, which
is the figure beside it: without an index it would cost too much at every size. Costs are drawn
from zero up; sizes are spaced evenly. A consumer group has one member here, which holds all the
partitions and keeps a checkpoint for each. In a SQLite file, where one writes at a time, 64
partitions cost several times as much as one; keep few there. A page that is read holds up to 512
events, so memory is constant in their number, not in their size.
"""


def write_page(
    folder: Path,
    machine: Mapping[str, object],
    outcomes: Sequence[Outcome],
    growths: Sequence[Growth],
    reasons: Sequence[Reason],
    *,
    today: date,
) -> None:
    """Write `benchmarks.md` into a folder, and its charts into `benchmarks` beside it.

    `reasons` are those for the rows and curves that are over their targets.
    """
    facts = ", ".join(f"{key} {value}" for key, value in machine.items())
    parts = [
        _INTRO,
        f"Run on {today.day} {today:%B %Y}: {facts}.",
        _AGAIN,
        *_table(outcomes),
        *_why(outcomes, reasons),
        _picture("ratios", "What ours and the rival cost, in times of the limit: as in the table"),
        _DIFFERENCES,
        *(f"- {each.name}: {each.note}" for each in outcomes if each.note),
        *_growth(growths, reasons),
    ]
    text = "\n".join(parts).rstrip() + "\n"
    (folder / "benchmarks.md").write_text(text, encoding="utf-8")
    charts = folder / "benchmarks"
    charts.mkdir(exist_ok=True)
    (charts / "ratios.svg").write_text(bars(outcomes), encoding="utf-8")
    for number, growth in enumerate(growths, start=1):
        (charts / f"growth-{number}.svg").write_text(lines(growth), encoding="utf-8")


def _picture(name: str, instead: str) -> str:
    return f"\n![{instead}](benchmarks/{name}.svg)\n"


def _table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "| work | unit | limit | rival | ours | spread | to limit | to rival | target |"
    yield "|---|---|" + "---:|" * 7
    for each in outcomes:
        costs = " | ".join(map(_figure, (each.limit, each.rival, each.ours, each.spread)))
        ratios = " | ".join(_times(each.ours, other) for other in (each.limit, each.rival))
        yield f"| {each.name} | {each.unit} | {costs} | {ratios} | {_target(each)} |"


def _times(cost: float, other: float | None) -> str:
    return "" if other is None else f"{cost / other:.2f}"


def _target(outcome: Outcome) -> str:
    kind = {"limit": "", "rival": " of the rival", "absolute": f" {outcome.unit}"}
    return f"{outcome.target:g}{kind[outcome.against]}{'' if outcome.met else ', not met'}"


def _why(measured: Sequence[Outcome | Growth], reasons: Sequence[Reason]) -> Iterator[str]:
    names = {each.name for each in measured}
    for each in reasons:
        if each.name in names:
            yield f"\n**{each.name}** is not within its target: {each.why}"
            yield from _parts(each.parts)


def _parts(parts: Sequence[Part]) -> Iterator[str]:
    if parts:
        yield "\n| part of it | µs an event |\n|---|---:|"
    for each in parts:
        yield f"| {each.name} | {each.cost:.2f} |"


def _growth(growths: Sequence[Growth], reasons: Sequence[Reason]) -> Iterator[str]:
    if not growths:
        return
    yield _GROWTH
    yield "| what | unit | by | cost | grows | at most |"
    yield "|---|---|---|---|---:|---:|"
    for each in growths:
        costs = ", ".join(f"{point.size:,}: {_cost(point)}" for point in each.points)
        allowed = f"{each.most:g}{'' if each.met else ', not met'}"
        yield (
            f"| {each.name} | {each.unit} | {each.along} | {costs} | {each.growth:.2f} "
            f"| {allowed} |"
        )
    yield from _why(growths, reasons)
    for number, each in enumerate(growths, start=1):
        yield _picture(f"growth-{number}", told(each))


def _cost(point: Point) -> str:
    beside = "" if point.plain is None else f" beside {_figure(point.plain)}"
    return f"{_figure(point.cost)}{beside}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}"
