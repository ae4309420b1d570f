"""A line of text that moves the view."""

from __future__ import annotations

from textual.widgets import Input


class ViewLine(Input):
    """A line whose Enter moves what is shown and does nothing else: it is taken at once.

    Enter in another line waits for what may follow, because it could be the first key of a paste.
    """
