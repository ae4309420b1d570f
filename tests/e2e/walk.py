"""A walk through the program in a real terminal: steps as data, and the one who walks them.

With `CONVTUI_WALK_PICTURES=DIR` every step leaves a picture of the screen, as SVG and as text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.builders.waiting import WITHIN
from tests.e2e.pictures import Camera
from tests.e2e.terminal import KEYS, Terminal, clean_environment, convtui

PICTURES = "CONVTUI_WALK_PICTURES"
BETWEEN_KEYS = 0.06
"""Nothing is painted for so long before the next key: faster ones would be a paste."""
BEFORE_ENTER = 0.35
"""A text that has just come is not sent by an Enter that was meant for something else. Nor is it a
command what follows text at once; and what follows Escape at once is a key with alt."""
_FRAMES = re.compile(r"[\u2500-\u258b\u258d-\u259f|\s]+")


@dataclass(frozen=True, kw_only=True)
class Step:
    """What the developer does, and what the screen shows then.

    Texts are compared without frames, but for the bar of the selected turn, and with any line
    break as a space.
    """

    name: str
    saves: Mapping[str, str] | None = None
    """Changes of the provider's file, old text to new; first of all."""
    runs: Sequence[str] = ()
    """A command to start, instead of keys."""
    keys: Sequence[str] = ()
    """Keys by name; other text is typed letter by letter."""
    shows: Sequence[str] = ()
    hides: Sequence[str] = ()
    exits: int | None = None
    """The program ends, with this status."""


class Walker:
    """Walks steps in a folder of its own, in a terminal of one size."""

    def __init__(self, folder: Path, size: tuple[int, int], provider: str) -> None:
        self._folder, self._size = folder, size
        self._provider = folder / provider
        self._terminal: Terminal | None = None
        self._camera: Camera | None = None
        self._pressed = ""
        self._chunks = 0
        """What the program had written when a key was pressed last."""
        self._taken = 0

    def walk(self, steps: Sequence[Step]) -> None:
        """Raises `AssertionError` that names the step where the screen is not as expected."""
        try:
            for step in steps:
                try:
                    self._take(step)
                except AssertionError as error:
                    raise AssertionError(f"step {step.name!r}: {error}") from error
                finally:
                    self._keep_picture(step)
        finally:
            self._leave()

    def _take(self, step: Step) -> None:
        for old, new in (step.saves or {}).items():
            source = self._provider.read_text()
            assert old in source, f"{old!r} is not in {self._provider.name}"
            self._provider.write_text(source.replace(old, new))
        if step.runs:
            self._leave()
            self._pressed = ""
            self._terminal = Terminal(
                convtui(*step.runs),
                columns=self._size[0],
                rows=self._size[1],
                env=clean_environment(self._folder),
                cwd=self._folder,
            )
        assert self._terminal is not None
        for key in step.keys:
            self._press(key)
        if step.exits is not None:
            assert self._terminal.wait() == step.exits
        self._terminal.wait_for(
            lambda: (
                all(text in self._text for text in step.shows)
                and not any(text in self._text for text in step.hides)
            ),
            f"shows {list(step.shows)}, hides {list(step.hides)}",
            timeout=WITHIN,
        )
        assert b"Traceback" not in self._terminal.raw

    def _press(self, key: str) -> None:
        terminal = self._terminal
        assert terminal is not None
        strokes = [key] if key in KEYS else key
        for stroke in strokes:
            if self._pressed == "escape":
                # A busy machine may not have given it to the program yet.
                terminal.wait_for(
                    lambda: len(terminal.chunks) > self._chunks, "something that Escape does"
                )
            slowly = "enter" in (stroke, self._pressed) or self._pressed == "escape"
            terminal.quiet(BEFORE_ENTER if slowly else BETWEEN_KEYS, timeout=1)
            self._chunks = len(terminal.chunks)
            terminal.press(stroke)
            self._pressed = stroke

    @property
    def _text(self) -> str:
        assert self._terminal is not None
        return _FRAMES.sub(" ", self._terminal.text)

    def _keep_picture(self, step: Step) -> None:
        self._taken += 1
        folder = os.environ.get(PICTURES)
        if folder and self._terminal is not None:
            columns, rows = self._size
            name = f"{self._taken:02}-{step.name.replace(' ', '-')}"
            if self._camera is None:
                self._camera = Camera(self._terminal)
            self._terminal.quiet()
            self._camera.take(Path(folder) / f"{columns}x{rows}" / name)

    def _leave(self) -> None:
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = self._camera = None
