"""`python -m tests.benchmarks [--quick] [--page FOLDER] [--json FILE]`: measure, print, keep."""

import argparse
import asyncio
import json
import platform
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import attrs

from tests.benchmarks import limit, ours, rival
from tests.benchmarks.growth import CURVES, Growth, measured
from tests.benchmarks.guard import BASELINE, regressions
from tests.benchmarks.harness import Outcome, Row, measure
from tests.benchmarks.page import write_page
from tests.benchmarks.postgres.rows import postgres_rows


def rows(scale: int) -> list[Row]:
    """The rows without a server, each sample about `scale` times a hundred milliseconds of work."""
    events, times = 200 * scale, 5_000 * scale
    one, four = _handlers(1), _handlers(4)
    return [
        Row(
            name="SQLite append, 10 events a save",
            limit=lambda: limit.append(10 * scale, 10),
            rival=lambda: rival.append(10 * scale, 10),
            ours=lambda: asyncio.run(ours.append(10 * scale, 10)),
            target=2,
        ),
        Row(
            name="SQLite append, 1 event a save",
            limit=lambda: limit.append(50 * scale, 1),
            rival=lambda: rival.append(50 * scale, 1),
            ours=lambda: asyncio.run(ours.append(50 * scale, 1)),
            target=2,
        ),
        Row(
            name="SQLite append, 50 tasks at once",
            limit=lambda: limit.grouped(20 * scale),
            ours=lambda: asyncio.run(ours.concurrent(50, 4 * scale)),
            target=1.5,
        ),
        Row(
            name="rebuild an aggregate of 1,000 events",
            limit=lambda: limit.rebuild(1_000),
            rival=lambda: rival.rebuild(1_000),
            ours=lambda: asyncio.run(ours.rebuild(1_000)),
            target=2.5,
        ),
        Row(
            name="read the whole log, decoded",
            limit=lambda: limit.read_log(5 * events),
            rival=lambda: rival.read_log(5 * events),
            ours=lambda: asyncio.run(ours.read_log(5 * events)),
            target=2.5,
        ),
        Row(
            name="encode one event",
            limit=lambda: limit.encode(times),
            rival=lambda: rival.encode(times // 10),
            ours=lambda: ours.encode(times),
            target=2,
        ),
        Row(
            name="decode one event",
            limit=lambda: limit.decode(times),
            rival=lambda: rival.decode(times // 10),
            ours=lambda: ours.decode(times),
            target=2,
        ),
        Row(
            name="publish to 4 handlers",
            limit=_in_loop(lambda: limit.publish(four, times)),
            ours=_in_loop(lambda: ours.publish(four, times)),
            target=3,
        ),
        Row(
            name="publish to 1 handler",
            limit=_in_loop(lambda: limit.publish(one, times)),
            ours=_in_loop(lambda: ours.publish(one, times)),
            target=3,
        ),
        Row(
            name="construct an event",
            limit=lambda: limit.construct(times),
            rival=lambda: rival.construct(times // 10),
            ours=lambda: ours.construct(times),
            target=1.2,
        ),
        Row(
            name="memory of a decoded event",
            unit="B",
            limit=lambda: limit.memory(events),
            rival=lambda: rival.memory(events),
            ours=lambda: ours.memory(events),
            target=1.1,
        ),
        Row(
            name="import, above asyncio",
            unit="ms",
            ours=ours.import_time,
            target=120,
            against="absolute",
        ),
    ]


def _in_loop(sample: Callable[[], Awaitable[float]]) -> Callable[[], float]:
    async def run() -> float:
        return await sample()

    return lambda: asyncio.run(run())


def _handlers(count: int) -> list[Callable[[object], Awaitable[None]]]:
    def another() -> Callable[[object], Awaitable[None]]:
        async def handler(event: object) -> None:
            pass

        return handler

    return [another() for _ in range(count)]


def _line(outcome: Outcome) -> str:
    def figure(value: float | None) -> str:
        return "-" if value is None else f"{value:,.1f}"

    ratio = "-" if outcome.ratio is None else f"{outcome.ratio:.2f}"
    verdict = "met" if outcome.met else "not met"
    return (
        f"{outcome.name:38} {outcome.unit:>3} {figure(outcome.limit):>9} "
        f"{figure(outcome.rival):>9} {figure(outcome.ours):>9} {figure(outcome.spread):>8} "
        f"{ratio:>7} {outcome.target:>7g}  {verdict}"
    )


def main() -> None:
    """Measure and print; the exit code says nothing about speed, unless it is asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the work")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--growth", action="store_true", help="also how cost grows")
    parser.add_argument("--page", type=Path, help="write the page and its charts into this folder")
    parser.add_argument("--check", action="store_true", help="fail where a ratio has grown by half")
    options = parser.parse_args()
    if options.check and not BASELINE.is_file():
        parser.error(
            f"there is no {BASELINE.name} to compare with: make one with --json {BASELINE}"
        )
    machine = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": f"{platform.machine()}, {platform.system()}",
        "rival": f"eventsourcing {version('eventsourcing')}",
        "rounds": options.rounds,
    }
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    print(
        f"{'per item, median':38} {'':>3} {'limit':>9} {'rival':>9} {'ours':>9} {'spread':>8} "
        f"{'ratio':>7} {'target':>7}"
    )
    outcomes = []
    scale = 1 if options.quick else 5
    measured_rows = [*rows(scale), *postgres_rows(scale)]
    for row in measured_rows:
        [outcome] = measure([row], options.rounds)
        outcomes.append(outcome)
        print(_line(outcome), flush=True)
    growths = []
    for curve in CURVES if options.growth else ():
        growths.append(measured(curve, quick=options.quick))
        print(_growth_line(growths[-1]), flush=True)
    if options.page:
        write_page(options.page, machine, outcomes, growths, today=date.today())  # noqa: DTZ011  # of the reader's calendar
    if options.json:
        result = {"machine": machine, "rows": [attrs.asdict(outcome) for outcome in outcomes]}
        result["growth"] = [attrs.asdict(growth) for growth in growths]
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.check and (worse := regressions(measured_rows, outcomes, options.rounds)):
        sys.exit(f"half as slow again as in {BASELINE.name}: {', '.join(worse)}")


def _growth_line(growth: Growth) -> str:
    costs = ", ".join(f"{point.size:,}: {point.cost:,.1f}" for point in growth.points)
    return f"{growth.name} ({growth.unit}) by {growth.along}: {costs}; {growth.growth:.2f}x"


if __name__ == "__main__":
    main()
