"""The input in which a human speaks for a side."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual import events
from textual.content import Content
from textual.message import Message

from convtui.text.boundary import visible_line
from convtui.tui.widgets.safe_area import SafeTextArea

PAUSE_BEFORE_EMPTY = 0.3
"""Seconds after a send, or any Enter, during which an empty Enter does nothing: a repeated or held
key must not let the simulator speak. Nor is text sent that nobody can have read yet: a draft that
has just arrived, or any text right after the input got the focus."""
NOT_YET = "not your turn yet: kept, enter sends it then"
SEVERAL_LINES = "not sent yet: enter sends all lines"
HISTORY = 100

KEYS = {
    "take_over.send": ("enter",),
    "take_over.newline": ("ctrl+j", "alt+enter"),
    "take_over.draft": ("ctrl+g",),
    "take_over.editor": ("ctrl+o",),
    "take_over.leave": ("escape",),
}
"""The actions handled here, with their default keys."""


class TakeOverInput(SafeTextArea):
    """A multi-line input: Enter sends, ctrl+j (or alt+enter) starts a new line.

    `my_turn` says whether the human is to speak now. `keys` maps the ids of the take-over actions
    to their keys. The up key recalls sent texts and texts that a draft replaced.
    """

    DEFAULT_CSS = """
    TakeOverInput { height: auto; min-height: 3; max-height: 7; display: none;
                    border: round $border; background: $surface; }
    TakeOverInput.-persona:focus { border: round $persona; border-title-color: $persona; }
    TakeOverInput.-provider:focus { border: round $secondary; border-title-color: $secondary; }
    TakeOverInput.-shown { display: block; }
    """

    class Sent(Message):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class SimulatorAsked(Message):
        """The side is to speak for itself this once."""

    class DraftAsked(Message):
        """A draft is requested."""

    class EditorAsked(Message):
        """The text is to be edited in an external editor."""

    class Left(Message):
        """Escape was pressed; the text stays."""

    def __init__(
        self,
        *,
        keys: dict[str, tuple[str, ...]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id, show_line_numbers=False, soft_wrap=True, compact=False)
        self.my_turn = False
        self.turn_comes = True
        """Whether the human's turn can still come."""
        self._clock = clock
        self._sent_at = float("-inf")
        self._entered_at = float("-inf")
        self._filled_at = float("-inf")
        self._focused_at = float("-inf")
        self._notice = self._hint = ""
        self._filled = ""
        """The draft as it was inserted."""
        self._history: list[str] = []
        self._recalled: int | None = None
        self._draft = ""
        self._keys = keys or KEYS

    def label(self, title: str, hint: str, placeholder: str) -> None:
        """Sets title, hint and placeholder."""
        self.border_title = Content(visible_line(title, 100))
        self._hint = visible_line(hint, 100)
        self.placeholder = visible_line(placeholder, 200)
        self._show_hint()

    def speaks_for(self, side: str) -> None:
        """Takes the colour of a side, empty for none."""
        for name in ("persona", "provider"):
            self.set_class(name == side, f"-{name}")

    def notice(self, text: str) -> None:
        """Shows a text in place of the hint, until the input is sent or empty."""
        self._notice = text
        self._show_hint()

    def _show_hint(self) -> None:
        self.border_subtitle = Content(self._notice or self._hint)

    def _on_focus(self, event: events.Focus) -> None:
        super()._on_focus(event)
        self._focused_at = self._clock()

    def on_text_area_changed(self) -> None:
        """Removes a notice about a text that is gone."""
        if self._notice and not self.text:
            self.notice("")

    def _has_key(self, action: str, key: str) -> bool:
        return key in self._keys.get(action, ())

    async def _on_key(self, event: events.Key) -> None:
        action = next((name for name in self._keys if self._has_key(name, event.key)), None)
        if action is not None:
            event.prevent_default()
            event.stop()
            self._perform(action)
            return
        key = event.key
        row, _ = self.cursor_location
        if key == "up" and row == 0 and self._history:
            event.prevent_default()
            event.stop()
            self._recall(-1)
            return
        if key == "down" and self._recalled is not None and row == self.document.line_count - 1:
            event.prevent_default()
            event.stop()
            self._recall(1)
            return
        await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        """Inserts a paste with all its lines, without sending it."""
        event.stop()
        event.prevent_default()
        # Terminals paste line ends as the Enter key sends them.
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        if result := self._replace_via_keyboard(text, *self.selection):
            self.move_cursor(result.end_location)
        if "\n" in text:
            self.notice(SEVERAL_LINES if self.my_turn else NOT_YET if self.turn_comes else "")

    def _perform(self, action: str) -> None:
        if action == "take_over.send":
            self.send()
        elif action == "take_over.newline":
            self.insert("\n")
        elif action == "take_over.draft":
            self.post_message(self.DraftAsked())
        elif action == "take_over.editor":
            self.post_message(self.EditorAsked())
        elif action == "take_over.leave":
            self.post_message(self.Left())

    def send(self) -> None:
        """Sends the text; an empty one lets the side speak for itself."""
        text = self.text
        now = self._clock()
        pressed, self._entered_at = self._entered_at, now
        if not self.my_turn:
            if text.strip() and self.turn_comes:
                self.notice(NOT_YET)
            return
        if now - max(self._filled_at, self._focused_at) < PAUSE_BEFORE_EMPTY:
            return
        if text.strip():
            self.remember(text)
            self._sent_at = now
            # What is typed from here on is the next message.
            self.text = self._filled = ""
            self.post_message(self.Sent(text))
        elif now - max(self._sent_at, pressed) >= PAUSE_BEFORE_EMPTY:
            self._sent_at = now
            self.post_message(self.SimulatorAsked())

    def restore(self, text: str) -> None:
        """Puts back a text that was refused, before what was typed since."""
        self._recalled = None
        if not self.text:
            self.text = text
            self.move_cursor(self.document.end)
        else:
            # Keep the cursor in what is being typed.
            self.insert(f"{text}\n", (0, 0), maintain_selection_offset=True)

    def remember(self, text: str) -> None:
        """Adds a text to the history of the up key."""
        if text.strip() and text not in self._history[-1:]:
            self._history = [*self._history[-HISTORY + 1 :], text]
        self._recalled = None

    def fill(self, draft: str, *, over: str = "") -> bool:
        """Inserts a draft; True if it replaced the human's text, which the up key recalls.

        It replaces only `over`, the text when the draft was requested: what is being typed stays,
        and the up key recalls the draft.
        """
        current = self.text
        replaces = bool(current.strip()) and current not in (draft, self._filled)
        if replaces and current != over:
            self.remember(draft)
            return False
        if replaces:
            self.remember(current)
        self._recalled = None
        self.text = self._filled = draft
        self._filled_at = self._clock()
        self.move_cursor(self.document.end)
        return replaces

    def forget_draft(self) -> None:
        """Removes an unchanged draft whose turn is over."""
        if self._filled and self.text == self._filled:
            self.text = ""
        self._filled = ""

    def _recall(self, direction: int) -> None:
        if self._recalled is None:
            self._draft = self.text
            index = len(self._history) - 1
        else:
            index = self._recalled + direction
        if index >= len(self._history):
            self._recalled = None
            self.text = self._draft
        else:
            self._recalled = max(0, index)
            self.text = self._history[self._recalled]
        self.move_cursor(self.document.end)
