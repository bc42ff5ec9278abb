"""How the demo is shown: one panel per fact that grows row by row, or plain lines in a pipe."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

import attrs
from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

__all__ = ["Scene", "Stage"]

_WIDEST = 110
_LABELS = {
    "decide": "bold cyan",
    "append": "bold green",
    "log": "bold yellow",
    "live": "bold magenta",
    "state": "bold blue",
    "refused": "bold red",
    "read": "bold cyan",
}


@attrs.define
class Scene:
    """One fact as it is shown: what was decided, what was stored, who heard, and what is so now."""

    title: str
    _live: Live | None
    _console: Console
    _pause: float
    _rows: list[tuple[str, Text]] = attrs.field(factory=list, init=False)

    async def row(self, label: str, text: Text | str) -> None:
        """Add a row, and on a terminal give the reader a moment for it."""
        shown = Text(text) if isinstance(text, str) else text
        self._rows.append((label, shown))
        if self._live is None:
            for first, each in enumerate(shown.split("\n")):
                self._console.print(Text(f"  {'' if first else label:<8}") + each, soft_wrap=True)
            return
        self._live.update(self.panel(), refresh=True)
        await asyncio.sleep(self._pause)

    def panel(self) -> RenderableType:
        """All the rows so far."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(min_width=7, no_wrap=True)
        grid.add_column(overflow="fold")
        for label, text in self._rows:
            grid.add_row(Text(label, style=_LABELS.get(label, "bold")), text)
        width = min(self._console.width, _WIDEST)
        return Panel(grid, title=self.title, title_align="left", border_style="dim", width=width)


@attrs.define
class Stage:
    """Where the demo prints; `plain` is for pipes.

    On a terminal it rests for `pause` seconds on every row.
    """

    console: Console
    plain: bool
    pause: float
    _count: int = attrs.field(default=0, init=False)

    @contextmanager
    def scene(self, title: str) -> Generator[Scene, None, None]:
        """A numbered scene; what it shows stays on the screen when it ends."""
        self._count += 1
        title = f"{self._count}. {title}"
        if self.plain:
            self.say(f"\n{title}")
            yield Scene(title, None, self.console, 0.0)
            return
        with Live(console=self.console, auto_refresh=False, vertical_overflow="visible") as live:
            yield Scene(title, live, self.console, self.pause)

    def say(self, text: Text | str = "") -> None:
        """A line between the scenes."""
        self.console.print(text, soft_wrap=True)
