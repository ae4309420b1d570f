"""What a fold keeps of a conversation: a fixed-size summary of each turn, the sessions, the totals.

Raw replies, requests, tool results and the like stay in the file and are read by offset when
somebody looks at a turn (`log.detail`).
"""

from __future__ import annotations

from array import array
from enum import IntFlag
from sys import intern
from typing import Any, Final

from convtui.records.codec import RecordDict
from convtui.records.interim import Interim


class Flag(IntFlag):
    SIGNAL = 1
    DISCARDED = 2
    CHANGED = 4
    """The raw reply differs from the shown text."""
    EMPTY = 8
    RETRY = 16
    ERROR = 32
    TOOL = 64
    TOOL_ERROR = 128
    DECISION = 256
    OUTPUT = 512
    EDITED = 1024
    HUMAN = 2048
    CANCELLED = 4096
    SKIPPED = 8192
    TRUNCATED = 16384
    ENDED = 32768
    """The session ended here."""
    WOULD_END = 65536
    """It would have ended here (or been dropped), but the ending was overridden or ignored."""
    REUSED = 131072
    """The raw reply was received earlier and not asked for again."""
    SEEDED = 262144
    """Committed before this log began; its evidence is in the parent log."""
    HELD = 524288
    REASONING = 1048576
    WARNING = 2097152
    ROLE = 4194304
    """A heuristic found that the side speaks as if it were the other one."""
    REPEAT = 8388608
    """A heuristic found that the side has said this before in the session."""
    LEAK = 16777216
    """A reasoning tag stands in the shown text."""
    INACTIVE = 33554432
    """It was said and is in the history no more."""
    INCOMPLETE = 1 << 26
    """The reply did not come to its end, or is not one: see the code `incomplete:REASON`."""
    ERROR_TEXT = 1 << 27
    """The text of an error came as the reply."""
    INTERIM = 1 << 28
    """Its model wrote text beside tool calls."""
    FAREWELL = 1 << 29
    """A heuristic found that both sides only say goodbye, turn after turn."""
    LABEL = 1 << 30
    """A heuristic found that the text begins with a name or a label, as in a script."""
    SENTINEL = 1 << 31
    """A heuristic found a sentinel in a form that ends nothing."""
    ECHO = 1 << 32
    """A heuristic found that the side says what the other one said just before."""


INTERESTING: Final = (
    Flag.SIGNAL
    | Flag.DISCARDED
    | Flag.EMPTY
    | Flag.RETRY
    | Flag.ERROR
    | Flag.TOOL_ERROR
    | Flag.DECISION
    | Flag.EDITED
    | Flag.HUMAN
    | Flag.CANCELLED
    | Flag.SKIPPED
    | Flag.TRUNCATED
    | Flag.ENDED
    | Flag.WOULD_END
    | Flag.WARNING
    | Flag.ROLE
    | Flag.REPEAT
    | Flag.LEAK
    | Flag.INCOMPLETE
    | Flag.ERROR_TEXT
    | Flag.FAREWELL
    | Flag.LABEL
    | Flag.SENTINEL
    | Flag.ECHO
)
"""What "next event of interest" stops at. A changed text alone is everyday: it is not in here."""

OPEN, COMMITTED, GONE, FAILED = "open", "committed", "discarded", "failed"
ENDED = "ended"
"""A turn in which the session ended before anything was said."""
INACTIVE = "inactive"
"""A turn that was said and is in the history no more."""


MAX_CODES: Final = 24
"""Codes that are kept of a turn."""
MAX_CODE: Final = 80
"""Characters that are kept of a code, parts of which come from files."""


class Turn:
    """The summary of one turn.

    `stage` is the last stage that has run, or the one that is held.
    `first` and `last` are the ordinals (line numbers from 0) of its first and last record in this
    log; -1 for a turn that was seeded. Times are seconds, `cost` US dollars; None is unknown.
    """

    __slots__ = (
        "attempt",
        "codes",
        "completion_tokens",
        "cost",
        "error",
        "first",
        "flags",
        "index",
        "interim",
        "last",
        "latency",
        "note",
        "number",
        "prompt_tokens",
        "session",
        "signals",
        "speaker",
        "stage",
        "started",
        "status",
        "streamed",
        "text",
        "version",
    )

    def __init__(self, index: int, session: int, number: int, speaker: str, attempt: int) -> None:
        self.index = index
        self.session = session
        self.number = number
        self.speaker = speaker
        self.attempt = attempt
        self.status = OPEN
        self.text = ""
        self.interim: tuple[Interim, ...] = ()
        """What was written beside tool calls and is not part of `text`."""
        self.flags = 0
        self.first = -1
        self.last = -1
        self.signals: tuple[str, ...] = ()
        self.latency: float | None = None
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.cost: float | None = None
        self.stage = "request"
        self.started = 0.0
        self.streamed = 0
        """Characters of the reply taken in so far, while it is being streamed."""
        self.note = ""
        """One line for the row below the text: which hook dropped it, why it was overridden."""
        self.error = ""
        self.codes: tuple[str, ...] = ()
        """What the flags do not say, in order: `error:SIDE:KIND`,
        `retry:SIDE`, `tool:KIND`, `warning:CODE`, `decided:KIND[:invalid][:human|:record]`,
        `end:KIND`, `budget`, `injected:SIDE:FAULT`, `incomplete:REASON`, `error_text`,
        `thought:SIGNAL`, `break` where a breakpoint stopped, `branch` at the last seeded turn, and
        `FLAG:RULE` of the heuristics."""
        self.version = 0

    def code(self, code: str) -> None:
        """Keeps a code, once."""
        code = code[:MAX_CODE]
        if code not in self.codes and len(self.codes) < MAX_CODES:
            self.codes = (*self.codes, intern(code))

    @property
    def everything(self) -> str:
        """The text written beside tool calls, then the shown text."""
        if not self.interim:
            return self.text
        return "\n\n".join([*(part.text for part in self.interim), self.text])

    @property
    def address(self) -> str:
        """`session:turn`."""
        return f"{self.session}:{self.number}"

    def __repr__(self) -> str:
        return f"<Turn {self.address} {self.speaker} {self.status} {self.text[:30]!r}>"


class Session:
    """One session: its type, the indexes of its turns, its lifecycle and how it ended."""

    __slots__ = (
        "ended_at",
        "first_speaker",
        "index",
        "max_turns",
        "reflections",
        "session_type",
        "skipped",
        "started_at",
        "termination",
        "turns",
        "warm",
    )

    def __init__(self, index: int, session_type: str) -> None:
        self.index = index
        self.session_type = session_type
        self.turns: array[int] = array("L")
        self.first_speaker: str | None = None
        self.max_turns: int | None = None
        self.termination: dict[str, Any] | None = None
        self.skipped: str | None = None
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.warm: tuple[str, int] | None = None
        """The warm template that the provider's history begins with, and how many messages."""
        self.reflections: tuple[tuple[int, str], ...] = ()
        """Of the first session: what earlier attempts have taught, each with the attempt's number.
        """


def add_usage(total: Turn | Totals, usage: RecordDict) -> None:
    """Adds the usage of one call; figures that it lacks stay unknown."""
    get = usage.get
    prompt, completion, cost = get("prompt_tokens"), get("completion_tokens"), get("cost")
    if prompt is not None:
        total.prompt_tokens = (total.prompt_tokens or 0) + prompt
    if completion is not None:
        total.completion_tokens = (total.completion_tokens or 0) + completion
    if cost is not None:
        total.cost = (total.cost or 0) + cost


class Totals:
    """What one side has used. A figure is None while no call has reported it."""

    __slots__ = ("calls", "completion_tokens", "cost", "prompt_tokens", "retries", "seconds")

    def __init__(self) -> None:
        self.calls = 0
        self.retries = 0
        self.seconds = 0.0
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.cost: float | None = None

    @property
    def tokens(self) -> int | None:
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)

    def add(self, usage: RecordDict) -> None:
        add_usage(self, usage)

    def as_dict(self) -> dict[str, Any]:
        totals = {name: getattr(self, name) for name in self.__slots__}
        totals["seconds"] = round(self.seconds, 4)
        totals["tokens"] = self.tokens
        return {name: value for name, value in totals.items() if value is not None}
