"""The Python on the README and the pages of the docs, block by block, and as modules for mypy.

`python -m tests.pages FOLDER` writes those modules, whose line numbers are those of the pages.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ROOT", "blocks", "pages", "write_modules"]

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(
    r"^(?P<indent> *)```python\b[^\n]*\n(?P<code>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)


def pages() -> list[Path]:
    """The README and every page of the docs that shows code."""
    written = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in written if _BLOCK.search(page.read_text(encoding="utf-8"))]


def blocks(page: Path) -> Iterator[tuple[int, str]]:
    """The code of each block, with the number of lines above it."""
    text = page.read_text(encoding="utf-8")
    for block in _BLOCK.finditer(text):
        yield text.count("\n", 0, block.start("code")), textwrap.dedent(block["code"])


def write_modules(folder: Path) -> None:
    """Write each page as a module: its blocks are the body of one function, which may await."""
    for page in pages():
        lines = ["async def page() -> None:"]
        for above, code in blocks(page):
            lines += [""] * (above - len(lines))
            lines += textwrap.indent(code, "    ").splitlines()
        name = re.sub(r"\W", "_", page.relative_to(ROOT).with_suffix("").as_posix())
        (folder / f"{name}.py").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_modules(Path(sys.argv[1]))
