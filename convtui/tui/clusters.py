"""Emoji and letters of several characters: how wide they are, and how they are drawn in line.

Terminals disagree on the width of a joined emoji, of one with a colour of skin and of one that a
variation selector chose: two cells, or as many as its parts. So the cursor is put where the layout
has it after each of them; what a terminal draws too wide is drawn over.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from rich.cells import cell_len, get_character_cell_size
from rich.segment import ControlType, Segment
from rich.style import Style
from textual.strip import Strip

from convtui.invisible import PICTURE_RANGES

_ZWJ: Final = "\u200d"
_EMOJI_STYLE: Final = "\ufe0f"
_SKIN: Final = "\U0001f3fb-\U0001f3ff"
_FLAG_LETTERS: Final = "\U0001f1e6-\U0001f1ff"
_TAGS: Final = "\U000e0020-\U000e007f"
_PART: Final = f"[\ufe0f\u20e3{_SKIN}{_TAGS}]"
_BASE: Final = f"[0-9#*{PICTURE_RANGES}]"
_EMOJI: Final = re.compile(
    f"[{_FLAG_LETTERS}]{{2}}|{_BASE}{_PART}*(?:\u200d{_BASE}{_PART}*)+|{_BASE}{_PART}+"
)
"""An emoji of more than one character."""
_UNSURE: Final = re.compile(f"[\u200d\ufe0f{_SKIN}{_FLAG_LETTERS}{_TAGS}]")
_LETTER_JOINED: Final = re.compile(f"(?<=\u200d)(?![{PICTURE_RANGES}])")
JOINED: Final = re.compile("[\u200d\ufe0f]")
"""What makes the width of a text another than the sum of its characters' widths."""
_SAVE: Final = "\x1b7"
_RESTORE: Final = "\x1b8"


@lru_cache(4096)
def _grows(char: str) -> bool:
    return cell_len(char + _EMOJI_STYLE) > get_character_cell_size(char)


def cluster_end(text: str, start: int) -> tuple[int, int]:
    """Where the character that begins at `start` ends, with all that is drawn on it; its cells.

    The width is that which Rich's `cell_len()` has for it.
    """
    size = get_character_cell_size(text[start])
    end = start + 1
    while end < len(text):
        char = text[end]
        if char == _ZWJ and not _LETTER_JOINED.match(text, end + 1):
            end += 2
        elif char == _EMOJI_STYLE:
            size += size == 1 and _grows(text[start])
            end += 1
        elif char not in "\n " and get_character_cell_size(char) == 0:
            end += 1
        else:
            break
    return end, size


def separated(strip: Strip) -> Strip:
    """A strip with the same text, in which a joiner is the end of a segment after letters.

    Rich takes what follows a joiner to be a part of the same picture; a letter is not.
    """
    if not any(_ZWJ in text for text, _, _ in strip):
        return strip
    return Strip(
        [
            Segment(piece, style, control)
            for text, style, control in strip
            for piece in (_LETTER_JOINED.split(text) if _ZWJ in text else (text,))
            if piece
        ]
    )


def anchored(strip: Strip) -> Strip:
    """A strip that is drawn as wide as it is measured, whatever the terminal makes of its emoji.

    The last step: its segments that move the cursor are no text.
    """
    if not any(_UNSURE.search(text) for text, _, _ in strip):
        return strip
    segments: list[Segment] = []
    for text, style, control in strip:
        position = 0
        for match in () if control else _EMOJI.finditer(text):
            cells = cell_len(match.group())
            if match.start() > position:
                segments.append(Segment(text[position : match.start()], style))
            segments += (
                _control(_SAVE),
                Segment(match.group(), style),
                _control(f"{_RESTORE}\x1b[{cells}C"),
            )
            position = match.end()
        if position < len(text):
            segments.append(Segment(text[position:], style, control))
    return Strip(segments, strip.cell_length)


def _control(code: str) -> Segment:
    # A style of its own: Textual's filters for terminals without colour look at it.
    return Segment(code, Style.null(), [(ControlType.CURSOR_FORWARD, 0)])
