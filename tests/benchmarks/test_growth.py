"""How cost grows is measured at each size, and said to be within its bound only where it is."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.benchmarks.curves import CURVES, stored
from tests.benchmarks.curves.filled import filled
from tests.benchmarks.curves.passing import WAYS
from tests.benchmarks.growth import Curve, Growth, Point, least, measured
from tests.benchmarks.guard import growing


def curve(**changes: object) -> Curve:
    given = {"name": "work", "along": "items", "sizes": (1, 10, 100), "quick": (1, 10)}
    return Curve(**given | {"sample": float} | changes)  # type: ignore[arg-type]  # a dict of mixed values


def growth(*costs: float) -> Growth:
    points = tuple(Point(10**place, cost) for place, cost in enumerate(costs))
    return Growth(name="work", along="items", unit="µs", points=points, most=2.0)


def test_each_size_is_measured_and_fewer_where_it_is_to_be_quick() -> None:
    assert measured(curve(), quick=False).points == (Point(1, 1), Point(10, 10), Point(100, 100))
    assert [point.size for point in measured(curve(), quick=True).points] == [1, 10]


def test_the_median_of_the_rounds_counts() -> None:
    costs = iter([1.0, 9.0, 2.0])
    one = curve(sizes=(1,), sample=lambda _size: next(costs))
    assert measured(one, quick=False).points == (Point(1, 2.0),)


def test_the_best_of_the_rounds_counts_where_that_is_asked_for() -> None:
    costs = iter([3.0, 9.0, 2.0])
    one = curve(sizes=(1,), sample=lambda _size: next(costs))
    assert measured(one, quick=False, average=min).points == (Point(1, 2.0),)


@pytest.mark.parametrize(("last", "met"), [(2.0, True), (2.1, False), (0.5, True)])
def test_what_grows_by_more_than_its_bound_is_not_met(last: float, met: bool) -> None:
    assert growth(1.0, 1.0, last).met is met
    assert growth(1.0, last).growth == last


def test_what_rises_and_falls_again_has_grown() -> None:
    assert growth(1.0, 9.0, 1.0).growth == 9


def test_what_grows_little_by_little_has_grown_by_all_of_it() -> None:
    assert growth(1.0, 1.5, 2.1).growth == 2.1


def test_what_is_dear_where_it_is_small_hides_nothing() -> None:
    assert growth(9.0, 1.0, 3.0, 2.0).growth == 3
    assert growth(9.0, 2.0, 1.0).growth == 0.5


def test_what_costs_too_much_at_every_size_is_seen_beside_what_is_plain() -> None:
    slow = measured(curve(plain=lambda size: size / 3), quick=False)
    assert slow.points[1] == Point(10, 10, 10 / 3)
    assert slow.growth == pytest.approx(3)
    assert measured(curve(plain=lambda size: size / 1.5), quick=False).met


def test_the_least_of_two_answers_is_that_of_each_size() -> None:
    assert least(growth(1.0, 4.0), growth(2.0, 3.0)) == growth(1.0, 3.0)


def test_every_curve_has_at_least_two_sizes_and_a_name_of_its_own() -> None:
    assert all(len(each.sizes) > 1 and len(each.quick) > 1 for each in CURVES)
    assert len({each.name for each in CURVES}) == len(CURVES)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_through_a_file_passes_all_its_events(way: str) -> None:
    assert WAYS[way](filled(300)) == 300


def test_without_the_index_by_type_it_costs_too_much_to_find_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shutil.copy(filled(20_000), tmp_path / "copy.db")
    monkeypatch.setattr(stored, "filled", lambda _events: file)
    (finding,) = (each for each in CURVES if each.plain)
    assert not list(growing([finding], [measured(finding, quick=True)]))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP INDEX events_by_type")
    assert not measured(finding, quick=True, average=min).met
