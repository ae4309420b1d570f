"""Which invisible characters are part of how a script or an emoji is written.

Joiners choose the form of letters in Arabic and the scripts of India, and make one picture of
several emoji; variation selectors choose between forms of a picture or of an ideograph; tag letters
make the flags of England, Scotland and Wales. Where they do that they stand in ordinary text.
Anywhere else, as between the letters of a host name, they only hide a difference.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import Final

ZWNJ: Final = "\u200c"
ZWJ: Final = "\u200d"
_TEXT_STYLE: Final = "\ufe0e"
_EMOJI_STYLE: Final = "\ufe0f"
_KEYCAP: Final = "\u20e3"
_KEYS: Final = frozenset("0123456789#*")
_VIRAMA: Final = 9
"""The combining class of the sign that takes a consonant's vowel away."""

# The blocks of scripts in which joiners choose the form of a letter: cursive ones, and those that
# descend from Brahmi. The first of a pair is where a script begins, the second where it ends; a
# joiner stands between letters of one script. (Unicode Standard, chapters 9, 12, 13 and 16.)
_ARABIC: Final = 1
_MONGOLIAN: Final = 2
_SCRIPTS: Final = (
    (0x0620, 0x06FF, _ARABIC),
    (0x0700, 0x074F, 3),  # Syriac
    (0x0750, 0x077F, _ARABIC),
    (0x07C0, 0x07FF, 4),  # N'Ko
    (0x0840, 0x085F, 5),  # Mandaic
    (0x0860, 0x086F, 3),
    (0x0870, 0x08FF, _ARABIC),
    (0x0900, 0x097F, 6),  # Devanagari
    (0x0980, 0x09FF, 7),  # Bengali
    (0x0A00, 0x0A7F, 8),  # Gurmukhi
    (0x0A80, 0x0AFF, 9),  # Gujarati
    (0x0B00, 0x0B7F, 10),  # Oriya
    (0x0B80, 0x0BFF, 11),  # Tamil
    (0x0C00, 0x0C7F, 12),  # Telugu
    (0x0C80, 0x0CFF, 13),  # Kannada
    (0x0D00, 0x0D7F, 14),  # Malayalam
    (0x0D80, 0x0DFF, 15),  # Sinhala
    (0x1000, 0x109F, 16),  # Myanmar
    (0x1780, 0x17FF, 17),  # Khmer
    (0x1800, 0x18AF, _MONGOLIAN),
    (0x1B00, 0x1B7F, 18),  # Balinese
    (0xA8E0, 0xA8FF, 6),
    (0xA980, 0xA9DF, 19),  # Javanese
    (0xA9E0, 0xA9FF, 16),
    (0xAA60, 0xAA7F, 16),
    (0xFB50, 0xFDFF, _ARABIC),
    (0xFE70, 0xFEFC, _ARABIC),
    (0x10D00, 0x10D3F, 20),  # Hanifi Rohingya
    (0x11000, 0x1107F, 21),  # Brahmi
    (0x11080, 0x110CF, 22),  # Kaithi
    (0x11100, 0x1114F, 23),  # Chakma
    (0x1E900, 0x1E95F, 24),  # Adlam
)
_SCRIPT_STARTS: Final = [first for first, _, _ in _SCRIPTS]

# Extended_Pictographic of emoji-data.txt.
_PICTURES: Final = (
    (0xA9, 0xA9), (0xAE, 0xAE), (0x203C, 0x203C), (0x2049, 0x2049), (0x2122, 0x2122),
    (0x2139, 0x2139), (0x2194, 0x2199), (0x21A9, 0x21AA), (0x231A, 0x231B), (0x2328, 0x2328),
    (0x2388, 0x2388), (0x23CF, 0x23CF), (0x23E9, 0x23F3), (0x23F8, 0x23FA), (0x24C2, 0x24C2),
    (0x25AA, 0x25AB), (0x25B6, 0x25B6), (0x25C0, 0x25C0), (0x25FB, 0x25FE), (0x2600, 0x2605),
    (0x2607, 0x2612), (0x2614, 0x2685), (0x2690, 0x2705), (0x2708, 0x2712), (0x2714, 0x2714),
    (0x2716, 0x2716), (0x271D, 0x271D), (0x2721, 0x2721), (0x2728, 0x2728), (0x2733, 0x2734),
    (0x2744, 0x2744), (0x2747, 0x2747), (0x274C, 0x274C), (0x274E, 0x274E), (0x2753, 0x2755),
    (0x2757, 0x2757), (0x2763, 0x2767), (0x2795, 0x2797), (0x27A1, 0x27A1), (0x27B0, 0x27B0),
    (0x27BF, 0x27BF), (0x2934, 0x2935), (0x2B05, 0x2B07), (0x2B1B, 0x2B1C), (0x2B50, 0x2B50),
    (0x2B55, 0x2B55), (0x3030, 0x3030), (0x303D, 0x303D), (0x3297, 0x3297), (0x3299, 0x3299),
    (0x1F000, 0x1F0FF), (0x1F10D, 0x1F10F), (0x1F12F, 0x1F12F), (0x1F16C, 0x1F171),
    (0x1F17E, 0x1F17F), (0x1F18E, 0x1F18E), (0x1F191, 0x1F19A), (0x1F1AD, 0x1F1E5),
    (0x1F201, 0x1F20F), (0x1F21A, 0x1F21A), (0x1F22F, 0x1F22F), (0x1F232, 0x1F23A),
    (0x1F23C, 0x1F23F), (0x1F249, 0x1F3FA), (0x1F400, 0x1F53D), (0x1F546, 0x1F64F),
    (0x1F680, 0x1F6FF), (0x1F774, 0x1F77F), (0x1F7D5, 0x1F7FF), (0x1F80C, 0x1F80F),
    (0x1F848, 0x1F84F), (0x1F85A, 0x1F85F), (0x1F888, 0x1F88F), (0x1F8AE, 0x1F8FF),
    (0x1F90C, 0x1F93A), (0x1F93C, 0x1F945), (0x1F947, 0x1FAFF), (0x1FC00, 0x1FFFD),
)  # fmt: skip
PICTURE_RANGES: Final = "".join(f"{chr(first)}-{chr(last)}" for first, last in _PICTURES)
"""The characters that are pictures, for a class of a regular expression."""
_PICTURE_STARTS: Final = [first for first, _ in _PICTURES]
_SKINS: Final = ("\U0001f3fb", "\U0001f3ff")
_BLACK_FLAG: Final = "\U0001f3f4"
_END_OF_TAG: Final = "\U000e007f"
_FLAGS: Final = tuple(
    _BLACK_FLAG + "".join(chr(0xE0000 + ord(letter)) for letter in region) + _END_OF_TAG
    for region in ("gbeng", "gbsct", "gbwls")
)
"""The flags that are drawn as such; any other sequence of tags would be a text that nobody sees."""
_FLAG_SIZE: Final = len(_FLAGS[0])


def belongs(text: str, at: int) -> bool:
    """Whether the invisible character `text[at]` belongs to the script or emoji around it."""
    char = text[at]
    before = text[at - 1] if at else ""
    after = text[at + 1 : at + 2]
    if char == ZWJ:
        return (_is_picture(after) and _ends_picture(text, at)) or _joins(char, before, after)
    if char == ZWNJ:
        return _joins(char, before, after)
    if char == _EMOJI_STYLE:
        return _is_picture(before) or (before in _KEYS and after == _KEYCAP)
    if char == _TEXT_STYLE:
        return _is_picture(before)
    if "\ufe00" <= char <= "\ufe02" or "\U000e0100" <= char <= "\U000e01ef":
        return _is_ideograph(before)
    if "\u180b" <= char <= "\u180f" and char != "\u180e":
        return _script(before) == _MONGOLIAN and unicodedata.category(before)[0] == "L"
    if "\U000e0020" <= char <= _END_OF_TAG:
        return _in_flag(text, at)
    return False


@lru_cache(4096)
def _joins(char: str, before: str, after: str) -> bool:
    """Whether a joiner stands between letters of one script that uses it.

    Marks belong to the letter before them. Where the letter's vowel is taken away the joiner may
    also end a word (a half form, a Malayalam chillu).
    """
    script = _script(before)
    if not script:
        return False
    if unicodedata.combining(before) == _VIRAMA and char == ZWJ and not _is_invisible(after):
        return True
    kind = unicodedata.category(before)[0]
    next_kind = unicodedata.category(after)[0] if _script(after) == script else ""
    if kind == "L" and next_kind == "M":
        # In Bengali and Kannada a joiner stands before the virama or a vowel sign.
        return script != _ARABIC
    return kind in "LM" and next_kind == "L"


def _is_invisible(char: str) -> bool:
    return bool(char) and (unicodedata.category(char) == "Cf" or "\ufe00" <= char <= "\ufe0f")


def _script(char: str) -> int:
    """A number for the script of a character in which joiners are used; 0 for any other."""
    if not char:
        return 0
    code = ord(char)
    row = bisect_right(_SCRIPT_STARTS, code) - 1
    return _SCRIPTS[row][2] if row >= 0 and code <= _SCRIPTS[row][1] else 0


@lru_cache(1024)
def _is_picture(char: str) -> bool:
    if not char:
        return False
    code = ord(char)
    row = bisect_right(_PICTURE_STARTS, code) - 1
    return row >= 0 and code <= _PICTURES[row][1]


def _ends_picture(text: str, at: int) -> bool:
    """Whether an emoji, with its variation or skin tone, ends just before `at`."""
    if at and text[at - 1] == _EMOJI_STYLE:
        at -= 1
    if at and _SKINS[0] <= text[at - 1] <= _SKINS[1]:
        return True
    return at > 0 and _is_picture(text[at - 1])


def _is_ideograph(char: str) -> bool:
    return (
        "\u4e00" <= char <= "\u9fff"
        or "\u3400" <= char <= "\u4dbf"
        or "\uf900" <= char <= "\ufaff"
        or "\U00020000" <= char <= "\U0003ffff"
    )


def _in_flag(text: str, at: int) -> bool:
    start = text.rfind(_BLACK_FLAG, max(0, at - _FLAG_SIZE + 1), at)
    return start >= 0 and text.startswith(_FLAGS, start)
