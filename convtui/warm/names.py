"""How a warm template is named in a scenario: what the command line needs to know of it."""

from __future__ import annotations

from typing import Final

SUFFIX: Final = ".json"
MAX_PATTERNS: Final = 15
"""Patterns that are injected, unless it is said otherwise."""


def is_path(use: str) -> bool:
    """Whether a scenario names a file, not a saved template."""
    return "/" in use or "\\" in use or use.endswith(SUFFIX)
