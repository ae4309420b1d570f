"""Calls for attention when a conversation holds: a bell, or a notice of the desktop.

What goes to the terminal consists of fixed words and numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convtui.config.settings import Config

ALONE = 10.0
"""Seconds without a key after which nobody looks, where the terminal does not say."""
_BELL = "\x07"


def notice(hold: Mapping[str, Any]) -> str:
    """A hold in a few words, none of which comes from the conversation."""
    what = "your turn" if hold.get("reason") == "human" else "held"
    session, turn = hold.get("session"), hold.get("turn")
    if type(turn) is not int:
        return f"convtui: {what}"
    return f"convtui: {what} at {session if type(session) is int else 1}:{turn}"


def sequence(mode: str, text: str, *, tmux: bool = False) -> str:
    """What makes a terminal ring or show `text`; empty where nothing is wanted."""
    if mode == "bell":
        return _BELL
    if mode == "osc9":
        code = f"\x1b]9;{text}{_BELL}"
    elif mode == "osc777":
        code = f"\x1b]777;notify;convtui;{text.removeprefix('convtui: ')}{_BELL}"
    else:
        return ""
    # tmux passes on only what is wrapped for it.
    return "\x1bPtmux;" + code.replace("\x1b", "\x1b\x1b") + "\x1b\\" if tmux else code


class Attention:
    """Knows whether somebody looks at the terminal, and calls if nobody does."""

    def __init__(
        self,
        config: Callable[[], Config | None],
        write: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`write` sends to the terminal through the driver."""
        self._config = config
        self._write = write
        self._clock = clock
        self._focused: bool | None = None
        """Whether the terminal has the focus; None while it has never said."""
        self._pressed = clock()

    def pressed(self) -> None:
        """A key was pressed."""
        self._pressed = self._clock()

    def focus(self, focused: bool) -> None:
        """The terminal got or lost the focus."""
        self._focused = focused

    @property
    def looked_at(self) -> bool:
        if self._focused is not None:
            return self._focused
        return self._clock() - self._pressed < ALONE

    def held(self, hold: Mapping[str, Any] | None) -> None:
        """Calls for a new hold, if the settings say so."""
        config = self._config()
        if hold is None or config is None or config.notify == "off":
            return
        if config.notify_when == "away" and self.looked_at:
            return
        self._write(sequence(config.notify, notice(hold), tmux="TMUX" in os.environ))
