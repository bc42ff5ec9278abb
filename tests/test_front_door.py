"""The front door of the package: what it lists, what it hands out, and that each is explained."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import dashtam_events

SOURCE = Path(dashtam_events.__file__)


def imported_names() -> list[str]:
    """Every name that the front door imports from the rooms."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    return [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("dashtam_events.")
        for alias in node.names
    ]


def test_all_lists_exactly_what_is_imported_once_and_sorted() -> None:
    """In the order of ruff's RUF022: constants, then classes, then the rest."""
    listed = list(dashtam_events.__all__)
    assert sorted(imported_names()) == sorted(listed)
    assert len(set(listed)) == len(listed)
    assert listed == sorted(listed, key=_rank)


def _rank(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def test_the_catalogue_loads_when_it_is_first_asked_for() -> None:
    code = """
import sys, dashtam_events
assert "dashtam_events.catalogue" not in sys.modules
assert dashtam_events.CATALOGUE is dashtam_events.catalogue.CATALOGUE
assert "dashtam_events.connection" not in sys.modules
from dashtam_events import *
assert ProviderConnection is sys.modules["dashtam_events.connection"].ProviderConnection
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_it_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'ProviderConnector'"):
        getattr(dashtam_events, "ProviderConnector")  # noqa: B009  # the checkers know it is none


def test_dir_lists_what_has_not_loaded_yet() -> None:
    assert set(dashtam_events.__all__) <= set(dir(dashtam_events))


def test_every_listed_name_can_be_had() -> None:
    assert [name for name in dashtam_events.__all__ if not hasattr(dashtam_events, name)] == []


@pytest.mark.parametrize("name", dashtam_events.__all__)
def test_everything_it_hands_out_is_documented(name: str) -> None:
    """A class or function by its docstring; a constant or alias by the string that follows it."""
    public = getattr(dashtam_events, name)
    if inspect.isclass(public) or inspect.isroutine(public):
        assert inspect.getdoc(public), f"{name} has no docstring"
        assert "__doc__" not in vars(public) or vars(public)["__doc__"], (
            f"{name} has none of its own"
        )
    else:
        assert name in documented_assignments(), f"{name} is not explained where it is defined"


def documented_assignments() -> set[str]:
    """Names at the top of a module of the package that a string explains."""
    return {
        name
        for path in SOURCE.parent.rglob("*.py")
        for name in _explained(ast.parse(path.read_text(encoding="utf-8")))
    }


def _explained(module: ast.Module) -> set[str]:
    names: set[str] = set()
    for node, after in zip(module.body, module.body[1:], strict=False):
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            names |= _targets(node)
    return names


def _targets(node: ast.stmt) -> set[str]:
    found = node.targets if isinstance(node, ast.Assign) else []
    found = [node.target] if isinstance(node, ast.AnnAssign) else found
    return {target.id for target in found if isinstance(target, ast.Name)}
