"""Textual's private parts that convtui needs."""

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
"""Textual's names for modified Enter in xterm's modifyOtherKeys format, which tmux uses too. Its
parser drops alt: the bare character is alt+enter."""


def read_alt_enter() -> None:
    """Teaches Textual's parser that ESC CR, which terminals send for alt+enter, is one key.

    Otherwise it reads ESC CR as a plain Enter, after a delay.
    """
    # Textual declares it as a Mapping; it is a dict.
    sequences = cast("dict[str, tuple[Keys, ...]]", ANSI_SEQUENCES_KEYS)
    for sequence in ("\x1b\r", "\x1b\n"):
        sequences.setdefault(sequence, (cast("Keys", _MoreKeys.ALT_ENTER),))


def forward(widget: Widget, event: events.Key | events.Paste) -> None:
    """Queues an event for a widget behind earlier ones, as the app does."""
    widget._forward_event(event)
