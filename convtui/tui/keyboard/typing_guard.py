"""Decides by timing whether a key is text or a command.

Terminals deliver an unbracketed paste as keys, and so do dictation, text expanders, `tmux paste-
buffer` and `xdotool`. Such keys come in bursts. Everything in a burst is text, including line ends
and tabs: it submits nothing and does not leave the input. Neither is a key a command if it comes
right after text because the input lost the focus while the user was typing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

BURST_GAP = 0.03
"""Maximum seconds between two keys of a burst.

Programs leave 0 to 20 ms between keys (xdotool 12, scanners and expanders up to 20).
Fast typists leave 60 ms and more; a gap under 30 ms, when two fingers roll, is rare, and almost
never before Enter. A held key repeats every 30 to 40 ms, or every 15 to 20 with a faster setting,
so a repeated key does not count as a burst of commands.
"""
AFTER_TEXT = 0.3
"""Seconds after text during which a key is not a command. Typists leave 100 to 250 ms between keys;
whoever notices that the focus has moved and means a command needs longer."""
DROPPED_CHORDS = ("ctrl+", "alt+", "escape", "super+", "hyper+", "meta+")
"""Keys made of control characters: in a burst they can only come from a paste."""


class Verdict(Enum):
    """How a key is handled."""

    GO = "handle it as usual"
    TEXT = "text for the focused input, where the key has another meaning"
    BACK = "text for the input that lost the focus"
    WAIT = "undecided until the next key or a pause"
    DROP = "ignore it"


class Stroke(NamedTuple):
    """A key and its time, in seconds of a monotonic clock."""

    key: str
    character: str | None
    at: float
    event: Any = None

    @property
    def printable(self) -> bool:
        """Whether it is a printable character."""
        return self.character is not None and self.character.isprintable()

    @property
    def breaks(self) -> bool:
        """Whether it is a line end or tab in text, and has another meaning as a key."""
        return self.key in ("enter", "tab", "ctrl+j")

    @property
    def commands(self) -> bool:
        """Whether it may be a command and also occurs in text."""
        return self.printable or self.key == "enter"


Verdicts = list[tuple[Stroke, Verdict]]


class TypingGuard:
    """Judges keys in the order in which they arrive."""

    def __init__(self) -> None:
        self._text_at = float("-inf")
        self._key_at = float("-inf")
        self._command: Stroke | None = None
        self._shown_at = float("-inf")
        """When the last key came of a burst that began with an Enter in text that only showed
        something."""
        self._carriage_return = False
        """Whether the last key of text was the CR of a possible CR LF."""
        self._left = True
        self._waiting: list[Stroke] = []
        self._waits_in_text = False

    @property
    def last_key_at(self) -> float:
        return self._key_at

    @property
    def waiting(self) -> bool:
        """Whether a key waits for what follows it."""
        return bool(self._waiting)

    def left(self) -> None:
        """The user left the input on purpose: what follows is not its text."""
        self._left = True

    def pasted(self, at: float) -> None:
        """Text arrived without keys."""
        self._text_at, self._left = at, False

    def judge(self, stroke: Stroke, *, typing: bool, acts: bool = True) -> Verdicts:
        """Verdicts on the key and on those that were waiting for it; none for a key that waits.

        `typing` says whether an input has the focus; `acts` whether the key may do more than show
        something.
        """
        verdicts = self._settle(stroke)
        self._key_at = stroke.at
        if self._waiting:
            self._waiting.append(stroke)
            return verdicts
        verdict = (self._in_text if typing else self._command_or_text)(stroke, acts)
        if verdict is Verdict.WAIT:
            self._waiting, self._waits_in_text = [stroke], typing
        else:
            verdicts.append((stroke, verdict))
        return verdicts

    def rest(self) -> Verdicts:
        """Nothing followed the keys that wait: a person pressed them."""
        strokes, self._waiting = self._waiting, []
        return self._persons(strokes)

    # --- in an input

    def _in_text(self, stroke: Stroke, acts: bool) -> Verdict:
        burst = stroke.at - self._text_at < BURST_GAP
        if stroke.printable or stroke.key in ("backspace", "delete"):
            self._text(stroke)
            return Verdict.GO
        if stroke.breaks:
            if not burst:
                if stroke.key == "enter" and not acts:
                    # Even as the first key of a paste it would start nothing.
                    self._left, self._shown_at = True, stroke.at
                    return Verdict.GO
                # Without a key before it, it may be the first key of a paste.
                return Verdict.GO if stroke.key == "ctrl+j" else Verdict.WAIT
            second_half = stroke.key == "ctrl+j" and self._carriage_return
            self._text(stroke)
            return Verdict.DROP if second_half else Verdict.TEXT
        if burst and stroke.key.startswith(DROPPED_CHORDS):
            return Verdict.DROP
        if stroke.key == "escape":
            self._left = True
        return Verdict.GO

    def _text(self, stroke: Stroke) -> None:
        self._text_at, self._left = stroke.at, False
        self._carriage_return = stroke.key == "enter"

    # --- outside of inputs

    def _command_or_text(self, stroke: Stroke, acts: bool) -> Verdict:
        text = stroke.printable or stroke.breaks
        if stroke.at - self._shown_at < BURST_GAP and (
            text or stroke.key.startswith(DROPPED_CHORDS)
        ):
            self._shown_at = stroke.at
            return Verdict.DROP
        if not text:
            return Verdict.GO
        if stroke.at - self._text_at < AFTER_TEXT:
            if self._left:
                return Verdict.DROP
            self._text(stroke)
            return Verdict.BACK
        if not stroke.commands:
            return Verdict.GO
        before, self._command = self._command, stroke
        if before is not None and _burst_of_commands(before, stroke):
            return Verdict.DROP
        return Verdict.WAIT if acts else Verdict.GO

    # --- waiting keys

    def _settle(self, following: Stroke) -> Verdicts:
        if not self._waiting:
            return []
        strokes = self._waiting
        fast = following.at - strokes[-1].at < BURST_GAP
        if self._waits_in_text and fast:
            if following.key == strokes[-1].key:
                return []  # a held key or empty lines: what follows decides
            if following.printable or following.breaks:
                self._waiting = []
                self._text(strokes[-1])
                return [(stroke, Verdict.TEXT) for stroke in strokes]
        self._waiting = []
        if not self._waits_in_text and _burst_of_commands(strokes[-1], following):
            return [(stroke, Verdict.DROP) for stroke in strokes]
        return self._persons(strokes)

    def _persons(self, strokes: Sequence[Stroke]) -> Verdicts:
        """Verdicts on a person's key; a held key repeats, and counts once."""
        if strokes and self._waits_in_text:
            self._left = True
        return [
            (stroke, Verdict.GO if number == 0 else Verdict.DROP)
            for number, stroke in enumerate(strokes)
        ]


def _burst_of_commands(first: Stroke, second: Stroke) -> bool:
    return second.commands and second.key != first.key and second.at - first.at < BURST_GAP
