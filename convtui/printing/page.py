"""The page that a printer writes: lines and wrapped blocks, and progress beside it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from convtui.printing.output import BOLD, CYAN, DIM, GREEN, Output, Piece
from convtui.records.codec import RecordDict, address
from convtui.text.boundary import visible_line
from convtui.transcript.fold import Turn

_LEAST: Final = 16
_MARGIN: Final = 16
"""Columns before the text of a turn: number and speaker."""
_STAGES: Final[Mapping[str, str]] = {
    "turn.started": "begins",
    "llm.request": "waits for the reply",
    "llm.partial": "is answering",
    "llm.retry": "tries again",
    "tool.called": "calls a tool",
    "debug.held": "is held",
}


@dataclass(slots=True, frozen=True)
class SaidTurn:
    """A turn as it is printed, or an attempt at it that was dropped. Texts are fit to be shown."""

    turn: Turn
    """As it is at this point of the log."""
    text: str | None
    """None where there are only marks."""
    struck: bool
    marks: tuple[tuple[str, str], ...]
    """What stands below the text, a line or more each, with its colour."""


class Page:
    """Writes to `out` (None writes nothing); progress and stage lines go to `err`."""

    def __init__(
        self,
        out: TextIO | None,
        err: TextIO | None,
        *,
        width: int | None,
        color: bool,
        progress: bool,
        plain: bool = False,
    ) -> None:
        self.width = width
        self.progress = progress
        """Whether `err` shows what is going on."""
        self._plain = plain
        self._out = None if out is None else Output(out, color=color)
        self._err = None if err is None else Output(err, color=color)

    def line(self, text: str = "", code: str = "") -> None:
        self._pieces((text, code))

    def block(self, text: str, first: str, rest: str, code: str = "", head: str = "") -> None:
        """Writes wrapped text; `first` precedes its first line and `rest` the others."""
        lines: list[str] = []
        for line in text.split("\n"):
            if self.width is None:
                lines.append(line)
            else:
                room = max(_LEAST, self.width - len(rest))
                lines += textwrap.wrap(line, room) or [""]
        for number, line in enumerate(lines):
            self._pieces((first, head) if number == 0 else rest, (line, code))

    def turn(self, said: SaidTurn) -> None:
        """Writes the text of a turn, then a line for each mark."""
        turn = said.turn
        speaker = visible_line(turn.speaker, 40)
        if self._plain or self.width is None:
            first, rest = f"{turn.address} {speaker}: ", "    "
        else:
            first, rest = f"{turn.number:>4} {speaker:<9}  ", " " * _MARGIN
        head = f"{BOLD};{CYAN if turn.speaker == 'persona' else GREEN}"
        if said.text is not None:
            self.block(said.text, first, rest, DIM if said.struck else "", head)
            first = rest
        for mark, code in said.marks:
            self.block(mark, first, rest + "  ", code, head if first != rest else "")
            first = rest

    def _pieces(self, *pieces: Piece) -> None:
        if self._out is not None:
            self.clear_progress()
            self._out.line(*pieces)

    def aside(self, text: str) -> None:
        """Writes a line to `err`."""
        if self._err is not None:
            self._err.line(text)

    def announce(self, text: str) -> None:
        """Writes a line to `err` that is seen at once."""
        if self._err is not None:
            self._err.clear()
            self._err.line(text)
            self._err.flush()

    def clear_progress(self) -> None:
        if self._err is not None:
            self._err.clear()

    def show_progress(self, record: RecordDict) -> None:
        if not self.progress or self._err is None:
            return
        stage = _STAGES.get(str(record.get("type")))
        if stage is None:
            return
        width = (self.width or 80) - 1
        where = address(record) or ""
        text = f"{record.get('t', 0.0):6.1f} s  {where} {record.get('side', '')} {stage}"
        self._err.progress(visible_line(text, width), code=DIM)

    def stage_line(self, record: RecordDict) -> None:
        """Writes a record of a stage or a hook in one line to `err`."""
        from convtui.printing.stage_lines import stage_line

        text = stage_line(record)
        if text is None:
            return
        where = " ".join(filter(None, (address(record), str(record.get("side") or ""))))
        line = f"{record.get('t', 0.0):8.3f} {where + ' ' if where else ''}{text}"
        self.aside(visible_line(line))
