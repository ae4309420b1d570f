"""Where a human speaks for one side."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual import events
from textual.content import Content
from textual.message import Message

from convtui.text.boundary import visible_line
from convtui.tui.widgets.safe_area import SafeTextArea

PAUSE_BEFORE_EMPTY = 0.3
"""Seconds after a send, or any Enter, during which an empty Enter does nothing: a second press of
the same key, or one that is held, must not let the simulator speak. What a person cannot have read
is not sent either: a draft that has just come in, a text just after the focus has come here."""
NOT_YET = "not your turn: kept, enter sends it then"
SEVERAL_LINES = "not sent: enter sends all of it"
HISTORY = 100

KEYS = {
    "take_over.send": ("enter",),
    "take_over.newline": ("ctrl+j", "alt+enter"),
    "take_over.draft": ("ctrl+g",),
    "take_over.editor": ("ctrl+o",),
    "take_over.leave": ("escape",),
}
"""The actions that are heard here, with their usual keys."""


class TakeOverInput(SafeTextArea):
    """A few lines of text: Enter sends, ctrl+j begins a new line
    (alt+enter too, where the terminal tells it from Enter).

    `my_turn` says whether the human is to speak now. `keys` maps the ids of the registry's
    take-over actions to the keys that do them. What was sent, and what a draft took the place of,
    comes back with the up key.
    """

    DEFAULT_CSS = """
    TakeOverInput { height: auto; min-height: 3; max-height: 7; display: none;
                    border: tall $border; background: $surface; }
    TakeOverInput:focus { border: tall $accent; }
    TakeOverInput.-shown { display: block; }
    """

    class Sent(Message):
        """Text to be said."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class SimulatorAsked(Message):
        """The side is to speak for itself this once."""

    class DraftAsked(Message):
        """The side is to make a draft."""

    class EditorAsked(Message):
        """The text is to be written in an editor of its own."""

    class Left(Message):
        """Escape: the text stays."""

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
        """Whether there is a turn to wait for."""
        self._clock = clock
        self._sent_at = float("-inf")
        self._entered_at = float("-inf")
        self._filled_at = float("-inf")
        self._focused_at = float("-inf")
        self._notice = self._hint = ""
        self._filled = ""
        """The draft that was put in, as it was put in."""
        self._said: list[str] = []
        self._recalled: int | None = None
        self._draft = ""
        self._keys = keys or KEYS

    def label(self, title: str, hint: str, placeholder: str) -> None:
        """Says whose words these are, what can be pressed, and what an empty text does."""
        self.border_title = Content(visible_line(title, 100))
        self._hint = visible_line(hint, 100)
        self.placeholder = visible_line(placeholder, 200)
        self._show_hint()

    def notice(self, text: str) -> None:
        """Says something in place of the hint, until the text is sent or gone."""
        self._notice = text
        self._show_hint()

    def _show_hint(self) -> None:
        self.border_subtitle = Content(self._notice or self._hint)

    def _on_focus(self, event: events.Focus) -> None:
        super()._on_focus(event)
        self._focused_at = self._clock()

    def on_text_area_changed(self) -> None:
        """What was noticed is about a text that is gone."""
        if self._notice and not self.text:
            self.notice("")

    def _does(self, action: str, key: str) -> bool:
        return key in self._keys.get(action, ())

    async def _on_key(self, event: events.Key) -> None:
        action = next((name for name in self._keys if self._does(name, event.key)), None)
        if action is not None:
            event.prevent_default()
            event.stop()
            self._do(action)
            return
        key = event.key
        row, _ = self.cursor_location
        if key == "up" and row == 0 and self._said:
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
        """Keeps the lines of what is pasted, and never sends it."""
        event.stop()
        event.prevent_default()
        # Terminals paste a line's end as the key Enter would send it.
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        if result := self._replace_via_keyboard(text, *self.selection):
            self.move_cursor(result.end_location)
        if "\n" in text:
            self.notice(SEVERAL_LINES if self.my_turn else NOT_YET if self.turn_comes else "")

    def _do(self, action: str) -> None:
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
        """Says what was written; an empty text lets the side speak for itself."""
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
            self.keep(text)
            self._sent_at = now
            # What is typed from here on is the next thing to say.
            self.text = self._filled = ""
            self.post_message(self.Sent(text))
        elif now - max(self._sent_at, pressed) >= PAUSE_BEFORE_EMPTY:
            self._sent_at = now
            self.post_message(self.SimulatorAsked())

    def refused(self, text: str) -> None:
        """What was sent was not said: it comes back, before what was typed since."""
        self._recalled = None
        if not self.text:
            self.text = text
            self.move_cursor(self.document.end)
        else:
            # The cursor stays in what is being typed.
            self.insert(f"{text}\n", (0, 0), maintain_selection_offset=True)

    def keep(self, text: str) -> None:
        """Keeps a text for the up key."""
        if text.strip() and text not in self._said[-1:]:
            self._said = [*self._said[-HISTORY + 1 :], text]
        self._recalled = None

    def fill(self, draft: str, *, over: str = "") -> bool:
        """Puts a draft in; whether a text of the human's gave way to it (the up key has it).

        Only a text that is still `over`, as it was when the draft was asked for, gives way: what
        somebody is writing stays, and the up key has the draft.
        """
        before = self.text
        gave_way = bool(before.strip()) and before not in (draft, self._filled)
        if gave_way and before != over:
            self.keep(draft)
            return False
        if gave_way:
            self.keep(before)
        self._recalled = None
        self.text = self._filled = draft
        self._filled_at = self._clock()
        self.move_cursor(self.document.end)
        return gave_way

    def forget_draft(self) -> None:
        """Takes a draft out that nobody has touched: its turn is over."""
        if self._filled and self.text == self._filled:
            self.text = ""
        self._filled = ""

    def _recall(self, direction: int) -> None:
        if self._recalled is None:
            self._draft = self.text
            place = len(self._said) - 1
        else:
            place = self._recalled + direction
        if place >= len(self._said):
            self._recalled = None
            self.text = self._draft
        else:
            self._recalled = max(0, place)
            self.text = self._said[self._recalled]
        self.move_cursor(self.document.end)
