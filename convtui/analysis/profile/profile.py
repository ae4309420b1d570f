"""The reliability profile of one run or several: outcomes of tool calls, latency, tokens, cost.

Rates are over calls whose outcome is known: a call without a result, or one that a human stopped,
is counted, but neither as a success nor as a failure. Calls of trivial tools
(`outcomes.TRIVIAL_TOOLS`) are counted separately. What no log states is None, never zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from convtui.analysis.report.intervals import Spread, spread
from convtui.analysis.tool_calls.gains import Gain, Tally, fifths, gain_of
from convtui.analysis.tool_calls.outcomes import is_trivial, tool_type
from convtui.analysis.tool_calls.tool_calls import MadeCall, calls_of
from convtui.log.reader import Log
from convtui.log.run_summary import number
from convtui.records.codec import RecordDict
from convtui.transcript.corrections import CORRECTABLE
from convtui.transcript.fold import COMMITTED, GONE, Flag, Transcript, Turn

Number = TypeVar("Number", int, float)
_NOTICED: Final = {name: int(flag) for name, flag in CORRECTABLE.items()}
SIDES: Final = ("persona", "provider")
"""The sides that speak turns; a responder only makes calls."""


@dataclass(slots=True, frozen=True)
class ToolStats:
    """The calls of one tool."""

    name: str
    type: str
    """One of `outcomes.TOOL_TYPES`, or `general`."""
    tally: Tally
    seconds: Spread | None
    """Durations of its calls; None where none is on record."""


@dataclass(slots=True, frozen=True)
class SideStats:
    """The turns and the usage of one side."""

    side: str
    turns: int
    """Committed turns, without inherited ones."""
    latency: Spread | None
    """Seconds that the model calls of a turn took."""
    tokens: Spread | None
    """Prompt and completion tokens of a turn."""
    calls: int
    retries: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    """US dollars."""


@dataclass(slots=True, frozen=True)
class TurnPoint:
    """One turn of a run, for plots. None where a figure is not on record."""

    address: str
    speaker: str
    latency: float | None
    """Seconds."""
    tokens: int | None
    errors: int
    """1 if the turn itself failed, plus 1 for each failed tool call."""


@dataclass(slots=True)
class RunProfile:
    """The profile of one run. Texts are foreign and exact."""

    path: Path
    id: str
    persona: str
    provider: str
    created_at: str
    ending: str
    """The kind of the termination; `running` or `crashed` without one."""
    sessions: list[str] = field(default_factory=list)
    """How each session ended: the kind of its termination, `skipped` or `open`."""
    committed_turns: int = 0
    """Without inherited ones."""
    inherited: int = 0
    """Turns taken over from the run that this one continues."""
    discarded: int = 0
    inherited_discarded: int = 0
    errors: int = 0
    """Turns that failed, or whose text is an error message."""
    signals: Counter[str] = field(default_factory=Counter)
    """Turns by signal."""
    incomplete: Counter[str] = field(default_factory=Counter)
    """Turns by the reason why their reply is incomplete."""
    decisions: Counter[str] = field(default_factory=Counter)
    """A responder's decisions by kind."""
    noticed: Counter[str] = field(default_factory=Counter)
    """Turns by flag of the text checks, as recorded in the log."""
    rules: Counter[str] = field(default_factory=Counter)
    """Calls by the rule that decided their outcome; see `outcomes.RULES`."""
    tally: Tally = field(default_factory=Tally)
    trivial: int = 0
    """Calls of trivial tools, which no other figure includes."""
    outcomes: list[bool | None] = field(default_factory=list)
    """Success of every call, in order; None where unknown."""
    early: Tally = field(default_factory=Tally)
    late: Tally = field(default_factory=Tally)
    turns: list[TurnPoint] = field(default_factory=list)
    sides: list[SideStats] = field(default_factory=list)
    damage: int = 0
    """Findings about damaged records, which are in no figure."""
    _tools: dict[str, list[MadeCall]] = field(default_factory=dict)
    _latencies: dict[str, list[float]] = field(default_factory=dict)
    _tokens: dict[str, list[float]] = field(default_factory=dict)

    @property
    def gain(self) -> Gain:
        """The early calls of this run against its late ones."""
        return gain_of([self.outcomes])


@dataclass(slots=True)
class Profile:
    """The figures of one or several runs together."""

    runs: list[RunProfile]
    tally: Tally
    trivial: int
    tools: list[ToolStats]
    """Most called first."""
    dominant_type: str | None
    """The most called type of tool, on ties the one called first; None without calls."""
    gain: Gain
    rules: Counter[str]
    signals: Counter[str]
    incomplete: Counter[str]
    decisions: Counter[str]
    noticed: Counter[str]
    endings: Counter[str]
    """Runs by ending."""
    session_endings: Counter[str]
    committed_turns: int
    inherited: int
    discarded: int
    errors: int
    sessions: int
    sides: list[SideStats]

    @property
    def inherited_discarded(self) -> int:
        return sum(run.inherited_discarded for run in self.runs)

    @property
    def retries(self) -> int:
        return sum(side.retries for side in self.sides)

    @property
    def cost(self) -> float | None:
        """US dollars, summed over the sides whose cost is known; None if none is."""
        known = [side.cost for side in self.sides if side.cost is not None]
        return sum(known) if known else None


def profile_run(log: Log) -> RunProfile:
    """The profile of one run. Blocking: reads the log's tool calls."""
    transcript = log.transcript
    header = transcript.header
    provider = header.get("provider")
    run = RunProfile(
        log.path,
        transcript.id,
        str(header.get("persona") or ""),
        str(provider.get("name") or "") if isinstance(provider, dict) else "",
        str(header.get("created_at") or ""),
        _ending(transcript.termination, running=log.running),
        [_session_ending(session.termination, session.skipped) for session in transcript.sessions],
        discarded=transcript.counts.get("turn.discarded", 0),
        # A missing trailer is a crash, not damage.
        damage=sum(finding.code != "no_trailer" for finding in log.findings),
    )
    _take_calls(run, calls_of(log))
    _take_turns(run, transcript)
    _take_sides(run, transcript)
    return run


def tally_of(calls: Iterable[MadeCall]) -> Tally:
    """The outcomes of calls as a tally, without those of trivial tools."""
    counted = Counter(call.outcome.success for call in calls if not is_trivial(call.name))
    return Tally(counted.total(), counted[True], counted[False])


def combine(runs: Sequence[RunProfile]) -> Profile:
    """Combines the profiles of runs into one."""
    tools: dict[str, list[MadeCall]] = {}
    for run in runs:
        for name, calls in run._tools.items():
            tools.setdefault(name, []).extend(calls)
    stats = [
        ToolStats(
            name,
            tool_type(name),
            tally_of(calls),
            spread([call.seconds for call in calls if call.seconds is not None]),
        )
        for name, calls in tools.items()
    ]
    types: Counter[str] = Counter()
    for tool in stats:
        types[tool.type] += tool.tally.calls
    return Profile(
        list(runs),
        sum((run.tally for run in runs), Tally()),
        sum(run.trivial for run in runs),
        sorted(stats, key=lambda tool: -tool.tally.calls),
        max(types, key=types.__getitem__) if types else None,
        gain_of([run.outcomes for run in runs]),
        _sum(run.rules for run in runs),
        _sum(run.signals for run in runs),
        _sum(run.incomplete for run in runs),
        _sum(run.decisions for run in runs),
        _sum(run.noticed for run in runs),
        Counter(run.ending for run in runs),
        Counter(ending for run in runs for ending in run.sessions),
        sum(run.committed_turns for run in runs),
        sum(run.inherited for run in runs),
        sum(run.discarded for run in runs),
        sum(run.errors for run in runs),
        sum(len(run.sessions) for run in runs),
        _sides(runs),
    )


# --- one run


def _take_calls(run: RunProfile, calls: Sequence[MadeCall]) -> None:
    counted = [call for call in calls if not is_trivial(call.name)]
    run.trivial = len(calls) - len(counted)
    run.tally = tally_of(counted)
    run.outcomes = [call.outcome.success for call in counted]
    if counted:
        run.early, run.late = fifths(run.outcomes)
    for call in counted:
        run.rules[call.outcome.rule] += 1
        # A profile of many runs must not keep all their results in memory.
        call.result = call.arguments = None
        run._tools.setdefault(call.name, []).append(call)


def _take_turns(run: RunProfile, transcript: Transcript) -> None:
    failed: Counter[tuple[int, int | None]] = Counter(
        (call.session, call.turn)
        for calls in run._tools.values()
        for call in calls
        if call.outcome.success is False
    )
    for turn in transcript.turns:
        if turn.flags & Flag.SEEDED:
            run.inherited += turn.status == COMMITTED
            run.inherited_discarded += turn.status == GONE
            continue
        run.committed_turns += turn.status == COMMITTED
        wrong = bool(turn.flags & (Flag.ERROR | Flag.ERROR_TEXT))
        run.errors += wrong
        run.signals.update(turn.signals)
        if turn.flags & Flag.INCOMPLETE:
            run.incomplete.update(
                code.split(":")[1] for code in turn.codes if code.startswith("incomplete:")
            )
        flags = int(turn.flags)
        run.noticed.update(name for name, flag in _NOTICED.items() if flags & flag)
        if turn.flags & Flag.DECISION:
            run.decisions.update(
                code.split(":")[1] for code in turn.codes if code.startswith("decided:")
            )
        tokens, latency = _figure(_tokens_of(turn)), _figure(turn.latency)
        run.turns.append(
            TurnPoint(
                turn.address,
                turn.speaker,
                latency,
                tokens,
                wrong + failed[turn.session, turn.number],
            )
        )
        if latency is not None:
            run._latencies.setdefault(turn.speaker, []).append(latency)
        if tokens is not None:
            run._tokens.setdefault(turn.speaker, []).append(tokens)


def _take_sides(run: RunProfile, transcript: Transcript) -> None:
    committed = Counter(
        turn.speaker
        for turn in transcript.turns
        if turn.status == COMMITTED and not turn.flags & Flag.SEEDED
    )
    for side in dict.fromkeys((*SIDES, *sorted(transcript.totals))):
        totals = transcript.totals.get(side)
        if totals is None and not committed[side]:
            continue
        run.sides.append(
            SideStats(
                side,
                committed[side],
                spread(run._latencies.get(side, [])),
                spread(run._tokens.get(side, [])),
                totals.calls if totals is not None else 0,
                totals.retries if totals is not None else 0,
                _figure(totals.prompt_tokens) if totals is not None else None,
                _figure(totals.completion_tokens) if totals is not None else None,
                _figure(totals.cost) if totals is not None else None,
            )
        )


def _figure(value: Number | None) -> Number | None:
    """A figure of a log; None where it is no number, or an implausible one."""
    return None if number(value) is None else value


def _tokens_of(turn: Turn) -> int | None:
    if turn.prompt_tokens is None and turn.completion_tokens is None:
        return None
    return (turn.prompt_tokens or 0) + (turn.completion_tokens or 0)


def _ending(termination: RecordDict | None, *, running: bool) -> str:
    kind = (termination or {}).get("kind")
    return str(kind) if kind else ("running" if running else "crashed")


def _session_ending(termination: RecordDict | None, skipped: str | None) -> str:
    if skipped is not None:
        return "skipped"
    return str((termination or {}).get("kind") or "open")


# --- several runs


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total


def _sides(runs: Sequence[RunProfile]) -> list[SideStats]:
    names = dict.fromkeys(side.side for run in runs for side in run.sides)
    sides = []
    for name in names:
        parts = [side for run in runs for side in run.sides if side.side == name]
        sides.append(
            SideStats(
                name,
                sum(part.turns for part in parts),
                spread([value for run in runs for value in run._latencies.get(name, ())]),
                spread([value for run in runs for value in run._tokens.get(name, ())]),
                sum(part.calls for part in parts),
                sum(part.retries for part in parts),
                _known(part.prompt_tokens for part in parts),
                _known(part.completion_tokens for part in parts),
                _known(part.cost for part in parts),
            )
        )
    return sides


def _known(values: Iterable[Number | None]) -> Number | None:
    """The sum of the known values; None if none is."""
    total: Number | None = None
    for value in values:
        if value is not None:
            total = value if total is None else total + value
    return total
