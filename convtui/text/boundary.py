"""The boundary between foreign text and everything it could harm.

`visible()` makes text safe to draw, `safe_name()` makes it safe as part of a file name. Stored text
stays exact: none of these is applied to what a log keeps of a conversation. What is secret, and is
kept by nobody, is decided by `convtui.secrets`.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from convtui.text.invisible import belongs

_RUN_OF_MARKS = 4
_TAB = "    "
# C0 controls have symbols of their own (U+2400 block); what else is not shown is shown by number.
_SYMBOLS: dict[str, str] = {chr(code): chr(0x2400 + code) for code in range(0x20)}
_SYMBOLS |= {chr(code): f"<{code:02X}>" for code in range(0x80, 0xA0)}
_SYMBOLS |= {"\t": _TAB, "\r\n": "\n", "\x7f": "␡"}
# Controls, and marks that reorder, join or hide neighbouring text.
_SUSPECT_CHARS = (
    "\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff"
)
_SUSPECT = re.compile(f"\r\n|[{_SUSPECT_CHARS}]")
_SUSPECT_IN_LINE = re.compile(f"\r\n|[\n{_SUSPECT_CHARS}]")
_BELONGING = re.compile("[\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0020-\U000e01ef]")
"""What is left alone where it is part of how the text around it is written."""
_CUT_OFF = re.compile(f"{_BELONGING.pattern}+$")
"""What a cut may have parted from what it belongs to."""
_LONG_RUN = re.compile(rb"[^\x00]{%d}" % (_RUN_OF_MARKS + 1))
"""In the combining classes of characters: too many marks, one after the other."""
_CONTEXT = 16
"""Characters after a place that may decide what is shown before it."""


def _replace(match: re.Match[str]) -> str:
    char = match.group()
    symbol = _SYMBOLS.get(char)
    if symbol is not None:
        return symbol
    if _BELONGING.match(char) and belongs(match.string, match.start()):
        return char
    return f"<U+{ord(char):04X}>"


def _replace_in_line(match: re.Match[str]) -> str:
    return "␤" if match.group() in ("\n", "\r\n") else _replace(match)


def _replace_in_piece(match: re.Match[str]) -> str:
    return match.group() if _BELONGING.match(match.group()) else _replace_in_line(match)


def visible(text: str, *, lines: bool = True) -> str:
    """`text` as it may be drawn on a terminal.

    Control characters, C1, DEL, bidi overrides, zero-width and tag characters, variation selectors
    and lone surrogates become visible symbols, but for those that are part of how a script or an
    emoji is written (`convtui.text.invisible`); a run of more than four combining marks is cut to
    four and a count. Tabs become four spaces. Newlines are kept when `lines` is true and shown as a
    symbol otherwise. Printable ASCII, which is most text, is returned as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    # First, so that what is left out joins nothing.
    text = _limit_marks(text)
    if lines:
        return _SUSPECT.sub(_replace, text)
    return _SUSPECT_IN_LINE.sub(_replace_in_line, text)


def harmless(piece: str) -> str:
    """A piece of a text that was made `visible()`: safe to draw in one line, whatever it is.

    Joiners stay: a piece does not say what they stand between.
    """
    if piece.isascii() and piece.isprintable():
        return piece
    return _SUSPECT_IN_LINE.sub(_replace_in_piece, _limit_marks(piece))


_INVISIBLE = re.compile(f"[{_SUSPECT_CHARS}]")
_INVISIBLE_IN_URL = re.compile(f"[\n{_SUSPECT_CHARS}]")


def json_text(data: Any, *, indent: int | None = 2) -> str:
    """JSON for programs that a terminal may show: what `visible()` shows otherwise is escaped.

    It is the same JSON: `json.loads()` gives `data` again, joiners and lone surrogates included.
    What JSON does not know is written as `str()` of it; a number that is none as null.
    """
    try:
        text = json.dumps(data, ensure_ascii=False, indent=indent, default=str, allow_nan=False)
    except ValueError:
        finite = _finite(data)
        text = json.dumps(finite, ensure_ascii=False, indent=indent, default=str, allow_nan=False)
    return text if text.isascii() and "\x7f" not in text else _INVISIBLE.sub(_escape, text)


def percent_encoded(url: str) -> str:
    """A URL with invisible characters escaped as an HTTP client would send them."""
    from urllib.parse import quote

    return _INVISIBLE_IN_URL.sub(
        lambda match: quote(match.group().encode("utf-8", "surrogatepass"), safe=""), url
    )


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def visible_length(text: str, end: int) -> int:
    """Where the character `text[end]` stands in `visible(text)`.

    Not exact in the middle of a line end and of a run of combining marks.
    """
    shown = len(_limit_marks(text[:end]))
    text = _limit_marks(text[: end + _CONTEXT])
    for match in _SUSPECT.finditer(text, 0, shown):
        shown += len(_replace(match)) - len(match.group())
    return shown


def _limit_marks(text: str) -> str:
    """Cuts runs of combining marks, which would otherwise climb over neighbouring lines.

    A joiner does not end a run.
    """
    if text.isascii() or not any(map(unicodedata.combining, set(text))):
        return text
    classes = bytes(map(unicodedata.combining, _BELONGING.sub("", text)))
    if not _LONG_RUN.search(classes):
        return text
    parts: list[str] = []
    run = 0
    dropped = 0
    for char in text:
        if unicodedata.combining(char):
            run += 1
            if run > _RUN_OF_MARKS:
                dropped += 1
                continue
        elif dropped:
            parts.append(f"<+{dropped} marks>")
            run = dropped = 0
        elif run and not _BELONGING.match(char):
            run = 0
        parts.append(char)
    if dropped:
        parts.append(f"<+{dropped} marks>")
    return "".join(parts)


def visible_line(text: str, limit: int | None = None) -> str:
    """`visible()` on one line; cut to `limit` characters with an ellipsis when given."""
    if limit is not None and len(text) > limit * 4:
        text = text[: limit * 4]
    text = visible(text, lines=False)
    if limit is not None and len(text) > limit:
        return _CUT_OFF.sub("", text[: max(0, limit - 1)]) + "…"
    return text


_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def safe_name(text: str, *, limit: int = 48, default: str = "unnamed") -> str:
    """`text` as one part of a file name: only `A-Za-z0-9_-`, runs collapsed, never empty.

    Whatever is not on the allow-list becomes `_`; leading and trailing `_` and `-` are dropped, so
    that `.`, `..` and option-like names cannot arise. The result has 1 to `limit` characters.
    """
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    name = re.sub(r"_{2,}", "_", _UNSAFE.sub("_", ascii_text)).strip("_-")
    name = name[:limit].strip("_-")
    return name or default


def word_count(text: str) -> int:
    """The number of white-space separated words."""
    return len(text.split())


def near_empty(text: str) -> bool:
    """Whether a reply has no letter and no digit."""
    return not any(map(str.isalnum, text))


def one_line(text: str, limit: int = 80) -> str:
    """The first `limit` characters of `text` on one line, white space folded."""
    folded = " ".join(text[: limit * 8].split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"


def span_of_time(seconds: float) -> str:
    """Seconds for people: `0.4 s`, `12 s`, `2 min 5 s`, `1 h 0 min`, `3 days`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400:,} days"
