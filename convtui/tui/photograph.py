"""A picture of the screen: an SVG and the same as text, without secrets."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment, Segments
from textual.app import App

from convtui.config.paths import Paths, write_private
from convtui.errors import FileError
from convtui.text.boundary import visible
from convtui.tui.drawing.labels import short_path
from convtui.tui.screens.action_screen import action_screen_of
from convtui.tui.textual_compat import drawn_lines

if TYPE_CHECKING:
    from convtui.config.settings import Config
    from convtui.secrets.redactor import Redactor

Line = Sequence[Segment]
Spans = Callable[[str], Sequence[tuple[int, int]]]
_MOST = 1_000
"""Pictures with the same name, after which it gives up."""


def masked(line: Line, spans: Spans) -> list[Segment]:
    """A line with its secrets starred out, in the cells that they take."""
    text = "".join(segment.text for segment in line if not segment.control)
    hidden = spans(text)
    if not hidden:
        return [segment for segment in line if not segment.control]
    shown: list[Segment] = []
    start = 0
    for segment in line:
        if segment.control:
            continue
        characters = [
            "*" * cell_len(character)
            if any(first <= at < last for first, last in hidden)
            else character
            for at, character in enumerate(segment.text, start)
        ]
        shown.append(Segment("".join(characters), segment.style))
        start += len(segment.text)
    return shown


def pictures(lines: Sequence[Line], width: int, title: str) -> tuple[str, str]:
    """The lines as (SVG, text)."""
    console = Console(
        width=width,
        height=len(lines),
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        record=True,
        legacy_windows=False,
    )
    for line in lines:
        console.print(Segments([*line, Segment.line()]), end="")
    text = console.export_text(clear=False)
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    return console.export_svg(title=title), text


def save(lines: Sequence[Line], width: int, folder: Path, stem: str) -> Path:
    """Writes `STEM.svg` and `STEM.txt`, or the next free number; returns the SVG's path.

    Blocking. Raises `FileError`.
    """
    from convtui.secrets.redactor import Redactor

    redactor: Redactor = Redactor.of_process()
    clean = [masked(line, redactor.spans) for line in lines]
    svg, text = pictures(clean, width, "convtui")
    for number in range(1, _MOST):
        name = stem if number == 1 else f"{stem}-{number}"
        picture, words = folder / f"{name}.svg", folder / f"{name}.txt"
        if words.exists() or not write_private(picture, svg, replace=False):
            continue
        write_private(words, text, replace=False)
        return picture
    raise FileError(f"{folder / stem}.svg: there are too many pictures of this name")


async def photograph(app: App[Any], config: Config | None) -> None:
    """Saves a picture of the screen as it is once a palette over it is gone, and says where."""
    drawn = asyncio.Event()
    app.call_after_refresh(drawn.set)
    await drawn.wait()
    paths = config.paths if config is not None else Paths.find()
    stem = time.strftime("screen-%Y%m%d-%H%M%S")
    lines, width = drawn_lines(app), app.size.width
    picture = await asyncio.to_thread(save, lines, width, paths.exports_dir, stem)
    screen = action_screen_of(app)
    if screen is not None:
        where = visible(short_path(picture.with_suffix("")))
        screen.tell(f"Saved the screen: {where}.svg and .txt")
