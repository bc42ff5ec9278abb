"""What holds for every adapter: small, driven by declarations, and loaded only where it is used."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dashtam_events
from dashtam_events.adapters._names import snake_name
from dashtam_events.catalogue import CATALOGUE

PACKAGE = Path(dashtam_events.__file__).parent
MODULES = sorted((PACKAGE / "adapters").rglob("*.py"))


def probe(repository: Path, statement: str, *absent: str) -> dict[str, list[str]]:
    """Run a statement in a process of its own; say what it loaded and raised."""
    script = str(repository / "tests" / "import_probe.py")
    outcome = subprocess.run(
        [sys.executable, "-W", "error", script, statement, *absent],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    seen: dict[str, list[str]] = json.loads(outcome.stdout)
    return seen


def test_the_package_loads_no_adapter_and_no_extra(repository: Path) -> None:
    seen = probe(repository, "import dashtam_events.adapters")
    assert not {"jinja2", "aiosmtplib", "structlog", "sqlalchemy"} & set(seen["loaded"])


@pytest.mark.parametrize("adapter", ["logging", "sessions"])
def test_an_adapter_without_an_extra_needs_none(repository: Path, adapter: str) -> None:
    statement = f"import dashtam_events.adapters.{adapter}"
    assert probe(repository, statement, "jinja2", "aiosmtplib", "structlog")["raised"] == []


@pytest.mark.parametrize("absent", ["jinja2", "aiosmtplib"])
def test_mail_without_its_extra_says_what_to_install(repository: Path, absent: str) -> None:
    kind, said = probe(repository, "import dashtam_events.adapters.email", absent)["raised"]
    assert kind == "MissingExtra"
    assert 'pip install "dashtam-events[email]"' in said


def classes(module: Path) -> Iterator[ast.ClassDef]:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


HANDLERS = [module for module in MODULES if any("Handler" in c.name for c in classes(module))]


@pytest.mark.parametrize("module", HANDLERS, ids=lambda module: module.stem)
def test_an_adapter_has_at_most_150_lines(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_no_adapter_has_a_method_for_an_event(module: Path) -> None:
    events = {snake_name(CATALOGUE.spec_of(cls).name) for cls in CATALOGUE}
    named = [
        node.name
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert not [name for name in named if any(event in name for event in events)]
