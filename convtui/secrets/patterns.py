"""What people name to be masked: regular expressions, searched for under a time limit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from convtui.errors import UsageError
from convtui.secrets.shapes import Span

LIMIT: Final = 10.0
"""Seconds that one pattern may take for all texts."""
# A search cannot be interrupted in this process, so it runs in one that can be ended.
_SEARCH: Final = """
import json, re, sys
pattern, texts = json.load(sys.stdin)
search = re.compile(pattern)
spans = [[m.span() for m in search.finditer(t) if m.end() > m.start()] for t in texts]
json.dump(spans, sys.stdout)
"""


def check_pattern(pattern: str) -> None:
    """Raises `UsageError` for a pattern that is no regular expression, or empty."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"--redact-text: '{pattern}' is no regular expression: {error}") from None
    if not pattern.strip():
        raise UsageError("--redact-text: an empty pattern masks nothing; write a text, or a regex")


def pattern_spans(
    pattern: str, texts: Sequence[str], *, limit: float = LIMIT
) -> dict[str, list[Span]]:
    """Where the pattern matches, by text; texts without a match are left out.

    Raises `UsageError` if it takes longer than `limit` seconds.
    """
    if not texts:
        return {}
    command = [sys.executable, "-I", "-S", "-c", _SEARCH]
    question = json.dumps([pattern, list(texts)])
    try:
        answer = subprocess.run(
            command, input=question, capture_output=True, text=True, timeout=limit, check=True
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"--redact-text: '{pattern}' was still searching after {limit:g} s; a repeat inside a"
            " repeat, such as (a+)+, can take forever: write it more simply"
        ) from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"--redact-text: '{pattern}' could not be searched for: {error}") from None
    return {
        text: [(start, end) for start, end in spans]
        for text, spans in zip(texts, json.loads(answer.stdout), strict=True)
        if spans
    }
