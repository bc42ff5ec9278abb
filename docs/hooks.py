"""Hooks of the docs site: pages made from the code, and nothing fetched from elsewhere."""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

PACKAGE = Path(__file__).resolve().parents[1] / "dashtam_events"
PROMISES = "explanation/promises.md"
INDEX = """# Reference

A page for each room of the package, made from its docstrings. What most programs need is imported
from `dashtam_events` itself.

| room | what it is for |
|---|---|
"""
PROOF = """# The tests behind the promises

Every test that [What is promised](promises.md) refers to, as it stands in the suite.
"""
# In the repository a reader gets to the file; on the site, to the test as this page shows it.
CITED = re.compile(r"\((?:\.\./)+((?:tests|dashtam_events/testing)/[\w/]+\.py)#(\w+)\)")
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
    docstring = ast.get_docstring(_parsed(file)) or ""
    return docstring.partition("\n")[0]


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _entry(module: str) -> str:
    """What mkdocstrings is asked for: a package shows only what no page of a module shows."""
    file = PACKAGE.parent.joinpath(*module.split("."), "__init__.py")
    if not file.is_file():
        return f"::: {module}"
    shown_elsewhere = set(_imported_from_public_modules(_parsed(file)))
    members = [name for name in _listed(_parsed(file)) if name not in shown_elsewhere]
    return f"::: {module}\n    options:\n      members: {members}"


def _imported_from_public_modules(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and "._" not in (node.module or ""):
            yield from (alias.asname or alias.name for alias in node.names)


def _listed(module: ast.Module) -> list[str]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _room_summary(room: str) -> str:
    path = PACKAGE / room
    return _summary(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


def _page(room: str) -> str:
    return f"# {room}\n\n" + "\n\n".join(map(_entry, modules(room))) + "\n"


def _index() -> str:
    rows = "\n".join(f"| [{room}]({room}.md) | {_room_summary(room)} |" for room in rooms())
    return f"{INDEX}{rows}\n"


def source_of(file: str, name: str) -> str:
    """The source of a test.

    Raises:
        PluginError: there is no such test, or more than one.
    """
    path = PACKAGE.parent / file
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.walk(_parsed(path)) if path.is_file() else ()
    found = [_source(path, node) for node in nodes if isinstance(node, kinds) and node.name == name]
    if len(found) != 1:
        raise PluginError(f"there is not one test {name} in {file}, but {len(found)}")
    return found[0]


def _source(file: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    lines = file.read_text(encoding="utf-8").splitlines()[first - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines))


def _proof(promises: str) -> str:
    parts = [PROOF]
    for file, name in dict.fromkeys(CITED.findall(promises)):
        sentence = name.removeprefix("test_").replace("_", " ")
        heading = f"## {sentence} {{#{_anchor(file, name)}}}"
        source = f"```python\n{source_of(file, name)}\n```"
        parts.append(f"{heading}\n\n`{file}`\n\n{source}\n")
    return "\n".join(parts)


def _anchor(file: str, name: str) -> str:
    return f"{Path(file).stem}.{name}"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead from a promise to its test as the site shows it."""
    return CITED.sub(lambda found: f"(proof.md#{_anchor(*found.groups())})", markdown)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages of the rooms under Reference."""
    (reference,) = (entry for entry in config.nav or [] if "Reference" in entry)
    reference["Reference"] += [f"reference/{room}.md" for room in rooms()]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Write the pages of the rooms from their docstrings, and that of the tests referred to."""
    promises = Path(config.docs_dir, PROMISES).read_text(encoding="utf-8")
    files.append(File.generated(config, "explanation/proof.md", content=_proof(promises)))
    files.append(File.generated(config, "reference/index.md", content=_index()))
    for room in rooms():
        files.append(File.generated(config, f"reference/{room}.md", content=_page(room)))
    return files


def on_post_page(output: str, **_: Any) -> str:
    """Refuse a page that makes the reader's browser fetch anything from another host."""
    if found := ELSEWHERE.search(output):
        raise PluginError(f"fetched from another host: {found.group()}")
    return output
