"""A text area for text that others wrote: edited exactly, drawn without control characters."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import TextArea

from convtui.text.boundary import visible

_STAND_IN = "�"


def one_for_one(line: str) -> str:
    """`line` with every character that must not reach a terminal replaced by one that may."""
    if line.isascii() and line.isprintable():
        return line
    drawn: list[str] = []
    for char in line:
        shown = visible(char)
        if char in ("\t", shown):
            drawn.append(char)
        else:
            # Columns must stay where the cursor thinks they are.
            drawn.append(shown if len(shown) == 1 else _STAND_IN)
    return "".join(drawn)


class SafeTextArea(TextArea):
    """A `TextArea` whose document may hold anything. Never highlights a language."""

    def get_line(self, line_index: int) -> Text:
        """The line as it is drawn."""
        return Text(one_for_one(self.document.get_line(line_index)), end="", no_wrap=True)
