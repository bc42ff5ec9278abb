"""`python -m tests.benchmarks [--quick | --check] [--growth]`: measure, print, keep.

It writes the page, with its charts and figures beside it, into a folder. With `--check` it
measures processor time (and waiting, where a store is read or written), also of how cost grows,
writes nothing, and fails where something has become slow; what it compares with is measured by
`--baseline`. A suspect is measured at most six times, and the third that is found guilty ends it.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import chain, islice
from pathlib import Path

import attrs

from tests.benchmarks.curves import CURVES
from tests.benchmarks.growth import Average, Curve, Growth, measured
from tests.benchmarks.guard import BASELINE, growing, regressions, stalls, unmatched
from tests.benchmarks.harness import Outcome, Row, measure
from tests.benchmarks.machine import described
from tests.benchmarks.page import write_page
from tests.benchmarks.reasons import reasons
from tests.benchmarks.table import rows
from tests.benchmarks.workload import count_processor_time

_OUTPUT = Path("build", "benchmarks")
_ENOUGH = 3
_OFTEN = 4
_STORED = ("SQLite", "PostgreSQL", "rebuild", "read the whole log")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the work, smaller sizes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", action="store_true", help="also how cost grows")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--page", type=Path, default=_OUTPUT, help="write the page into this folder"
    )
    parser.add_argument("--check", action="store_true", help="fail where a ratio has grown by half")
    parser.add_argument("--baseline", action="store_true", help=f"write {BASELINE.name} anew")
    options = parser.parse_args()
    if options.check and not BASELINE.is_file():
        parser.error("there is nothing to compare with: make it with --baseline")
    return options


def main() -> None:
    """Measure, print and write."""
    options = _options()
    machine = described() | {"rounds": str(options.rounds)}
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    # What is compared with the baseline is as much work as there.
    guarding = options.check or options.baseline
    table = rows(1 if options.quick or guarding else 5)
    if guarding:
        _guard(table, machine, options)
    else:
        _report(table, machine, options)


def _guard(table: Sequence[Row], machine: Mapping[str, str], options: argparse.Namespace) -> None:
    table = [attrs.evolve(row, rival=None, against="limit") for row in table if row.limit]
    if options.check:
        _check(table, options.rounds)
    else:
        # A round that was good by chance on one side alone would be in every check from then on.
        rounds = _OFTEN * options.rounds
        count_processor_time()
        _write(BASELINE, machine, list(_outcomes(table, rounds, judged=False)), [])


def _check(table: Sequence[Row], rounds: int) -> None:
    if strangers := list(unmatched(table)):
        sys.exit("\n".join([*strangers, "make the baseline anew, with --baseline"]))
    stalled = list(stalls([row for row in table if row.name.startswith(_STORED)], rounds))
    print("processor time, ours and by hand")
    count_processor_time()
    curves = [curve for curve in CURVES if curve.guarded]
    worse = chain(
        stalled,
        regressions(table, list(_outcomes(table, rounds, judged=False)), rounds),
        growing(curves, _growths(curves, quick=True, average=min)),
    )
    if found := list(islice(worse, _ENOUGH)):
        sys.exit("\n".join(found))


def _report(table: Sequence[Row], machine: Mapping[str, str], options: argparse.Namespace) -> None:
    outcomes = list(_outcomes(table, options.rounds, judged=True))
    growths = list(_growths(CURVES, quick=options.quick)) if options.growth else []
    explained = list(reasons([*outcomes, *growths]))
    for each in explained:
        print(f"{each.name}: {each.why}")
        for part in each.parts:
            print(f"    {part.name}: {part.cost:.2f} µs")
    options.page.mkdir(parents=True, exist_ok=True)
    today = date.today()  # noqa: DTZ011  # of the reader's calendar
    write_page(options.page, machine, outcomes, growths, explained, today=today)
    beside = options.page / "benchmarks" / "benchmarks.json"  # where the page says
    _write(options.json or beside, machine, outcomes, growths)


def _outcomes(table: Sequence[Row], rounds: int, *, judged: bool) -> Iterator[Outcome]:
    """Measure and print, with the targets where they are meant for what is measured."""
    print(
        f"{'per item, median':38} {'':>3} {'limit':>9} {'rival':>9} {'ours':>9} {'spread':>8} "
        f"{'ratio':>7}{'  target' if judged else ''}"
    )
    for row in table:
        outcome = measure(row, rounds)
        print(f"{_costs(outcome)}{_verdict(outcome) if judged else ''}", flush=True)
        yield outcome


def _costs(outcome: Outcome) -> str:
    costs = (outcome.limit, outcome.rival, outcome.ours)
    limit, rival, ours = ("-" if cost is None else f"{cost:,.1f}" for cost in costs)
    ratio = "-" if outcome.ratio is None else f"{outcome.ratio:.2f}"
    return (
        f"{outcome.name:38} {outcome.unit:>3} {limit:>9} {rival:>9} {ours:>9} "
        f"{outcome.spread:8,.1f} {ratio:>7}"
    )


def _verdict(outcome: Outcome) -> str:
    return f" {outcome.target:>7g}  {'met' if outcome.met else 'not met'}"


def _growths(
    curves: Sequence[Curve], *, quick: bool, average: Average = statistics.median
) -> Iterator[Growth]:
    for curve in curves:
        growth = measured(curve, quick=quick, average=average)
        costs = ", ".join(f"{point.size:,}: {point.cost:,.1f}" for point in growth.points)
        print(
            f"{growth.name} ({growth.unit}) by {growth.along}: {costs}; {growth.growth:.2f}x"
            f"{'' if growth.met else f', more than {growth.most:g}x'}",
            flush=True,
        )
        yield growth


def _write(
    path: Path, machine: Mapping[str, str], outcomes: Sequence[Outcome], growths: Sequence[Growth]
) -> None:
    result = {
        "machine": machine,
        "rows": [attrs.asdict(outcome) for outcome in outcomes],
        "growth": [attrs.asdict(growth) for growth in growths],
    }
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
