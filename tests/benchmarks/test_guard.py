"""The guard fires where something became slow, and only there."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.guard import regressions, stalls
from tests.benchmarks.harness import Row, measure
from tests.benchmarks.workload import timed


def row(**least: float) -> dict[str, object]:
    return {"name": "work", "least": least}


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    """A run in which the work cost twice the limit."""
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"rows": [row(limit=10.0, ours=20.0)]}))
    return path


def work(cost: float, name: str = "work") -> Row:
    return Row(name=name, limit=lambda: 10.0, ours=lambda: cost, target=2)


def looked_at(row: Row, baseline: Path) -> list[str]:
    return list(regressions([row], [measure(row, 3)], 3, baseline))


def test_a_slowdown_by_more_than_half_is_found_and_told(baseline: Path) -> None:
    expected = ["work: 3.10 times the limit, 2.00 before"]
    assert looked_at(work(31.0), baseline) == expected


def test_less_is_noise(baseline: Path) -> None:
    assert looked_at(work(29.0), baseline) == []


@pytest.mark.parametrize("slow_looks", [1, 2, 10])
def test_a_single_good_look_acquits(baseline: Path, slow_looks: int) -> None:
    costs = iter([99.0] * 4 * slow_looks + [20.0] * 4)
    noisy = Row(name="work", limit=lambda: 10.0, ours=lambda: next(costs), target=2)
    assert looked_at(noisy, baseline) == []


def test_a_row_is_not_looked_at_for_ever(baseline: Path) -> None:
    costs = iter([99.0] * 4 * 11)
    slow = Row(name="work", limit=lambda: 10.0, ours=lambda: next(costs), target=2)
    assert len(looked_at(slow, baseline)) == 1


def test_what_the_baseline_does_not_know_is_left_out(baseline: Path) -> None:
    assert looked_at(work(99.0, name="new work"), baseline) == []


@pytest.mark.parametrize("known", [{"ours": 20.0}, {"ours": 20.0, "limit": 10.0}])
def test_what_has_no_limit_is_left_out(baseline: Path, known: dict[str, float]) -> None:
    baseline.write_text(json.dumps({"rows": [row(**known)]}))
    absolute = Row(name="work", ours=lambda: 99.0, target=120, against="absolute")
    assert looked_at(absolute, baseline) == []


def test_the_best_round_counts(baseline: Path) -> None:
    costs = iter([99.0, 99.0, 20.0, 99.0])
    disturbed = Row(name="work", limit=lambda: 10.0, ours=lambda: next(costs), target=2)
    assert looked_at(disturbed, baseline) == []


def test_a_planted_slowdown_of_real_work_is_found(tmp_path: Path) -> None:
    def sums(times: int) -> Callable[[], float]:
        def sample() -> float:
            with timed(1) as cost:
                for _ in range(times):
                    sum(range(500))
            return cost[0]

        return sample

    as_it_was = measure(Row(name="work", limit=sums(20), ours=sums(40), target=2), 5)
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"rows": [row(**as_it_was.least)]}))
    slow = Row(name="work", limit=sums(20), ours=sums(40 * 4), target=2)
    assert len(looked_at(slow, path)) == 1


def test_work_that_waits_is_found_by_the_clock() -> None:
    def waits(seconds: float) -> float:
        with timed(1) as cost:
            time.sleep(seconds)
        return cost[0]

    by_hand = Row(name="work", limit=lambda: waits(0.01), ours=lambda: waits(0.012), target=2)
    assert list(stalls([by_hand], 2)) == []
    slow = Row(name="work", limit=lambda: waits(0.001), ours=lambda: waits(0.02), target=2)
    assert len(list(stalls([slow], 2))) == 1
