"""The figures of one conversation of a batch, from its entry in the manifest and from its log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from convtui.batch.manifest import Entry
from convtui.errors import ConvtuiError, LogError
from convtui.filters.filter import Filter
from convtui.log.filter_lookup import log_matches
from convtui.log.reader import open_log
from convtui.log.run_summary import number, total
from convtui.records.codec import exit_code
from convtui.transcript.ending_words import ending_sentence
from convtui.transcript.fault_rules import faults_of
from convtui.transcript.fold import COMMITTED, GONE, Flag, Transcript, Turn
from convtui.transcript.usage import Used, used_by_side

Outcome = Literal["good", "bad", "interrupted", "open"]
"""What its ending means: `bad` where `convtui run` would exit with 3 (failed, abstained, discarded,
budget, interrupted by the harness), `interrupted` where a human ended it, `open` before its end."""

_ERRORS = int(Flag.ERROR | Flag.ERROR_TEXT)


@dataclass(slots=True)
class Figures:
    """What a log says, with the turns and the usage that it goes on from."""

    turns: int = 0
    """Committed turns."""
    sessions: int = 0
    discarded: int = 0
    signals: Counter[str] = field(default_factory=Counter)
    """Turns by signal."""
    faults: Counter[str] = field(default_factory=Counter)
    """Turns by the side at fault: simulator, provider, harness."""
    rules: Counter[str] = field(default_factory=Counter)
    """Turns by `side rule` of a fault."""
    errors: int = 0
    """Turns that failed, or whose text is an error message."""
    tool_errors: int = 0
    """Turns with a failed tool call."""
    retries: int = 0
    """Calls that were made again."""
    latencies: list[float] = field(default_factory=list)
    """Seconds that the provider took for each of its turns, as far as on record."""
    tokens: int | None = None
    """Prompt and completion tokens of all sides, without what reflecting took."""
    cost: float | None = None
    """US dollars, of the same."""
    reflection_tokens: int | None = None
    """What it took to reflect on the attempt before this one."""
    reflection_cost: float | None = None
    seconds: float | None = None
    """From its beginning to its end, without the logs that it goes on from."""


@dataclass(slots=True)
class Conversation:
    """One conversation: a run of a cell, or a later attempt at one. Texts are foreign and exact."""

    key: str
    cell: str
    run: int
    attempt: int
    state: str
    """As in `Entry.state`."""
    log: Path | None = None
    termination: dict[str, Any] | None = None
    figures: Figures | None = None
    """None without a readable log."""
    problem: str = ""
    """Why its log cannot be read, or why it could not begin."""
    matches: bool | None = None
    """Whether it is one that `attempts.when` wants tried again; None where nothing says so."""
    reruns: int = 0
    because: str = ""
    """Why it was last run again."""
    hold: dict[str, Any] | None = None

    @property
    def outcome(self) -> Outcome:
        if self.state != "ended":
            return "open"
        code = self.exit_code
        return "good" if code == 0 else "interrupted" if code == 130 else "bad"

    @property
    def exit_code(self) -> int:
        """The exit code of `convtui run` for its ending."""
        return exit_code(self.termination)

    @property
    def ending(self) -> str:
        """The kind of its termination, else the state of its entry."""
        kind = (self.termination or {}).get("kind")
        return str(kind) if kind else ("failed" if self.state == "ended" else self.state)

    @property
    def ending_words(self) -> str:
        """How it ended, where and why, in one sentence."""
        return ending_sentence(self.termination, nothing=self.problem or self.ending)


def read_conversation(entry: Entry, folder: Path, when: Filter | None = None) -> Conversation:
    """The figures of a conversation. Blocking: reads its log; damage of it raises nothing."""
    conversation = Conversation(
        entry.key,
        entry.cell,
        entry.run,
        entry.attempt,
        entry.state,
        folder / entry.log if entry.log is not None else None,
        entry.termination,
        reruns=entry.reruns,
        because=entry.because,
        hold=entry.hold,
    )
    if conversation.log is None:
        return conversation
    try:
        with open_log(conversation.log) as log:
            conversation.figures = _figures(log.transcript)
            if conversation.termination is None and entry.over:
                conversation.termination = log.transcript.termination
            if when is not None and entry.over:
                conversation.matches = log_matches(log, when)
    except LogError as error:
        conversation.problem = str(error)
    except ConvtuiError:
        # The filter asks for what a damaged log does not have.
        conversation.matches = None
    return conversation


def _figures(transcript: Transcript) -> Figures:
    figures = Figures(sessions=len(transcript.sessions))
    figures.seconds = number(transcript.last_t)
    for turn in transcript.turns:
        _take(figures, turn)
    usage = used_by_side(transcript)
    reflection = [usage.pop("reflection", {})]
    figures.tokens, figures.cost = _tokens(usage.values()), _cost(usage.values())
    figures.reflection_tokens, figures.reflection_cost = _tokens(reflection), _cost(reflection)
    figures.retries = sum(
        totals.retries
        for part in (transcript.inherited, transcript.totals)
        for totals in part.values()
    )
    return figures


def _tokens(usage: Iterable[Used]) -> int | None:
    names = ("prompt_tokens", "completion_tokens")
    known = total(side.get(name) for side in usage for name in names)
    return None if known is None else int(known)


def _cost(usage: Iterable[Used]) -> float | None:
    return total(side.get("cost") for side in usage)


def _take(figures: Figures, turn: Turn) -> None:
    flags = int(turn.flags)
    figures.turns += turn.status == COMMITTED
    figures.discarded += turn.status == GONE
    figures.signals.update(turn.signals)
    figures.errors += bool(flags & _ERRORS)
    figures.tool_errors += bool(flags & Flag.TOOL_ERROR)
    faults = faults_of(turn)
    if faults:
        figures.faults.update({fault.side for fault in faults})
        figures.rules.update({f"{fault.side} {fault.rule}" for fault in faults})
    if turn.speaker == "provider":
        latency = number(turn.latency)
        if latency is not None:
            figures.latencies.append(latency)
