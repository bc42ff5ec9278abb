"""The door of the testing kit: what it lists is there, and says which extra is missing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import dashtam_events.testing as kit


def test_what_is_listed_is_handed_out_and_found_by_dir() -> None:
    assert all(getattr(kit, name) is not None for name in kit.__all__)
    assert set(kit.__all__) <= set(dir(kit))
    assert set(kit._HOME) == set(kit.__all__)


def test_each_room_lists_what_the_door_takes_from_it() -> None:
    for name, room in kit._HOME.items():
        assert name in sys.modules[f"{kit.__name__}.{room}"].__all__


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'givn'"):
        kit.givn  # noqa: B018  # the access is the test


def observed(repository: Path, statement: str, *absent: str) -> dict[str, list[str]]:
    probe = repository / "tests" / "import_probe.py"
    path = str(Path(kit.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, probe, statement, *absent],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": path},
        text=True,
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]  # what the probe prints


@pytest.mark.parametrize("absent", ["hypothesis", "pytest"])
def test_without_the_extra_the_kit_says_which_one_is_missing(repository: Path, absent: str) -> None:
    statement = "from dashtam_events.testing import StoreContract, check_registry"
    raised = observed(repository, statement, absent)["raised"]
    assert raised == [
        "MissingExtra",
        'this needs an extra: pip install "dashtam-events[testing]"',
    ]


def test_pytest_can_pass_the_door_without_the_extra(repository: Path) -> None:
    seen = observed(repository, "import dashtam_events.testing", "hypothesis", "pytest")
    assert seen["raised"] == []
