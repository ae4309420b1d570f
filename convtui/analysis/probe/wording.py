"""The messages and raw replies of the probes."""

from __future__ import annotations

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
"""Odd messages to a provider, by probe."""

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
"""Odd raw replies to inject, by the name that findings use."""

QUESTION: Final = "Hello. Please answer in one short sentence: what can you do for me?"
ASK: Final = "What was the code word that I told you? If I told you none, say that you know none."


def secret() -> str:
    """A new code word that does not occur by chance."""
    return f"quartz-{uuid.uuid4().hex[:12]}"


def tell(word: str) -> str:
    """A message that tells the provider a code word."""
    return f"My code word is {word}. Please remember it and answer with OK."
