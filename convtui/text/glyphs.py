"""The glyphs that stand for states: one set, each a single cell wide.

Nothing else draws a status by a character of its own. All are narrow or neutral by Unicode's East
Asian Width, except for box drawing, blocks, the ellipsis and the middle dot: their width is
ambiguous by the book, and one cell in every terminal that draws frames at all.
"""

from __future__ import annotations

from typing import Final

NOTHING: Final = "∙"
"""A turn with nothing special about it."""
HELD: Final = "▸"
DISCARDED: Final = "✗"
ERROR: Final = "!"
SKIPPED: Final = "⊘"
"""Skipped or cancelled."""
INACTIVE: Final = "◌"
SIGNAL: Final = "◊"
NOTICED: Final = "∆"
"""Something about the turn wants a look."""
BY_HAND: Final = "✎"
WORKING: Final = "⋯"
DONE: Final = "✓"
REPLY: Final = "+"
STOP: Final = "∎"
ABSTAIN: Final = "?"
BREAK: Final = "◉"
"""A breakpoint."""
BREAK_OFF: Final = "⊚"
BREAK_HIT: Final = "◍"
"""A breakpoint has stopped the conversation here."""
MARK: Final = "⚑"
NOTE: Final = "⁋"
HERE: Final = "◂"
"""What is shown now, in a list."""
FOLDED: Final = "▸"
UNFOLDED: Final = "▾"
BAR: Final = "▌"
"""Beside the selected row, and where text is arriving."""
