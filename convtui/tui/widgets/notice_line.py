"""The line above the keys that shows the latest notice."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from convtui.text.boundary import visible_line
from convtui.tui.drawing import glyphs
from convtui.tui.notices import Notice

_SIGNS: Final = {
    "information": ("i", "note", "$text-accent"),
    "warning": (glyphs.NOTICED, "warning", "$text-warning"),
    "error": (glyphs.ERROR, "error", "$text-error"),
}
MORE: Final = "click for all"


def signs(severity: str) -> tuple[str, str, str]:
    """A severity's glyph, word and style."""
    return _SIGNS.get(severity, _SIGNS["information"])


def one_line(text: str) -> str:
    """A text on one line; its line breaks are marked."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return visible_line(" / ".join(line for line in lines if line))


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells, cut between words."""
    if cell_len(text) <= width:
        return text
    kept = text[: max(0, width - 1)]
    while kept and cell_len(kept) > width - 1:
        kept = kept[:-1]
    at_word = kept.rsplit(" ", 1)[0] if " " in kept[width // 2 :] else kept
    return at_word.rstrip(" ,;:/") + "…"


def notice_parts(notice: Notice, width: int) -> list[tuple[str, str]]:
    """A notice in at most `width` cells, as pieces with styles."""
    glyph, word, style = signs(notice.severity)
    head = f"{glyph} {word}  "
    times = f"  x{notice.count}" if notice.count > 1 else ""
    text = one_line(notice.text)
    if cell_len(head + text + times) > width:
        # The glyph alone tells the kind: the words are needed more.
        head = f"{glyph} "
    room = max(8, width - cell_len(head) - cell_len(times))
    if cell_len(text) > room > 60:
        text, more = cut(text, room - len(MORE) - 2), f"  {MORE}"
    else:
        text, more = cut(text, room), ""
    return [(head, f"bold {style}"), (text, ""), (times, "bold"), (more, "$text-muted")]


class NoticeLine(Widget):
    """One line that is empty unless there is a notice. A click asks for the log."""

    DEFAULT_CSS = """
    NoticeLine { height: 1; width: 1fr; padding: 0 1; background: $background; }
    NoticeLine.-shown { background: $surface; }
    NoticeLine.-over { layer: notices; dock: bottom; display: none; }
    NoticeLine.-over.-shown { display: block; }
    """
    ALLOW_SELECT = False

    class Clicked(Message):
        """The line was clicked while it showed a notice."""

    def __init__(self, *, in_place_of: Widget | None = None, classes: str | None = None) -> None:
        """A line that takes the place of another widget needs none of its own."""
        super().__init__(classes=classes)
        self.notice: Notice | None = None
        self._other = in_place_of
        self.display = in_place_of is None

    def show(self, notice: Notice | None) -> None:
        self.notice = notice
        self.set_class(notice is not None, "-shown")
        if self._other is not None:
            self.display, self._other.display = notice is not None, notice is None
        self.refresh()

    def render(self) -> Content:
        if self.notice is None:
            return Content("")
        return Content.assemble(*notice_parts(self.notice, self.size.width))

    def on_click(self, event: events.Click) -> None:
        if self.notice is not None:
            event.stop()
            self.post_message(self.Clicked())
