"""The front door of the package: what it lists, what it hands out, and that each is explained."""

import ast
import inspect
from pathlib import Path

import pytest

import dashtam_events

SOURCE = Path(dashtam_events.__file__)


def imported_names() -> list[str]:
    """Every name that the front door imports from the rooms."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    return [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
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


def test_it_holds_imports_and_all_and_nothing_else() -> None:
    docstring, *rest = ast.parse(SOURCE.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert {type(node) for node in rest} <= {ast.ImportFrom, ast.Assign}


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
