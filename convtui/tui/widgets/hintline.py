"""The line above the hold bar that explains what happens."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class HintLine(Static):
    """One sentence about what is on the screen; hidden while there is none."""

    DEFAULT_CSS = """
    HintLine { height: auto; max-height: 2; width: 1fr; padding: 0 1; display: none;
               background: $surface; color: $foreground; }
    HintLine.-shown { display: block; }
    """

    def show(self, sentence: str) -> None:
        self.set_class(bool(sentence), "-shown")
        self.update(Content.assemble(("hint ", "bold $text-accent"), sentence))
