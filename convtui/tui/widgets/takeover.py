"""Where a human speaks for one side."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual import events
from textual.message import Message

from convtui.tui.widgets.safe_area import SafeTextArea

PAUSE_BEFORE_EMPTY = 0.3
"""Seconds after a send during which an empty Enter does nothing: a second press of the same key
must not let the simulator speak."""
HISTORY = 100


class TakeOverInput(SafeTextArea):
    """A few lines of text: Enter sends, alt+enter or ctrl+j begins a new line.

    `my_turn` says whether the human is to speak now. `keys` maps the ids of the registry's
    take-over actions to the keys that do them.
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
        """The simulator is to speak this once."""

    class Left(Message):
        """Escape: the text stays."""

    def __init__(
        self,
        *,
        keys: dict[str, tuple[str, ...]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        id: str | None = None,
    ) -> None:
        super().__init__(
            id=id,
            show_line_numbers=False,
            soft_wrap=True,
            compact=False,
            placeholder="Say something as the user, or press Enter to let the simulator speak",
        )
        self.my_turn = False
        self._clock = clock
        self._sent_at = float("-inf")
        self._said: list[str] = []
        self._recalled: int | None = None
        self._draft = ""
        self._keys = keys or {
            "take_over.send": ("enter",),
            "take_over.newline": ("alt+enter", "ctrl+j"),
            "take_over.leave": ("escape",),
        }

    def _does(self, action: str, key: str) -> bool:
        return key in self._keys.get(action, ())

    async def _on_key(self, event: events.Key) -> None:
        key = event.key
        if self._does("take_over.send", key):
            event.prevent_default()
            event.stop()
            self.send()
            return
        if self._does("take_over.newline", key):
            event.prevent_default()
            event.stop()
            self.insert("\n")
            return
        if self._does("take_over.leave", key):
            event.prevent_default()
            event.stop()
            self.post_message(self.Left())
            return
        row, _ = self.cursor_location
        recalls = self._recalled is not None or not self.text
        if key == "up" and row == 0 and self._said and (recalls or row == 0):
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

    def send(self) -> None:
        """Says what was written; an empty text lets the simulator speak."""
        text = self.text
        if text.strip():
            if self.my_turn:
                self._said = [*self._said[-HISTORY:], text]
                self._recalled = None
                self._sent_at = self._clock()
                self.post_message(self.Sent(text))
            return
        if self.my_turn and self._clock() - self._sent_at >= PAUSE_BEFORE_EMPTY:
            self._sent_at = self._clock()
            self.post_message(self.SimulatorAsked())

    def accepted(self) -> None:
        """What was sent has been said: the input is empty again."""
        self.text = ""

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
