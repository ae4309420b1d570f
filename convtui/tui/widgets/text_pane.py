"""A pane for text of any length, wrapped and drawn as it becomes visible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip

from convtui.text.boundary import visible
from convtui.tui.drawing.palette import Palette, Span, plain
from convtui.tui.drawing.wrap import Wrapped, count_lines, paint
from convtui.tui.widgets.line_view import CopyRow, LineView

_BLOCK_CHARS = 4_096
_KEPT = 200

Mark = tuple[int, int, str]


@dataclass(slots=True)
class Block:
    """Text that is wrapped as a unit; `marks` are spans of it with roles."""

    text: str
    role: str = "text"
    indent: int = 0
    marks: list[Mark] = field(default_factory=list)
    joined: bool = False
    """Whether the next block continues the text without a newline."""
    label: Sequence[Span] = ()
    """Drawn in the indent of the first line, and as wide as that."""


class Document:
    """The content of a pane, written from top to bottom."""

    def __init__(self) -> None:
        self.pieces: list[Block] = []

    def line(self, *spans: Span, indent: int = 0, label: Sequence[Span] = ()) -> Document:
        """Adds a line of several roles; it wraps to the right of `label`."""
        if label:
            indent = sum(len(text) for text, _ in label)
        marks: list[Mark] = []
        position = 0
        for text, role in spans:
            marks.append((position, position + len(text), role))
            position += len(text)
        text = "".join(text for text, _ in spans)
        self.pieces.append(Block(text, "text", indent, marks, label=label))
        return self

    def blank(self) -> Document:
        self.pieces.append(Block(""))
        return self

    def head(self, title: str, note: str = "") -> Document:
        """Adds a heading, after an empty line unless it is the first."""
        if self.pieces:
            self.blank()
        return self.line((title, "accent bold"), (f"  {note}" if note else "", "muted"))

    def field(self, name: str, value: str, role: str = "text", width: int = 14) -> Document:
        return self.line((value, role), label=[(f"{name:<{width}} ", "muted")])

    def nothing(self, why: str) -> Document:
        """Says that there is nothing to show, and why."""
        return self.line(("nothing here", "muted bold")).line((why, "muted"))

    def text(
        self, text: str, role: str = "text", *, indent: int = 0, marks: Iterable[Mark] = ()
    ) -> Document:
        """Adds text of any length; `marks` are spans of it."""
        left = sorted(marks)
        position = 0
        while True:
            end, gap = _block_end(text, position)
            inside = [
                (max(start, position) - position, min(stop, end) - position, name)
                for start, stop, name in left
                if start < end and stop > position
            ]
            joined = end < len(text) and not gap
            self.pieces.append(Block(text[position:end], role, indent, inside, joined))
            position = end + gap
            if end >= len(text):
                return self

    def spans(self, spans: Sequence[Span], *, indent: int = 0) -> Document:
        """Adds text of several roles and any length."""
        marks: list[Mark] = []
        position = 0
        for text, role in spans:
            if role != "text":
                marks.append((position, position + len(text), role))
            position += len(text)
        return self.text("".join(text for text, _ in spans), indent=indent, marks=marks)

    def __str__(self) -> str:
        return "".join(
            plain(piece.label) + piece.text + ("" if piece.joined else "\n")
            for piece in self.pieces
        )


def _block_end(text: str, start: int) -> tuple[int, int]:
    """The end of a block that starts at `start`, and the characters to skip before the next."""
    if len(text) - start <= _BLOCK_CHARS:
        return len(text), 0
    end = text.rfind("\n", start, start + _BLOCK_CHARS)
    if end > start:
        return end, 1
    end = text.rfind(" ", start, start + _BLOCK_CHARS)
    return (end + 1, 0) if end > start else (start + _BLOCK_CHARS, 0)


class TextPane(LineView):
    """Shows a `Document`."""

    # A block can take a millisecond.
    CHUNK: ClassVar[int] = 2

    def __init__(
        self,
        doc: Document | None = None,
        *,
        palette: Palette | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(palette=palette, name=name, id=id, classes=classes)
        self._doc = doc or Document()
        self._wrapped: dict[int, Wrapped] = {}

    @property
    def doc(self) -> Document:
        return self._doc

    def show(self, doc: Document, *, keep_place: bool = False) -> None:
        """Shows a document from the top, or from the current scroll position."""
        top = round(self.scroll_y)
        self._doc = doc
        self._wrapped.clear()
        self.load(len(doc.pieces), 1)
        if keep_place:
            self.scroll_to(y=top, animate=False)

    def on_mount(self) -> None:
        self.load(len(self._doc.pieces), 1)

    def rewrap(self) -> None:
        self._wrapped.clear()

    def _room(self, piece: Block) -> int:
        return max(4, self.view_width - piece.indent - 1)

    def measure(self, item: int) -> int:
        piece = self._doc.pieces[item]
        return count_lines(piece.text, self._room(piece))

    def _wrap(self, item: int) -> Wrapped:
        wrapped = self._wrapped.get(item)
        if wrapped is None:
            if len(self._wrapped) > _KEPT:
                self._wrapped.clear()
            piece = self._doc.pieces[item]
            wrapped = self._wrapped[item] = Wrapped(piece.text, self._room(piece))
        return wrapped

    def row(self, item: int, row: int) -> Strip:
        piece = self._doc.pieces[item]
        wrapped = self._wrap(item)
        if row >= len(wrapped):
            return Strip([])
        marks = [(*wrapped.span(start, end), role) for start, end, role in piece.marks]
        pieces = paint(wrapped.starts[row], wrapped.ends[row], marks, piece.role)
        style = self.palette.style
        segments = [Segment(" " * piece.indent)] if piece.indent else []
        if row == 0 and piece.label:
            segments = [Segment(visible(text), style(role)) for text, role in piece.label]
        segments += [
            Segment(wrapped.text[low:high], style(role)) for low, high, role in pieces if low < high
        ]
        return Strip(segments)

    def copy_row(self, item: int, row: int) -> CopyRow:
        piece = self._doc.pieces[item]
        wrapped = self._wrap(item)
        if row >= len(wrapped):
            return CopyRow("")
        glue = "\n"
        if wrapped.is_soft(row):
            glue = " " if wrapped.ends[row] < wrapped.starts[row + 1] else ""
        elif row == len(wrapped) - 1 and piece.joined:
            glue = ""
        before = plain(piece.label) if row == 0 and piece.label else " " * piece.indent
        return CopyRow(before + wrapped.line(row), piece.indent, glue)

    def all_text(self) -> str:
        return str(self._doc)
