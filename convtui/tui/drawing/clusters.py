"""Measures and draws emoji and letters that consist of several characters.

Terminals disagree on the width of emoji that are joined, have a skin tone or come from a variation
selector: two cells, or the sum of their parts. The cursor is therefore moved to the expected column
after each of them, so that whatever is drawn too wide gets overwritten.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from rich.cells import cell_len, get_character_cell_size
from rich.segment import ControlType, Segment
from textual.strip import Strip

from convtui.text.invisible import PICTURE_RANGES

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
"""Characters that make a text's width differ from the sum of its characters' widths."""
_LAST_LETTER: Final = re.compile(r"\w\W*\Z")


@lru_cache(4096)
def _grows(char: str) -> bool:
    return cell_len(char + _EMOJI_STYLE) > get_character_cell_size(char)


def cluster_end(text: str, start: int) -> tuple[int, int]:
    """Returns the end of the cluster that begins at `start`, and its width in cells.

    The width is the one that Rich's `cell_len()` gives.
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
    """Returns the same strip, with segments split after a joiner that follows letters.

    Rich takes whatever follows a joiner for part of the same emoji; a letter is not.
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
    """Returns a strip that is drawn as wide as it measures, however the terminal draws emoji.

    This covers joined letters too. Apply it last: the cursor movements it adds are not text.
    """
    if not any(_UNSURE.search(text) for text, _, _ in strip):
        return strip
    segments: list[Segment] = []
    # The width of letters that continue in the next segment.
    cells = 0
    for text, style, control in strip:
        position = 0
        if cells and not control:
            position, own = cluster_end(text, 0)
            segments.append(Segment(text[:position], style))
            cells += own
            if position < len(text) or not text.endswith(_ZWJ):
                segments.append(_back_and_on(cells))
                cells = 0
        for match in () if control else _EMOJI.finditer(text, position):
            if match.start() > position:
                segments.append(Segment(text[position : match.start()], style))
            emoji = match.group()
            segments += (_SAVE, Segment(emoji, style), _back_and_on(cell_len(emoji)))
            position = match.end()
        letter = _LAST_LETTER.search(text, position) if text.endswith(_ZWJ) else None
        if letter is not None:
            if letter.start() > position:
                segments.append(Segment(text[position : letter.start()], style))
            segments += (_SAVE, Segment(letter.group(), style))
            cells = cell_len(letter.group())
        elif position < len(text):
            segments.append(Segment(text[position:], style, control))
    if cells:
        segments.append(_back_and_on(cells))
    return Strip(segments, strip.cell_length)


def _back_and_on(cells: int) -> Segment:
    """Puts the cursor `cells` behind where it was saved."""
    return _control(f"\x1b8\x1b[{cells}C")


def _control(code: str) -> Segment:
    return Segment(code, None, [(ControlType.CURSOR_FORWARD, 0)])


_SAVE: Final = _control("\x1b7")
