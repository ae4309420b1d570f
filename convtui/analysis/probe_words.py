"""What the probes say, and how the text of an error is told from a reply."""

from __future__ import annotations

import re
import uuid
from typing import Final

LONG: Final = 200_000
"""Characters of the long message."""
MESSAGES: Final[dict[str, str]] = {
    "empty": "",
    "long": ("The quick brown fox jumps over the lazy dog. " * (LONG // 45 + 1))[:LONG],
    "unicode": (
        "Please answer: \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1f8\U0001f1ea"
        " e\u0301 n\u0303\u0302 \u202eabc\u202c \u05e9\u05dc\u05d5\u05dd"
        " \u0645\u0631\u062d\u0628\u0627 one\u2028two\u2029three \u200b \ufeff \ufdfd"
    ),
    "surrogates": "Please answer: \ud83d \udc00 \ud800",
    "control": (
        "Please answer: \x00 \x07 \x08 \x1b[31mred\x1b[0m \x1b]0;title\x07 \x7f \x85 \r\n\t."
    ),
}
"""Messages that try a provider, by probe."""

ODD: Final[dict[str, str]] = {
    "an empty reply": "",
    "blanks": " \n\t ",
    "a huge reply": "lorem ipsum dolor " * 60_000,
    "a long line without blanks": "x" * 300_000,
    "Unicode": MESSAGES["unicode"],
    "lone surrogates": "a \ud83d b \udc00 c",
    "control characters": MESSAGES["control"],
    "an open tag": "<think>never closed",
    "half a JSON object": '{"answer": ["a", {"b": ',
    "percent and braces": "100% {} {0} %s %(x)s \\1 \\g<0> $1",
}
"""Raw replies that try the hooks."""

QUESTION: Final = "Hello. Please answer in one short sentence: what can you do for me?"
ASK: Final = "What was the code word that I told you? If I told you none, say that you know none."


def secret() -> str:
    """A word that nobody says by chance."""
    return f"quartz-{uuid.uuid4().hex[:12]}"


def tell(word: str) -> str:
    """A message with a secret in it."""
    return f"My code word is {word}. Please remember it and answer with OK."


_ERRORS: Final = re.compile(
    r"Traceback \(most recent call last\)"
    r"|^\W*(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Timeout)\b\s*[:(]"
    r"|^\W{0,4}ERROR\b\W"
    r"|^\W{0,2}(?:an )?error(?: code)?\s*:"
    r"|\b(?:HTTP(?:/\d(?:\.\d)?)?|HTTP status|status(?:[ _]code)?|error code)\W{0,3}[45]\d\d\b"
    r"|^\W*[45]\d\d (?:Internal Server Error|Bad Gateway|Service Unavailable|Gateway Timeout"
    r"|Too Many Requests|Unauthorized|Forbidden|Not Found|Bad Request)\b"
    r"|^\s*\{\s*\"(?:error|detail)\"\s*:",
    re.MULTILINE,
)
_LOOSE: Final = re.compile(
    r"^\W{0,4}(?:error\b\W|an error occurred|internal server error|rate limit|too many requests"
    r"|service unavailable|connection (?:refused|reset|error)|request timed out"
    r"|invalid api key|(?:sorry, )?something went wrong)",
    re.IGNORECASE,
)


def error_in(text: str) -> str | None:
    """What in a reply looks like an exception or the text of an HTTP error; None: nothing does."""
    found = _ERRORS.search(text[:20_000]) or _LOOSE.search(text[:200])
    if found is None:
        return None
    line_end = text.find("\n", found.start())
    line = text[found.start() : line_end if line_end >= 0 else None].strip()
    return line[:120]
