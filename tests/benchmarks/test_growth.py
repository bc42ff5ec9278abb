"""How cost grows is measured at each size, and said to be within its bound only where it is."""

import pytest

from tests.benchmarks.curves import CURVES
from tests.benchmarks.curves.filled import filled
from tests.benchmarks.curves.passing import WAYS
from tests.benchmarks.growth import Curve, Growth, Point, measured


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


@pytest.mark.parametrize(("last", "met"), [(2.0, True), (2.1, False), (0.5, True)])
def test_what_grows_by_more_than_its_bound_is_not_met(last: float, met: bool) -> None:
    assert growth(1.0, 9.0, last).met is met
    assert growth(1.0, 9.0, last).growth == last


def test_every_curve_has_at_least_two_sizes_and_a_name_of_its_own() -> None:
    assert all(len(each.sizes) > 1 and len(each.quick) > 1 for each in CURVES)
    assert len({each.name for each in CURVES}) == len(CURVES)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_through_a_file_passes_all_its_events(way: str) -> None:
    assert WAYS[way](filled(300)) == 300
