"""The progress bar of every screen."""

from __future__ import annotations

from textual.content import Content


def progress_bar(done: int, of: int, words: str, width: int = 20) -> Content:
    """So many of so many are done, and what that is in words, which stand alone without room."""
    if width < 5:
        return Content(words)
    full = width * done // max(1, of)
    return Content.assemble(
        ("█" * full, "$text-accent"), ("░" * (width - full), "$text-muted"), f" {words}"
    )
