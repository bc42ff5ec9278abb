"""Hooks of the docs site: a reference page for each room, and nothing fetched from elsewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

PACKAGE = Path(__file__).resolve().parents[1] / "dashtam_events"
ELSEWHERE = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//""")


def rooms() -> list[str]:
    """The public modules and packages at the top of the package, in alphabetical order."""
    found = [path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or _is_room(path)]
    return sorted(name for name in found if not name.startswith("_"))


def _is_room(path: Path) -> bool:
    return (path / "__init__.py").is_file()


def modules(room: str) -> Iterator[str]:
    """The dotted names of a room's public modules that say something."""
    path = PACKAGE / room
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    for file in files:
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        names = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(name.startswith("_") for name in names) and _summary(file):
            yield ".".join(("dashtam_events", *names))


def _summary(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def _room_summary(room: str) -> str:
    path = PACKAGE / room
    return _summary(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


def _page(room: str) -> str:
    return f"# {room}\n\n" + "\n\n".join(f"::: {module}" for module in modules(room)) + "\n"


def _index() -> str:
    rows = (f"| [{room}]({room}.md) | {_room_summary(room)} |" for room in rooms())
    return "\n".join(["# Reference", "", "| room | what it is for |", "|---|---|", *rows, ""])


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages of the rooms under Reference."""
    (reference,) = (entry for entry in config.nav or [] if "Reference" in entry)
    reference["Reference"] += [f"reference/{room}.md" for room in rooms()]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Write the pages of the rooms from their docstrings."""
    files.append(File.generated(config, "reference/index.md", content=_index()))
    for room in rooms():
        files.append(File.generated(config, f"reference/{room}.md", content=_page(room)))
    return files


def on_post_page(output: str, **_: Any) -> str:
    """Refuse a page that makes the reader's browser fetch anything from another host."""
    if found := ELSEWHERE.search(output):
        raise PluginError(f"fetched from another host: {found.group()}")
    return output
