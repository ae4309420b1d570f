"""What the library's index stores, by table, and how it stores texts."""

from __future__ import annotations

from typing import Final, NamedTuple

SUMMARY_ONLY, WITH_TURNS, ASK_THE_LOG = 0, 1, 2
"""What the index stores of a run. `ASK_THE_LOG` is for values that fit no column."""
NO_RAW, RAW_AS_SHOWN, RAW_KEPT, RAW_ELSEWHERE = 0, 1, 2, 3
"""Where the raw reply of a turn is stored; `RAW_ELSEWHERE` is a parent log."""
TURN_COLUMNS: Final = (
    "id", "idx", "session", "number", "speaker", "attempt", "status", "stage", "flags", "signals",
    "codes", "latency", "prompt", "completion", "cost", "tokens", "blank", "faults", "has_raw",
)  # fmt: skip
TEXT_COLUMNS: Final = ("id", "text", "raw", "happened")


class Wanted(NamedTuple):
    """A run to read, with its turns or without."""

    name: str
    turns: bool
    size: int


Stored = str | bytes
"""A text as stored in the database: as bytes if it has lone surrogates."""


def stored(text: str) -> Stored:
    """A text as it is stored in a column."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def loaded(value: Stored) -> str:
    """The exact text of a column."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


# --- texts, searched by trigrams

_LIKE_ASCII = str.maketrans({"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"})
_CONTROL = str.maketrans({chr(code): " " for code in range(32)})


def fold_text(text: str) -> str:
    """A text in which an ASCII word is found whatever its case, as a pattern would find it.

    A pattern that ignores case takes four characters outside ASCII for an i, an s and a k.
    """
    if text.isascii():
        folded = text.lower()
        return folded if folded.isprintable() else folded.translate(_CONTROL)
    folded = text.translate(_LIKE_ASCII).lower().translate(_CONTROL)
    return folded.encode("utf-8", "replace").decode()
