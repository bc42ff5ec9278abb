"""The page says what was measured, what is not met and why, and shows it in words too."""

from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import attrs
import pytest

from tests.benchmarks.charts import bars, lines, told
from tests.benchmarks.curves import CURVES
from tests.benchmarks.growth import Growth, Point
from tests.benchmarks.harness import Outcome
from tests.benchmarks.page import write_page
from tests.benchmarks.parts import PARTS, Part
from tests.benchmarks.parts.part import completed
from tests.benchmarks.reasons import REASONS, reasons

FAST = Outcome(
    name="a & b",
    unit="µs",
    limit=10.0,
    rival=200.0,
    ours=15.0,
    spread=1.0,
    target=2,
    against="limit",
    note="The rival forgets.",
    least={},
)
SLOW = attrs.evolve(FAST, name="slow", ours=31.0, note="")
GROWTH = Growth(
    name="work",
    along="items",
    unit="µs",
    points=(Point(0, 1.0), Point(1_000, 1.5)),
    most=2.0,
)


def page(folder: Path, outcomes: list[Outcome], growths: list[Growth]) -> str:
    why = list(reasons([*outcomes, *growths]))
    write_page(folder, {"Python": "3"}, outcomes, growths, why, today=date(2026, 1, 2))
    return (folder / "benchmarks.md").read_text(encoding="utf-8")


@pytest.fixture
def written(tmp_path: Path) -> str:
    text = page(tmp_path, [FAST, SLOW], [GROWTH])
    for chart in ("ratios", "growth-1"):
        assert ET.parse(tmp_path / "benchmarks" / f"{chart}.svg").getroot().tag.endswith("svg")
    return text


def test_a_row_has_its_costs_its_ratio_and_its_target(written: str) -> None:
    assert "| a & b | µs | 10 | 200 | 15 | 1 | 1.50 | 0.07 | 2 |" in written
    assert "| slow | µs | 10 | 200 | 31 | 1 | 3.10 | 0.15 | 2, not met |" in written


def test_the_machine_and_the_day_are_told(written: str) -> None:
    assert "Run on 2 January 2026: Python 3." in written


def test_where_guarantees_differ_is_told(written: str) -> None:
    assert "- a & b: The rival forgets." in written


def test_a_target_is_explained_only_where_it_is_not_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REASONS, "slow", "it waits for the moon.")
    monkeypatch.setitem(REASONS, "a & b", "it waits for the sun.")
    monkeypatch.setitem(PARTS, "slow", lambda: [Part("waiting", 16.0)])
    text = page(tmp_path, [FAST, SLOW], [])
    assert "**slow** is not within its target: it waits for the moon." in text
    assert "| waiting | 16.00 |" in text
    assert "sun" not in text


def test_a_curve_that_grows_is_explained_where_curves_are(tmp_path: Path) -> None:
    text = page(tmp_path, [FAST], [attrs.evolve(GROWTH, most=1.2)])
    assert text.index("**work** is not within its target") > text.index("## How cost grows")
    assert "1.50 | 1.2, not met |" in text


def test_what_a_curve_is_compared_with_stands_beside_it(tmp_path: Path) -> None:
    points = (Point(10, 3.0, 2.0), Point(100, 4.0, 2.5))
    text = page(tmp_path, [FAST], [attrs.evolve(GROWTH, points=points)])
    assert "| 10: 3 beside 2, 100: 4 beside 2.5 | 1.60 | 2 |" in text


def test_what_nobody_has_looked_into_is_said_to_be_so(written: str) -> None:
    assert "**slow** is not within its target: it was over it in this run" in written


@pytest.mark.parametrize(
    ("against", "shown"),
    [("rival", "| 0.07 | 2 of the rival |"), ("absolute", "| 2 µs, not met |")],
)
def test_a_target_says_what_it_is_compared_with(tmp_path: Path, against: str, shown: str) -> None:
    row = attrs.evolve(FAST, against=against)
    assert shown in page(tmp_path, [row, attrs.evolve(FAST, name="other")], [])


def test_each_picture_is_in_words_too(written: str) -> None:
    assert f"![{told(GROWTH)}](benchmarks/growth-1.svg)" in written
    assert told(GROWTH) == "work, µs, by items: 0: 1; 1,000: 1.5"


def test_what_costs_less_than_the_limit_has_a_bar_to_the_left_of_the_line() -> None:
    tree = ET.fromstring(bars([attrs.evolve(FAST, ours=5.0)]))
    line = next(each for each in tree.iter() if each.get("class") == "limit")
    ours, rival = (
        next(each for each in tree.iter() if each.get("class") == kind)
        for kind in ("ours", "rival")
    )
    assert float(ours.get("x", 0)) < float(line.get("x1", 0)) == float(rival.get("x", 0))


def test_a_picture_can_be_read_on_both_backgrounds() -> None:
    for picture in (lines(GROWTH), bars([FAST])):
        assert "prefers-color-scheme: dark" in picture
        assert '<rect class="page"' in picture


def test_what_is_explained_is_a_row_or_a_curve() -> None:
    # The rivals, which the rows load, are not there where the suite runs.
    folder = Path(__file__).parent
    files = [folder / "table.py", folder / "sse_rows.py", folder / "postgres" / "rows.py"]
    sources = "".join(file.read_text() for file in files)
    curves = {curve.name for curve in CURVES}
    assert all(f'name="{name}"' in sources for name in REASONS.keys() - curves)
    assert PARTS.keys() <= REASONS.keys()


def test_what_is_left_of_the_whole_is_a_part_too() -> None:
    assert completed([Part("a", 1.0), Part("b", 2.5)], "rest", 5.0)[-1] == Part("rest", 1.5)


@pytest.mark.parametrize("name", [name for name in PARTS if "append" not in name])
def test_parts_are_measured_whenever_they_are_asked_for(name: str) -> None:
    parts = PARTS[name]()
    assert len({part.name for part in parts}) == len(parts) > 2
    assert sum(part.cost for part in parts) > 0
