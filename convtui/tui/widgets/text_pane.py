"""A pane for text of any length, wrapped and drawn as it becomes visible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from convtui.text.boundary import visible
from convtui.tui.drawing.glyphs import FOLDED, UNFOLDED
from convtui.tui.drawing.palette import Palette, Span, plain
from convtui.tui.drawing.word_diff import without_signs
from convtui.tui.drawing.wrap import Wrapped, count_lines, paint
from convtui.tui.widgets.copy_rows import CopyRow
from convtui.tui.widgets.line_view import LineView

_BLOCK_CHARS = 4_096
_KEPT = 200
_CRAMPED: Final = 24
"""Cells below which long values are below their names."""
MAX_BLOCKS: Final = 5_000
"""Blocks of a document up to which all folds open at once."""
_MAX_COPIED: Final = 20_000
"""The same for what is copied."""

Mark = tuple[int, int, str]


@dataclass(slots=True)
class Fold:
    """What is hidden below a block while it is folded."""

    key: str
    """The same when the document is made again."""
    folded: Sequence[Span]
    """What the block says while it is folded."""
    inside: Callable[[], Sequence[Block]] = field(compare=False)
    open: bool = False
    """Whether it is open unless somebody has folded it."""


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
    right: Span = ("", "")
    """Drawn at the end of the first line, in a column that nothing else is in."""
    hang: int = 0
    """More indent for all lines but the first."""
    depth: int = 0
    """Cells of the indent that are copied with the text."""
    gives_way: bool = False
    """Whether a long text goes below its label where there is little room beside it."""
    fold: Fold | None = None
    """What is below it, with a sign in the last two cells of the indent."""
    is_folded: bool = False

    @property
    def room_taken(self) -> int:
        """The cells of a line that its text does not have."""
        right = cell_len(self.right[0])
        return self.indent + self.hang + (right + 2 if right else 0)

    def below_label(self) -> Block:
        """The block with its text below its label."""
        label = plain(self.label).rstrip()
        shift = len(label) + 1
        marks = [(0, len(label), self.label[0][1])]
        marks += [(start + shift, end + shift, role) for start, end, role in self.marks]
        return replace(self, text=f"{label}\n{self.text}", marks=marks, label=(), indent=0, hang=2)

    def folded(self) -> Block:
        """The block as it is drawn while it is folded."""
        assert self.fold is not None
        text, marks = _marked(self.fold.folded)
        return replace(self, text=text, marks=marks, is_folded=True)


def _marked(spans: Sequence[Span]) -> tuple[str, list[Mark]]:
    """The text of spans, and their roles by place."""
    marks: list[Mark] = []
    position = 0
    for text, role in spans:
        marks.append((position, position + len(text), role))
        position += len(text)
    return plain(spans), marks


class Document:
    """The content of a pane, written from top to bottom."""

    def __init__(self) -> None:
        self.pieces: list[Block] = []

    def line(
        self,
        *spans: Span,
        indent: int = 0,
        label: Sequence[Span] = (),
        right: Span = ("", ""),
    ) -> Document:
        """Adds a line of several roles; it wraps between `label` and `right`."""
        if label:
            indent = sum(len(text) for text, _ in label)
        text, marks = _marked(spans)
        self.pieces.append(Block(text, "text", indent, marks, label=label, right=right))
        return self

    def fold(
        self,
        key: str,
        title: Sequence[Span],
        folded: Sequence[Span],
        write: Callable[[Document], object],
        *,
        indent: int = 0,
        opened: bool = False,
    ) -> Document:
        """Adds a line with `write` below it, which is called when it is opened first."""

        def inside() -> Sequence[Block]:
            below = Document()
            write(below)
            return below.pieces

        text, marks = _marked(title)
        fold = Fold(key, folded, inside, opened)
        self.pieces.append(Block(text, "text", indent + 2, marks, fold=fold))
        return self

    def blocks(
        self,
        opened: Mapping[str, bool] | None = None,
        *,
        everything: bool = False,
        most: int = MAX_BLOCKS,
    ) -> list[Block]:
        """The blocks to show: `opened` are the folds that were opened or folded, by key."""
        shown: list[Block] = []
        left = self.pieces[::-1]
        while left:
            block = left.pop()
            fold = block.fold
            if fold is None:
                shown.append(block)
                continue
            is_open = (opened or {}).get(fold.key, fold.open or everything)
            if is_open and (len(shown) + len(left) < most or not everything):
                shown.append(block)
                left.extend(reversed(fold.inside()))
            else:
                shown.append(block.folded())
        return shown

    def blank(self) -> Document:
        self.pieces.append(Block(""))
        return self

    def head(self, title: str, note: str = "") -> Document:
        """Adds a heading, after an empty line unless it is the first."""
        if self.pieces:
            self.blank()
        return self.line((title, "accent bold"), (f"  {note}" if note else "", "muted"))

    def field(self, name: str, value: str, role: str = "text", width: int = 14) -> Document:
        self.line((value, role), label=[(f"{name:<{width}} ", "muted")])
        self.pieces[-1].gives_way = True
        return self

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
            _whole_line(piece) + ("" if piece.joined else "\n")
            for piece in self.blocks(everything=True, most=_MAX_COPIED)
        )


def _whole_line(piece: Block) -> str:
    """A block as plain text."""
    right = f"  {piece.right[0]}" if piece.right[0] else ""
    return " " * piece.depth + plain(piece.label) + piece.text + right


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
        self.pieces = self.blocks_of(self._doc)
        """The blocks that are shown."""
        self._wrapped: dict[int, Wrapped] = {}
        self._drawn: dict[int, Block] = {}

    @property
    def doc(self) -> Document:
        return self._doc

    def blocks_of(self, doc: Document) -> list[Block]:
        return doc.blocks()

    def show(self, doc: Document, *, keep_place: bool = False) -> None:
        """Shows a document from the top, or from the current scroll position."""
        self._doc = doc
        pieces = self.blocks_of(doc)
        if keep_place and pieces == self.pieces:
            # The folds of the new document replace those of the old one.
            self.pieces = pieces
            return
        anchor = self._anchor() if keep_place else (0, 0)
        self._reload(pieces, anchor)

    def _reload(self, pieces: list[Block], anchor: tuple[int, int] | None) -> None:
        """Shows other blocks, with one of them in the given row."""
        self.pieces = pieces
        self.rewrap()
        self.load(len(pieces), 1)
        if anchor != (0, 0):
            self._settle(anchor)

    def on_mount(self) -> None:
        self.load(len(self.pieces), 1)

    def rewrap(self) -> None:
        self._wrapped.clear()
        self._drawn.clear()

    def _columns_for(self, piece: Block) -> int:
        return max(4, self.view_width - piece.room_taken - 1)

    def _piece(self, item: int) -> Block:
        """A block as drawn here."""
        piece = self.pieces[item]
        signed = not self.palette.monochrome and any("sign" in role for _, _, role in piece.marks)
        if not signed and not piece.gives_way:
            return piece
        drawn = self._drawn.get(item)
        if drawn is None:
            drawn = piece
            if signed:
                # Colours tell what the signs of a diff say.
                text, marks = without_signs(piece.text, piece.marks)
                drawn = replace(piece, text=text, marks=marks)
            room = self._columns_for(drawn)
            if piece.gives_way and room < _CRAMPED and cell_len(visible(drawn.text)) > room:
                drawn = drawn.below_label()
            self._drawn[item] = drawn
        return drawn

    def measure(self, item: int) -> int:
        piece = self._piece(item)
        return count_lines(piece.text, self._columns_for(piece))

    def _wrap(self, item: int) -> Wrapped:
        wrapped = self._wrapped.get(item)
        if wrapped is None:
            if len(self._wrapped) > _KEPT:
                self._wrapped.clear()
            piece = self._piece(item)
            wrapped = self._wrapped[item] = Wrapped(piece.text, self._columns_for(piece))
        return wrapped

    def sign_role(self, item: int) -> str:
        """The role of a fold's sign."""
        return "accent"

    def row(self, item: int, row: int) -> Strip:
        piece = self._piece(item)
        wrapped = self._wrap(item)
        if row >= len(wrapped):
            return Strip([])
        marks = [(*wrapped.span(start, end), role) for start, end, role in piece.marks]
        pieces = paint(wrapped.starts[row], wrapped.ends[row], marks, piece.role)
        style = self.palette.style
        indent = piece.indent + (piece.hang if row else 0)
        segments = [Segment(" " * indent)] if indent else []
        if row == 0 and piece.fold is not None:
            sign = FOLDED if piece.is_folded else UNFOLDED
            segments = [
                Segment(" " * max(0, indent - 2)),
                Segment(f"{sign} ", style(self.sign_role(item))),
            ]
        elif row == 0 and piece.label:
            segments = [Segment(visible(text), style(role)) for text, role in piece.label]
        segments += [
            Segment(wrapped.text[low:high], style(role)) for low, high, role in pieces if low < high
        ]
        text, role = piece.right
        if row == 0 and text:
            used = sum(cell_len(segment.text) for segment in segments)
            gap = max(2, self.view_width - 1 - used - cell_len(text))
            segments += [Segment(" " * gap), Segment(visible(text), style(role))]
        return Strip(segments)

    def copy_row(self, item: int, row: int) -> CopyRow:
        piece = self._piece(item)
        wrapped = self._wrap(item)
        if row >= len(wrapped):
            return CopyRow("")
        glue = "\n"
        if wrapped.is_soft(row):
            glue = " " if wrapped.ends[row] < wrapped.starts[row + 1] else ""
        elif row == len(wrapped) - 1 and piece.joined:
            glue = ""
        indent = piece.indent + (piece.hang if row else 0)
        before = plain(piece.label) if row == 0 and piece.label else " " * indent
        kept = piece.depth if row == 0 else 0
        right = piece.right[0] if row == 0 else ""
        return CopyRow(before + wrapped.line(row) + f"  {right}".rstrip(), indent - kept, glue)

    def all_text(self) -> str:
        return str(self._doc)
