"""A text area for untrusted text: edited exactly, drawn without control characters."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import TextArea

from convtui.text.boundary import visible

_REPLACEMENT = "�"


def sanitised(line: str) -> str:
    """`line` with each character unsafe for a terminal replaced by one safe character."""
    if line.isascii() and line.isprintable():
        return line
    drawn: list[str] = []
    for char in line:
        shown = visible(char)
        if char in ("\t", shown):
            drawn.append(char)
        else:
            # Keep the columns, which the cursor relies on.
            drawn.append(shown if len(shown) == 1 else _REPLACEMENT)
    return "".join(drawn)


class SafeTextArea(TextArea):
    """A `TextArea` whose document may contain anything. Never highlights a language."""

    def get_line(self, line_index: int) -> Text:
        return Text(sanitised(self.document.get_line(line_index)), end="", no_wrap=True)
