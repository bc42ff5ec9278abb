"""The guard fires where something became slow, and only there."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from dashtam_events import DomainEvent
from dashtam_events.codec import EncodedEvent, EventCodec
from tests.benchmarks import workload
from tests.benchmarks.growth import Curve, measured
from tests.benchmarks.guard import growing, regressions, stalls, unmatched
from tests.benchmarks.harness import Row, measure
from tests.benchmarks.table import rows
from tests.benchmarks.workload import count_processor_time, timed


def row(**least: float) -> dict[str, object]:
    return {"name": "work", "least": least, **least}


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


@pytest.mark.parametrize("slow_looks", [1, 2, 5])
def test_a_single_good_look_acquits(baseline: Path, slow_looks: int) -> None:
    costs = iter([31.0] * 4 * slow_looks + [20.0] * 4)
    noisy = Row(name="work", limit=lambda: 10.0, ours=lambda: next(costs), target=2)
    assert looked_at(noisy, baseline) == []


def test_a_suspect_is_looked_at_five_times_more_and_no_more(baseline: Path) -> None:
    costs = iter([99.0] * 4 * 6)
    slow = Row(name="work", limit=lambda: 10.0, ours=lambda: next(costs), target=2)
    assert len(looked_at(slow, baseline)) == 1
    assert next(costs, None) is None


def test_a_row_may_have_a_bound_of_its_own(baseline: Path) -> None:
    assert looked_at(attrs.evolve(work(25.0), far=1.2), baseline) != []
    assert looked_at(attrs.evolve(work(23.0), far=1.2), baseline) == []


def test_each_row_with_a_limit_is_in_the_baseline_and_no_other() -> None:
    assert list(unmatched(rows(1))) == []


def test_a_row_that_is_new_or_has_another_name_is_told_and_so_is_one_that_is_gone(
    baseline: Path,
) -> None:
    assert list(unmatched([work(1.0)], baseline)) == []
    told = ["new work: is not in the baseline", "work: is in the baseline, and no row"]
    assert list(unmatched([work(1.0, name="new work")], baseline)) == told


def test_a_row_without_a_limit_has_no_baseline(baseline: Path) -> None:
    absolute = Row(name="import", ours=lambda: 99.0, target=120, against="absolute")
    assert list(unmatched([work(1.0), absolute], baseline)) == []


def test_the_best_round_acquits(baseline: Path) -> None:
    costs = iter([99.0, 99.0, 20.0, 99.0])
    disturbed = Row(name="work", limit=lambda: 10.0, ours=lambda: next(costs), target=2)
    assert looked_at(disturbed, baseline) == []


def test_where_the_limit_alone_had_a_lucky_round_the_medians_acquit(baseline: Path) -> None:
    costs = iter([10.0, 10.0, 2.0, 10.0])
    lucky = Row(name="work", limit=lambda: next(costs), ours=lambda: 20.0, target=2)
    assert looked_at(lucky, baseline) == []


def test_what_a_lucky_round_hid_in_the_baseline_is_no_bound(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    lucky = {"limit": 10.0, "ours": 20.0, "least": {"limit": 2.0, "ours": 20.0}, "name": "work"}
    path.write_text(json.dumps({"rows": [lucky]}))
    assert len(looked_at(work(31.0), path)) == 1


@pytest.fixture
def processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the guard counts it; undone behind the test."""
    monkeypatch.setattr(workload._Clock, "now", workload._Clock.now)
    count_processor_time()


@pytest.mark.usefixtures("processor_time")
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


@pytest.mark.usefixtures("processor_time")
def test_a_slowdown_planted_into_the_codec_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (encoding,) = (each for each in rows(1) if each.name == "encode one event")
    encoding = attrs.evolve(encoding, rival=None)
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"rows": [attrs.asdict(measure(encoding, 15))]}))
    assert looked_at(encoding, path) == []

    encode = EventCodec.encode

    def four_times(codec: EventCodec, event: DomainEvent) -> EncodedEvent:
        for _ in range(3):
            encode(codec, event)
        return encode(codec, event)

    monkeypatch.setattr(EventCodec, "encode", four_times)
    (told,) = looked_at(encoding, path)
    assert told.startswith("encode one event: ")


def test_work_that_waits_is_found_by_the_clock(baseline: Path) -> None:
    def waits(seconds: float) -> float:
        with timed(1) as cost:
            time.sleep(seconds)
        return cost[0]

    by_hand = Row(name="work", limit=lambda: waits(0.01), ours=lambda: waits(0.012), target=2)
    assert list(stalls([by_hand], 2, baseline)) == []
    slow = Row(name="work", limit=lambda: 1_000.0, ours=lambda: waits(0.02), target=2)
    assert len(list(stalls([slow], 2, baseline))) == 1


def curve(*costs: float) -> Curve:
    """By turns so much at size 1 and at size 10."""
    given = iter(costs)
    return Curve(
        name="work",
        along="items",
        sizes=(1, 10),
        quick=(1, 10),
        sample=lambda _size: next(given),
        rounds=1,
    )


def grown(curve: Curve) -> list[str]:
    return list(growing([curve], [measured(curve, quick=True)]))


def test_a_curve_that_grows_is_found_however_often_it_is_looked_at() -> None:
    expected = ["work: 3.00 times as much, at most 2 is allowed"]
    assert grown(curve(*[1.0, 3.0] * 6)) == expected


def test_a_curve_is_acquitted_by_the_best_of_its_rounds() -> None:
    assert grown(curve(1.0, 1.9)) == []
    assert grown(curve(2.0, 9.0, 3.0, 4.0)) == []
