"""Pictures of a terminal's screen, colours and all."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pyte
from pyte.screens import Char
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.e2e.terminal import UNKNOWN_TO_PYTE, Terminal


class Camera:
    """Takes pictures of one terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._screen = pyte.Screen(terminal.columns, terminal.rows)
        self._stream = pyte.ByteStream(self._screen)
        self._fed = 0

    def take(self, path: Path) -> None:
        """Writes `path`.svg and `path`.txt: the screen as it is now."""
        raw = self._terminal.raw
        self._stream.feed(UNKNOWN_TO_PYTE.sub(b"", raw[self._fed :]))
        self._fed = len(raw)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.svg").write_text(_svg(self._screen, path.name))
        path.with_name(f"{path.name}.txt").write_text(
            "\n".join(str(line).rstrip() for line in self._screen.display).rstrip() + "\n"
        )


def _svg(screen: pyte.Screen, title: str) -> str:
    columns, rows = screen.columns, screen.lines
    console = Console(
        record=True, file=StringIO(), width=columns, height=rows, color_system="truecolor",
        force_terminal=True, legacy_windows=False,
    )  # fmt: skip
    for row in range(rows):
        line = Text(no_wrap=True, end="")
        for column in range(columns):
            cell = screen.buffer[row][column]
            line.append(cell.data, _style(cell))
        console.print(line, soft_wrap=True)
    return console.export_svg(title=f"convtui {columns}x{rows}: {title}", theme=MONOKAI)


def _style(cell: Char) -> Style:
    return Style(
        color=_colour(cell.fg), bgcolor=_colour(cell.bg), bold=cell.bold, italic=cell.italics,
        underline=cell.underscore, strike=cell.strikethrough, reverse=cell.reverse,
    )  # fmt: skip


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name):
        return f"#{name}"
    return {"brown": "yellow"}.get(name, name)
