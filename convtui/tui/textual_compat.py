"""What we need of Textual's private parts, in one place."""

from __future__ import annotations

from enum import StrEnum
from typing import cast

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.keys import Keys
from textual.widget import Widget


class _MoreKeys(StrEnum):
    ALT_ENTER = "alt+enter"


MISREAD_KEYS = {"\r": "alt+enter", "shift+\r": "shift+enter", "ctrl+\r": "ctrl+enter"}
"""What Textual's parser makes of Enter in the format of xterm's modifyOtherKeys (tmux has it, too).
It leaves alt out: the bare character is alt+enter."""


def read_alt_enter() -> None:
    """Teaches Textual's parser that ESC CR, which terminals send for alt+enter, is one key.

    It waits for more, and then reads ESC CR as Enter.
    """
    # Typed as a mapping for its readers; it is a dictionary.
    sequences = cast("dict[str, tuple[Keys, ...]]", ANSI_SEQUENCES_KEYS)
    for sequence in ("\x1b\r", "\x1b\n"):
        sequences.setdefault(sequence, (cast("Keys", _MoreKeys.ALT_ENTER),))


def forward(widget: Widget, event: events.Key | events.Paste) -> None:
    """Gives an event to a widget behind those it was given before, as the app does it."""
    widget._forward_event(event)
