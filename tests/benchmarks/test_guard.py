"""The guard fires where something became slow, and only there."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.guard import regressions
from tests.benchmarks.harness import Row, measure


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    """A run in which the work cost twice the limit."""
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"rows": [{"name": "work", "limit": 10.0, "ours": 20.0}]}))
    return path


def work(cost: float, name: str = "work") -> Row:
    return Row(name=name, limit=lambda: 10.0, ours=lambda: cost, target=2)


def looked_at(row: Row, baseline: Path) -> list[str]:
    return regressions([row], measure([row], 3), 3, baseline)


def test_a_slowdown_by_more_than_half_is_found(baseline: Path) -> None:
    assert looked_at(work(31.0), baseline) == ["work"]


def test_less_is_noise(baseline: Path) -> None:
    assert looked_at(work(29.0), baseline) == []


def test_a_single_slow_look_is_noise(baseline: Path) -> None:
    costs = iter([99.0] * 4 + [20.0] * 40)
    row = Row(name="work", limit=lambda: 10.0, ours=lambda: next(costs), target=2)
    assert looked_at(row, baseline) == []


def test_what_the_baseline_does_not_know_is_left_out(baseline: Path) -> None:
    assert looked_at(work(99.0, name="new work"), baseline) == []
