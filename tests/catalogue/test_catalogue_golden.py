"""The stored forms of the catalogue are what they were when they were first released.

Run this file to write `golden.json` anew after a deliberate change.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from dashtam_events.catalogue import CATALOGUE
from dashtam_events.catalogue.export import describe

GOLDEN = Path(__file__).with_name("golden.json")
ADVICE = """
Events that are stored must be read for ever. If this change is meant:
  - a new event, a new field with a default, an adapter rule: old events still read as they are;
  - anything else (a field renamed, removed, retyped, made required, another meaning): declare
    `version` one higher with an upcaster from the version before; its old line stays in the file.
Then run `python tests/catalogue/test_catalogue_golden.py` and commit golden.json with the change.
"""

Forms = dict[str, dict[str, Any]]


def current() -> Forms:
    """Each event of the catalogue as `name@version`, with everything that it declares."""
    forms: Forms = {}
    for name, described in describe(CATALOGUE).items():
        cls = CATALOGUE.get(name)
        assert cls is not None
        spec = CATALOGUE.spec_of(cls)
        forms[f"{name}@{spec.version}"] = {"subject": spec.subject, **described}
    return forms


def differences(golden: Forms, now: Forms) -> list[str]:
    """What changed, a line each; an earlier version of an event that is still there may stay."""
    names = {key.partition("@")[0] for key in now}
    gone = [key for key in golden if key.partition("@")[0] not in names]
    changed = [
        f"{key}: {', '.join(part for part in form if form[part] != golden[key].get(part))}"
        for key, form in now.items()
        if key in golden and form != golden[key]
    ]
    new = [key for key in now if key not in golden]
    return (
        [f"gone: {key}" for key in gone]
        + [f"changed: {line}" for line in changed]
        + [f"new: {key}" for key in new]
    )


def recorded() -> Forms:
    forms: Forms = json.loads(GOLDEN.read_text("utf-8"))
    return forms


def write() -> None:
    """Write the golden file, one event a line; earlier versions stay."""
    forms = (recorded() if GOLDEN.exists() else {}) | current()
    lines = (f"{json.dumps(key)}: {json.dumps(form)}" for key, form in forms.items())
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def test_the_catalogue_is_what_the_golden_file_says() -> None:
    found = differences(recorded(), current())
    assert not found, "\n".join(["the catalogue is not what was released:", *found, ADVICE])


def test_earlier_versions_in_the_golden_file_are_still_readable() -> None:
    for key in recorded():
        name, _, version = key.partition("@")
        assert CATALOGUE.get(name, int(version)) is not None, key


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("fields", [{"name": "email", "type": "bytes"}]),
        ("audit", None),
        ("workflow", "user_signup"),
        ("subject", "email"),
    ],
)
def test_a_change_is_named_by_event_and_part(part: str, value: object) -> None:
    now = current()
    now["UserLoginFailed@1"][part] = value
    assert differences(current(), now) == [f"changed: UserLoginFailed@1: {part}"]


def test_an_event_that_is_gone_or_new_is_named() -> None:
    now = current()
    now["UserLoginLost@1"] = now.pop("UserLoginFailed@1")
    assert differences(current(), now) == ["gone: UserLoginFailed@1", "new: UserLoginLost@1"]


def test_the_old_form_of_an_event_with_a_new_version_may_stay() -> None:
    now = current()
    now["UserLoginFailed@2"] = now.pop("UserLoginFailed@1")
    assert differences(current() | now, now) == []


if __name__ == "__main__":
    write()
