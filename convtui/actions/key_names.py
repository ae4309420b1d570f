"""Key names: Textual's canonical names, and the forms that people read and write."""

from __future__ import annotations

import re

from convtui.errors import did_you_mean

_PUNCTUATION = {
    "!": "exclamation_mark", '"': "quotation_mark", "#": "number_sign", "$": "dollar_sign",
    "%": "percent_sign", "&": "ampersand", "'": "apostrophe", "(": "left_parenthesis",
    ")": "right_parenthesis", "*": "asterisk", "+": "plus", ",": "comma", "-": "minus",
    ".": "full_stop", "/": "slash", ":": "colon", ";": "semicolon", "<": "less_than_sign",
    "=": "equals_sign", ">": "greater_than_sign", "?": "question_mark", "@": "at",
    "[": "left_square_bracket", "\\": "backslash", "]": "right_square_bracket",
    "^": "circumflex_accent", "_": "underscore", "`": "grave_accent", "{": "left_curly_bracket",
    "|": "vertical_line", "}": "right_curly_bracket", "~": "tilde",
}  # fmt: skip
_NAMED = (
    "space", "enter", "escape", "tab", "backspace", "delete", "insert", "up", "down", "left",
    "right", "home", "end", "pageup", "pagedown", *(f"f{n}" for n in range(1, 25)),
)  # fmt: skip
# Terminals send the same byte for both.
_INDISTINGUISHABLE = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+left_square_bracket": "escape",
         "ctrl+h": "backspace"}  # fmt: skip
_SHORT = {"escape": "esc", "pageup": "pgup", "pagedown": "pgdn", "delete": "del"}
_MODIFIERS = ("ctrl", "alt", "shift")


def normal_key(text: str) -> str:
    """The canonical name of a key: `?` becomes `question_mark`, `^p` becomes `ctrl+p`.

    Raises ValueError with what to write instead.
    """
    name = text.strip()
    if re.fullmatch(r"\^[a-zA-Z]", name):
        name = f"ctrl+{name[1]}"
    if name == "+" or name.endswith("++"):
        name = name[:-1] + "plus"
    *modifiers, base = name.split("+")
    modifiers = [part.strip().lower() for part in modifiers]
    base = base.strip()
    base = _PUNCTUATION.get(base, base)
    if len(base) > 1:
        base = base.lower()
    for modifier in modifiers:
        if modifier not in _MODIFIERS:
            raise ValueError(f"{text!r} is not a key; only ctrl, alt and shift go before +")
    known = (*_NAMED, *_PUNCTUATION.values())
    if not (len(base) == 1 and base.isalnum()) and base not in known:
        raise ValueError(f"{text!r} is not a key{did_you_mean(base, known)}")
    if len(base) == 1 and "shift" in modifiers:
        raise ValueError(f"{text!r}: write {base.upper()} instead of shift+{base}")
    if len(base) == 1 and "ctrl" in modifiers:
        base = base.lower()
    key = "+".join([*(m for m in _MODIFIERS if m in modifiers), base])
    if key in _INDISTINGUISHABLE:
        raise ValueError(
            f"{text!r}: terminals send the same code for {key} and {_INDISTINGUISHABLE[key]}"
        )
    return key


def display_key(key: str) -> str:
    """A key for display: `^p`, `space`, `?`, `F5`."""
    *modifiers, base = key.split("+")
    signs = {name: sign for sign, name in _PUNCTUATION.items()}
    text = signs.get(base, _SHORT.get(base, base))
    if re.fullmatch(r"f\d+", text):
        text = text.upper()
    for modifier in reversed(modifiers):
        text = f"^{text}" if modifier == "ctrl" else f"{modifier}+{text}"
    return text
