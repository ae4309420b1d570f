"""Whether a key is text or a command, by when it came.

Terminals hand over an unbracketed paste as keys, and so does whatever types in a person's place:
dictation, text expanders, `tmux paste-buffer`, `xdotool`. Such keys come in bursts. What is in a
burst is text, its line ends and tabs too: they send nothing, and leave no input. Nor is a key a
command that comes right after text, when the input has lost the focus under the typist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

BURST_GAP = 0.03
"""Seconds between two keys of a burst, at the most.

Programs that type leave 0 to 20 ms between keys (xdotool 12, scanners and expanders up to 20).
Fast typists leave 60 ms and more; a gap under 30 ms, where two fingers roll, is rare, and hardly
ever before Enter. A key that is held repeats every 30 to 40 ms, where people made it faster every
15 to 20: the same key again is therefore no burst of commands.
"""
AFTER_TEXT = 0.3
"""Seconds after text within which a key is no command. People who type leave 100 to 250 ms between
keys; somebody who has seen that the focus is elsewhere, and means a command, needs longer."""
DROPPED_CHORDS = ("ctrl+", "alt+", "escape", "super+", "hyper+", "meta+")
"""Keys that are made of control characters, which a paste can hold; nobody is fast enough."""


class Verdict(Enum):
    """What a key is."""

    GO = "it does what it always does"
    TEXT = "text of the input with the focus, though the key has another meaning there"
    BACK = "text of the input that had the focus"
    WAIT = "the next key, or that there is none, decides"
    DROP = "nothing"


@dataclass(slots=True, frozen=True)
class Stroke:
    """A key and when it came, in seconds of any clock that never goes back."""

    key: str
    character: str | None
    at: float
    event: Any = None

    @property
    def printable(self) -> bool:
        """Whether it is a character of a text."""
        return self.character is not None and self.character.isprintable()

    @property
    def breaks(self) -> bool:
        """Whether it stands in texts as a line end or a tab, and has another meaning as a key."""
        return self.key in ("enter", "tab", "ctrl+j")

    @property
    def commands(self) -> bool:
        """Whether it may be a command and stand in a text."""
        return self.printable or self.key == "enter"


Verdicts = list[tuple[Stroke, Verdict]]


class TypingGuard:
    """Judges keys in the order in which they came."""

    def __init__(self) -> None:
        self._text_at = float("-inf")
        self._key_at = float("-inf")
        self._command: Stroke | None = None
        self._carriage_return = False
        """Whether the last key of the text was the first half of a line end of two characters."""
        self._left = True
        self._waiting: list[Stroke] = []
        self._waits_in_text = False

    @property
    def last_key_at(self) -> float:
        """When the last key came."""
        return self._key_at

    @property
    def waiting(self) -> bool:
        """Whether a key waits for what follows it."""
        return bool(self._waiting)

    def left(self) -> None:
        """The person has left the input on purpose: what follows is not its text."""
        self._left = True

    def pasted(self, at: float) -> None:
        """Text came without keys."""
        self._text_at, self._left = at, False

    def judge(self, stroke: Stroke, *, typing: bool, acts: bool = True) -> Verdicts:
        """What the key is, and before it those that have waited for it; one that waits is missing.

        `typing` says whether an input has the focus; `acts` whether it is a command that does more
        than to show something.
        """
        verdicts = self._settle(stroke)
        self._key_at = stroke.at
        if self._waiting:
            self._waiting.append(stroke)
            return verdicts
        verdict = self._in_text(stroke) if typing else self._command_or_text(stroke, acts)
        if verdict is Verdict.WAIT:
            self._waiting, self._waits_in_text = [stroke], typing
        else:
            verdicts.append((stroke, verdict))
        return verdicts

    def rest(self) -> Verdicts:
        """Nothing has followed the keys that wait: they are a person's."""
        strokes, self._waiting = self._waiting, []
        return self._persons(strokes)

    # --- in an input

    def _in_text(self, stroke: Stroke) -> Verdict:
        burst = stroke.at - self._text_at < BURST_GAP
        if stroke.printable or stroke.key in ("backspace", "delete"):
            self._text(stroke)
            return Verdict.GO
        if stroke.breaks:
            if not burst:
                # One that nothing came before may be the first key of a paste.
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
        if not (stroke.printable or stroke.breaks):
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

    # --- those that wait

    def _settle(self, following: Stroke) -> Verdicts:
        if not self._waiting:
            return []
        strokes = self._waiting
        fast = following.at - strokes[-1].at < BURST_GAP
        if self._waits_in_text and fast:
            if following.key == strokes[-1].key:
                return []  # held, or empty lines: whatever comes after them decides
            if following.printable or following.breaks:
                self._waiting = []
                self._text(strokes[-1])
                return [(stroke, Verdict.TEXT) for stroke in strokes]
        self._waiting = []
        if not self._waits_in_text and _burst_of_commands(strokes[-1], following):
            return [(stroke, Verdict.DROP) for stroke in strokes]
        return self._persons(strokes)

    def _persons(self, strokes: Sequence[Stroke]) -> Verdicts:
        """A person's key; held, it repeats, and counts once."""
        if strokes and self._waits_in_text:
            self._left = True
        return [
            (stroke, Verdict.GO if number == 0 else Verdict.DROP)
            for number, stroke in enumerate(strokes)
        ]


def _burst_of_commands(first: Stroke, second: Stroke) -> bool:
    return second.commands and second.key != first.key and second.at - first.at < BURST_GAP
