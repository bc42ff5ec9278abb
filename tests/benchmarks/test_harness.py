"""The ways of a row take turns, and what they cost is compared with what its target is against."""

from collections.abc import Callable
from itertools import count
from time import perf_counter, sleep

import attrs
import pytest

from tests.benchmarks import workload
from tests.benchmarks.harness import Row, measure


def always(cost: float) -> Callable[[], float]:
    return lambda: cost


def test_the_ways_take_turns_and_the_first_round_does_not_count() -> None:
    turns: list[str] = []

    def way(name: str, *costs: float) -> Callable[[], float]:
        given = iter(costs)

        def sample() -> float:
            turns.append(name)
            return next(given)

        return sample

    limit, ours = way("limit", 99, 1, 2, 3), way("ours", 99, 6, 5, 4)
    outcome = measure(Row(name="work", limit=limit, ours=ours, target=2), 3)
    assert turns == ["limit", "ours"] * 4
    assert (outcome.limit, outcome.rival, outcome.ours) == (2, None, 5)
    assert outcome.least == {"limit": 1, "ours": 4}


def test_the_spread_is_the_distance_between_the_quartiles_of_ours() -> None:
    costs = count()
    assert measure(Row(name="work", ours=lambda: next(costs), target=2), 7).spread == 4


@pytest.mark.parametrize(("against", "ratio"), [("limit", 3.0), ("rival", 0.5), ("absolute", 30.0)])
def test_a_target_is_met_up_to_its_ratio(against: str, ratio: float) -> None:
    row = Row(
        name="work",
        limit=always(10),
        rival=always(60),
        ours=always(30),
        target=ratio,
        against=against,
    )
    assert measure(row, 3).ratio == ratio
    assert measure(row, 3).met
    assert not measure(attrs.evolve(row, target=ratio - 0.1), 3).met


def test_without_what_it_is_compared_with_no_target_is_met() -> None:
    outcome = measure(Row(name="work", ours=always(1), target=2), 3)
    assert outcome.ratio is None
    assert not outcome.met


def test_what_another_process_uses_counts_where_processor_time_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workload._Clock, "now", staticmethod(lambda: 1.0))
    seconds = iter([7.0, 7.5])
    with workload.counted_too(lambda: next(seconds)), workload.timed(10) as by_the_clock:
        pass
    monkeypatch.setattr(workload._Clock, "now", workload._Clock.now)
    workload.count_processor_time()
    with workload.counted_too(lambda: next(seconds)), workload.timed(10) as worked:
        pass
    with workload.timed(10) as behind:
        pass
    assert by_the_clock == [0]
    assert 50_000 <= worked[0] < 60_000
    assert behind[0] < 10_000


def test_waiting_costs_time_and_no_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload._Clock, "now", staticmethod(perf_counter))
    with workload.timed(2) as waited:
        sleep(0.05)
    workload.count_processor_time()
    with workload.timed(2) as worked:
        sleep(0.05)
    assert waited[0] >= 25_000
    assert worked[0] < 10_000
