"""Lays a manual page out as lines of styled text, for a terminal and for the help screen.

Understood is the part of Markdown that the manual uses: headings, paragraphs, lists, tables, fenced
code and, within a line, code, strong text and links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final, Literal, NamedTuple

from convtui.text.boundary import visible

Style = Literal["", "title", "heading", "strong", "code", "link"]
MIN_COLUMN: Final = 6
_GAP: Final = "  "
_INDENT: Final = "    "


class Piece(NamedTuple):
    """Text in one style; never holds a line end."""

    text: str
    style: Style = ""


Line = list[Piece]

_HEADING = re.compile(r"(#{1,4}) +(.*)")
_ITEM = re.compile(r"( *)([-*]|\d+\.) +(.*)")
_TABLE_RULE = re.compile(r"\|?( *:?-{2,}:? *\|)+ *(:?-{2,}:?)? *")
_CELL_END = re.compile(r"(?<!\\)\|")
_INLINE = re.compile(
    r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)(?!`)"
    r"|\*\*(?P<strong>.+?)\*\*"
    r"|!?\[(?P<text>[^\]]*)\]\((?P<target>[^)]*)\)"
)


def lay_out(markdown: str, width: int, *, ticks: bool = False) -> list[Line]:
    """The lines of a page, each at most `width` columns wide where its words allow that.

    Code blocks are never wrapped. With `ticks` inline code keeps its backquotes, for output in
    which a style cannot be seen.
    """
    return _Layout(max(20, width), ticks).lines(visible(markdown).splitlines())


def plain_text(lines: Sequence[Line]) -> str:
    """The text of the lines, without styles, ending in a line end."""
    return "".join("".join(piece.text for piece in line).rstrip() + "\n" for line in lines)


def topics_linked(markdown: str) -> list[str]:
    """The names of the pages that a page links to, in order, each once."""
    targets = re.findall(r"\]\(([a-z-]+)\.md(?:#[^)]*)?\)", markdown)
    return list(dict.fromkeys(targets))


class _Layout:
    def __init__(self, width: int, ticks: bool) -> None:
        self._width = width
        self._ticks = ticks

    def lines(self, source: Sequence[str]) -> list[Line]:
        laid: list[Line] = []
        for block in self._blocks(source):
            if laid and block:
                laid.append([])
            laid.extend(block)
        return laid

    def _blocks(self, source: Sequence[str]) -> Iterator[list[Line]]:
        at = 0
        while at < len(source):
            row = source[at]
            end = at + 1
            if not row.strip() or row.startswith("<!--"):
                pass
            elif row.startswith("```"):
                while end < len(source) and not source[end].startswith("```"):
                    end += 1
                yield [[Piece(_INDENT + code, "code")] for code in source[at + 1 : end]]
                end += 1
            elif heading := _HEADING.fullmatch(row):
                yield self._heading(len(heading[1]), heading[2])
            elif row.startswith("|"):
                while end < len(source) and source[end].startswith("|"):
                    end += 1
                yield self._table(source[at:end])
            elif _ITEM.match(row):
                while end < len(source) and (_ITEM.match(source[end]) or source[end][:1] == " "):
                    end += 1
                yield self._list(source[at:end])
            else:
                while end < len(source) and not _begins_block(source[end]):
                    end += 1
                yield self._wrapped(" ".join(part.strip() for part in source[at:end]))
            at = end

    def _heading(self, level: int, text: str) -> list[Line]:
        words = "".join(piece.text for piece in self._inline(text))
        if level == 1:
            return [[Piece(words, "title")], [Piece("=" * len(words), "title")]]
        if level == 2:
            return [[Piece(words, "heading")], [Piece("-" * len(words), "heading")]]
        return [[Piece(words, "heading")]]

    def _list(self, source: Sequence[str]) -> list[Line]:
        items: list[tuple[int, str, list[str]]] = []
        for row in source:
            if item := _ITEM.match(row):
                mark = "-" if item[2] == "*" else item[2]
                items.append((len(item[1]), mark, [item[3]]))
            else:
                items[-1][2].append(row.strip())
        laid: list[Line] = []
        for depth, mark, parts in items:
            indent = " " * (2 + depth)
            hang = indent + " " * (len(mark) + 1)
            lines = self._wrapped(" ".join(parts), self._width - len(hang))
            for number, line in enumerate(lines):
                laid.append([Piece(f"{indent}{mark} " if number == 0 else hang), *line])
        return laid

    def _table(self, source: Sequence[str]) -> list[Line]:
        rows = [
            [self._inline(cell) for cell in _cells(row)]
            for row in source
            if not _TABLE_RULE.fullmatch(row)
        ]
        count = max(map(len, rows), default=0)
        rows = [[*row, *([] for _ in range(count - len(row)))] for row in rows]
        columns = list(zip(*rows, strict=True))
        widths = _column_widths(columns, self._width - len(_GAP) * (len(columns) - 1))
        laid: list[Line] = []
        for number, row in enumerate(rows):
            style: Style = "strong" if number == 0 else ""
            if number == 0 and not any(_length(cell) for cell in row):
                continue
            cells = [
                _wrap(_restyled(cell, style), width)
                for cell, width in zip(row, widths, strict=True)
            ]
            for parts in zip_longest(*cells, fillvalue=[]):
                laid.append(_beside(parts, widths))
            if number == 0:
                laid.append([Piece(_GAP.join("-" * width for width in widths))])
        return laid

    def _wrapped(self, text: str, width: int | None = None) -> list[Line]:
        return _wrap(self._inline(text), width or self._width)

    def _inline(self, text: str) -> Line:
        pieces: Line = []
        at = 0
        for match in _INLINE.finditer(text):
            pieces.append(Piece(text[at : match.start()]))
            at = match.end()
            if match["code"] is not None:
                # The spaces that keep a backquote apart from those around the code.
                code = match["code"]
                code = code[1:-1] if code.startswith(" ") and code.endswith(" ") else code
                code = code.replace("\\|", "|")
                quoted = f"{match['ticks']}{code}{match['ticks']}" if self._ticks else code
                pieces.append(Piece(quoted, "code"))
            elif match["strong"] is not None:
                pieces.extend(_restyled(self._inline(match["strong"]), "strong"))
            else:
                pieces.extend(_link(match["text"], match["target"]))
        pieces.append(Piece(text[at:]))
        return [piece for piece in pieces if piece.text]


def _begins_block(row: str) -> bool:
    return not row.strip() or row.startswith(("```", "|", "<!--", "#")) or bool(_ITEM.match(row))


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in _CELL_END.split(row.strip().strip("|"))]


def _restyled(pieces: Line, style: Style) -> Line:
    return [Piece(piece.text, piece.style or style) for piece in pieces]


def _link(text: str, target: str) -> Iterator[Piece]:
    yield Piece(text, "link")
    if "://" in target and target != text:
        yield Piece(f" <{target}>")


def _length(pieces: Line) -> int:
    return sum(len(piece.text) for piece in pieces)


def _column_widths(columns: Sequence[Sequence[Line]], room: int) -> list[int]:
    """The widest column gives way until all of them fit: first without cutting words, then down to
    `MIN_COLUMN` each.
    """
    widths = [max(_length(cell) for cell in column) for column in columns]
    longest = [
        max((_length(word) for cell in column for word, _ in _words(cell)), default=0)
        for column in columns
    ]
    for floors in (longest, [MIN_COLUMN] * len(widths)):
        while sum(widths) > room:
            spare = [width - floor for width, floor in zip(widths, floors, strict=True)]
            most = max(range(len(widths)), key=lambda at: widths[at] if spare[at] > 0 else 0)
            if spare[most] <= 0:
                break
            widths[most] -= 1
    return widths


def _beside(parts: Sequence[Line], widths: Sequence[int]) -> Line:
    line: Line = []
    for number, (part, width) in enumerate(zip(parts, widths, strict=True)):
        line.extend(part)
        if number < len(widths) - 1:
            line.append(Piece(" " * (width - _length(part)) + _GAP))
    return line


def _wrap(pieces: Line, width: int) -> list[Line]:
    """Pieces as lines, broken at spaces; a word that is longer than a line is cut."""
    lines: list[Line] = [[]]
    used = 0
    for word, spaced in _words(pieces):
        gap = 1 if spaced and used else 0
        if used and used + gap + _length(word) > width:
            lines.append([])
            used = gap = 0
        if gap:
            lines[-1].append(Piece(" "))
        first, *others = _chunks(word, width)
        lines[-1].extend(first)
        lines.extend(others)
        used = used + gap + _length(first) if not others else _length(lines[-1])
    return [line for line in lines if line]


def _words(pieces: Line) -> Iterator[tuple[Line, bool]]:
    """Words, which may be made of several styles, and whether a space is before each."""
    word: Line = []
    space = spaced = False
    for piece in pieces:
        for part in re.findall(r" +|[^ ]+", piece.text):
            if part[0] != " ":
                if not word:
                    spaced = space
                word.append(Piece(part, piece.style))
                continue
            if word:
                yield word, spaced
                word = []
            space = True
    if word:
        yield word, spaced


def _chunks(word: Line, width: int) -> list[Line]:
    """A word in parts of at most `width` columns."""
    chunks: list[Line] = [[]]
    for text, style in word:
        rest = text
        while rest:
            room = width - _length(chunks[-1])
            if room <= 0:
                chunks.append([])
                continue
            chunks[-1].append(Piece(rest[:room], style))
            rest = rest[room:]
    return chunks
