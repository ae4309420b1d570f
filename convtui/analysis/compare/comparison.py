"""Compares two runs, aligned by session and turn.

Differences are those of content and events: texts, raw replies, signals, discards, decisions,
tools, errors, manual changes, endings. Times, tokens and cost are reported, but vary from run to
run without meaning anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.analysis.compare.align import align
from convtui.analysis.compare.lineage import Kinship, kinship
from convtui.log.detail import TurnDetail
from convtui.log.parents import Ancestry
from convtui.log.reader import Log, open_log
from convtui.log.transcript_json import turn_detail
from convtui.text.counts import counted
from convtui.text.word_diff import Op, word_diff
from convtui.transcript.fold import COMMITTED, Flag, Session, Transcript, Turn

_NEEDS_DETAIL: Final = int(
    Flag.SIGNAL | Flag.CHANGED | Flag.TOOL | Flag.TOOL_ERROR | Flag.DECISION | Flag.DISCARDED
)
_LONG: Final = 4_000
"""Characters of a tool's arguments or result that are compared."""


@dataclass(slots=True, frozen=True)
class Facts:
    """The details of a turn that only its records have, not the transcript."""

    raw: str | None = None
    signals: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    """`name(arguments) ok` or `name(arguments) error_kind`, in order."""
    results: tuple[str, ...] = ()
    """The result of each tool call as text, in the same order."""
    decisions: tuple[str, ...] = ()
    """The responder's decisions: kind and tool, and whether not valid or made by hand."""


@dataclass(slots=True)
class Pair:
    """Two turns side by side, or one without a counterpart."""

    session: int
    a: Turn | None
    b: Turn | None
    shared: bool = False
    """Whether both sides are the same turn, inherited from a common ancestor."""
    differences: tuple[str, ...] = ()
    """What differs: `text`, `signals`, ...; empty where nothing does."""
    facts_a: Facts = field(default_factory=Facts)
    facts_b: Facts = field(default_factory=Facts)

    @property
    def any(self) -> Turn:
        """The turn of A, or of B where A has none."""
        turn = self.a or self.b
        assert turn is not None
        return turn

    @property
    def where(self) -> str:
        """The address, or both where they differ: `2:7`, `2:7 | 2:9`."""
        if self.a is None or self.b is None or self.a.address == self.b.address:
            return self.any.address
        return f"{self.a.address} | {self.b.address}"

    def diff(self) -> list[tuple[Op, str]]:
        """The word diff of the texts, or of the raw replies where only they differ."""
        if self.a is None or self.b is None:
            return []
        if "text" not in self.differences and "raw" in self.differences:
            return word_diff(self.facts_a.raw or "", self.facts_b.raw or "")
        return word_diff(self.a.text, self.b.text)

    def alone(self) -> str:
        """The text of a turn without a counterpart, after its outcome if it was not committed."""
        turn = self.any
        return turn.text if turn.status == COMMITTED else f"({_outcome(turn, Facts())}) {turn.text}"

    def notes(self) -> list[tuple[str, str, str]]:
        """The differences other than those of texts, as rows: name, value in A, value in B."""
        rows: list[tuple[str, str, str]] = []
        for name in self.differences:
            if name in _SIDES:
                one = _SIDES[name](self.a, self.facts_a) if self.a is not None else ""
                other = _SIDES[name](self.b, self.facts_b) if self.b is not None else ""
                rows.append((name, one or "none", other or "none"))
        return rows


@dataclass(slots=True)
class SessionPair:
    """The sessions of A and B with the same number."""

    index: int
    a: Session | None
    b: Session | None
    pairs: list[Pair] = field(default_factory=list)
    differences: tuple[str, ...] = ()
    """`session` (only one side has it), `session type`, `ending`."""

    @property
    def name(self) -> str:
        """The session type, of A where both have the session."""
        side = self.a or self.b
        return side.session_type if side is not None else ""


@dataclass(slots=True)
class Comparison:
    """The comparison of two runs. Both logs are closed; texts are exact."""

    path_a: Path
    path_b: Path
    a: Transcript
    b: Transcript
    kinship: Kinship
    sessions: list[SessionPair] = field(default_factory=list)
    ending_differs: bool = False
    """Whether the conversations ended differently although no session did."""

    def pairs(self) -> Iterator[Pair]:
        """The pairs of turns of all sessions, in order."""
        for session in self.sessions:
            yield from session.pairs

    @property
    def count(self) -> int:
        """The number of differences: of turns, sessions and endings."""
        turns = sum(1 for pair in self.pairs() if pair.differences)
        sessions = sum(len(session.differences) for session in self.sessions)
        return turns + sessions + self.ending_differs

    @property
    def same(self) -> bool:
        """Whether there is no difference."""
        return not self.count

    @property
    def first(self) -> tuple[SessionPair | None, Pair | None]:
        """The session and turn where the runs first differ.

        The turn is None where only the session itself differs; both are None where the runs are the
        same or differ only in the conversation's ending.
        """
        for session in self.sessions:
            if "session type" in session.differences or "session" in session.differences:
                return session, session.pairs[0] if session.pairs else None
            for pair in session.pairs:
                if pair.differences:
                    return session, pair
            if session.differences:
                return session, None
        return None, None

    def first_words(self) -> str:
        """The first difference in words; empty where there is none."""
        session, pair = self.first
        if session is not None and "session" in session.differences:
            return f"session {session.index}: only in {'A' if session.a is not None else 'B'}"
        if session is not None and "session type" in session.differences:
            return f"session {session.index}: session type"
        if pair is not None:
            return f"turn {pair.where}, {pair.any.speaker}: {', '.join(pair.differences)}"
        if session is not None:
            return f"session {session.index}: {', '.join(session.differences)}"
        return "the conversation's ending" if self.ending_differs else ""

    def kin_words(self) -> str:
        """How the runs are related and how many turns they share; empty for unrelated ones."""
        kin = self.kinship
        turns = counted(kin.shared, "turn")
        if kin.kind == "same":
            return "A and B are the same log"
        if kin.kind == "branch":
            child, parent = kin.of.upper(), "B" if kin.of == "a" else "A"
            return (
                f"{child} is a branch of {parent} ({_change(kin, kin.of)}):"
                f" the first {turns} are the same ones"
            )
        if kin.kind == "siblings":
            return (
                f"A ({_change(kin, 'a')}) and B ({_change(kin, 'b')}) are branches of"
                f" {kin.ancestor}: the first {turns} are the same ones"
            )
        return ""


def _change(kin: Kinship, side: str) -> str:
    change = kin.change.get(side, {})
    turn = change.get("turn")
    address = f" at {change.get('session', 1)}:{turn}" if turn is not None else ""
    return f"{change.get('kind') or 'continued'}{address}"


def compare_logs(path_a: Path | str, path_b: Path | str) -> Comparison:
    """Compares two logs in time linear in their turns. Blocking.

    Raises `LogError` for a log that cannot be opened.
    """
    with ExitStack() as stack:
        a, b = stack.enter_context(open_log(path_a)), stack.enter_context(open_log(path_b))
        kin = kinship(a.transcript, a.path, b.transcript, b.path)
        result = Comparison(a.path, b.path, a.transcript, b.transcript, kin)
        facts_a, facts_b = _Reader(a), _Reader(b)
        stack.callback(facts_a.close)
        stack.callback(facts_b.close)
        shared = _Shared(result)
        numbers = sorted({session.index for log in (a, b) for session in log.transcript.sessions})
        for number in numbers:
            session_pair = _session(result, number, shared)
            for pair in session_pair.pairs:
                if not pair.shared:
                    _judge(pair, facts_a, facts_b)
            result.sessions.append(session_pair)
        ends_a, ends_b = a.transcript.termination, b.transcript.termination
        by_session = any("ending" in session.differences for session in result.sessions)
        result.ending_differs = not by_session and _ending(ends_a) != _ending(ends_b)
        return result


class _Shared:
    """Counts down the committed turns that both runs have in common."""

    def __init__(self, comparison: Comparison) -> None:
        self.left = comparison.kinship.shared

    def take(self, a: Sequence[Turn], b: Sequence[Turn]) -> int:
        """Takes the shared turns of a session; returns how many of its first turns are shared."""
        if not self.left:
            return 0
        count = 0
        for one, other in zip(a, b, strict=False):
            same = (one.number, one.text) == (other.number, other.text)
            if count >= self.left or not same:
                # A text that was edited later is not shared, nor is what follows it.
                self.left = count
                break
            count += 1
        self.left -= count
        if len(a) != len(b):
            self.left = 0
        return count


def _session(comparison: Comparison, number: int, shared: _Shared) -> SessionPair:
    a, b = comparison.a.session(number), comparison.b.session(number)
    pair = SessionPair(number, a, b)
    turns_a, turns_b = _turns(comparison.a, a), _turns(comparison.b, b)
    count = shared.take(_committed(turns_a), _committed(turns_b))
    if comparison.kinship.kind == "same":
        count = len(_committed(turns_a))
    pair.pairs = _side_by_side(number, turns_a, turns_b, count)
    if shared.left or _is_over(comparison.kinship, pair, turns_a, turns_b, count):
        # The shared part extends beyond this session, so all of the session is shared.
        for turn_pair in pair.pairs:
            turn_pair.shared = True
    differs: list[str] = []
    if a is None or b is None:
        differs.append("session")
    else:
        if a.session_type != b.session_type:
            differs.append("session type")
        ends = _ending(a.termination) != _ending(b.termination)
        if ends or bool(a.skipped) != bool(b.skipped):
            differs.append("ending")
    pair.differences = tuple(differs)
    return pair


def _is_over(
    kin: Kinship, pair: SessionPair, a: Sequence[Turn], b: Sequence[Turn], shared: int
) -> bool:
    """Whether a session had ended when a branch began: the branch inherits all and adds nothing."""
    if not kin.of or pair.a is None or pair.b is None or not shared:
        return False
    branch, parent = (a, b) if kin.of == "a" else (b, a)
    return (
        len(branch) == shared == len(_committed(parent))
        and all(turn.flags & Flag.SEEDED for turn in branch)
        and pair.a.termination is not None
        and _ending(pair.a.termination) == _ending(pair.b.termination)
    )


def _turns(transcript: Transcript, session: Session | None) -> list[Turn]:
    return [] if session is None else [transcript.turns[index] for index in session.turns]


def _committed(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.status == COMMITTED]


def _side_by_side(number: int, a: Sequence[Turn], b: Sequence[Turn], shared: int) -> list[Pair]:
    """Aligns committed turns first; between those, turns that one side has alone or discarded."""
    committed_a, committed_b = _committed(a), _committed(b)
    matched = [
        (committed_a[i], committed_b[j])
        for i, j in align(committed_a, committed_b)
        if i is not None and j is not None
    ]  # fmt: skip
    pairs: list[Pair] = []
    start_a = start_b = 0
    for count, (one, other) in enumerate([*matched, (None, None)]):
        end_a = len(a) if one is None else a.index(one, start_a)
        end_b = len(b) if other is None else b.index(other, start_b)
        common = count < shared
        between_a, between_b = a[start_a:end_a], b[start_b:end_b]
        for i, j in align(between_a, between_b):
            pairs.append(
                Pair(
                    number,
                    between_a[i] if i is not None else None,
                    between_b[j] if j is not None else None,
                    # Discarded before a shared turn: a branch does not inherit those.
                    common,
                )
            )
        if one is not None and other is not None:
            pairs.append(Pair(number, one, other, common))
        start_a, start_b = end_a + 1, end_b + 1
    return pairs


class _Reader:
    """Reads the details of turns from a log, or from the parent log of an inherited turn."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._ancestry = Ancestry()

    def close(self) -> None:
        self._ancestry.close()

    def facts(self, turn: Turn) -> Facts | None:
        """The details of a turn; None where it is inherited and the parent log is missing."""
        if turn.flags & Flag.SEEDED:
            match = self._ancestry.find(self._log.transcript, turn, self._log.path)
            return None if match is None else _facts(match[1])
        if not int(turn.flags) & _NEEDS_DETAIL:
            return Facts(raw=turn.text)
        return _facts(turn_detail(self._log, turn))


def _facts(detail: TurnDetail) -> Facts:
    tools, results = [], []
    for called, returned in detail.tools:
        arguments = called.get("arguments")
        shown = _plain(called.get("raw_arguments", "") if arguments is None else arguments)
        result = returned or {}
        how = "ok" if result.get("ok", True) else str(result.get("error_kind") or "failed")
        tools.append(f"{called.get('name', '')}({shown}) {how}")
        results.append(_plain(result.get("result")))
    decisions = []
    for record in detail.decided:
        parts = [str(record.get("kind", ""))]
        parts += [str(record["tool"])] if record.get("tool") else []
        parts += ["not valid"] if not record.get("valid", True) else []
        parts += ["by hand"] if record.get("by") == "human" else []
        decisions.append(" ".join(parts))
    raw = detail.all_raw if detail.raw is not None else detail.shown
    signals = tuple(str(match.get("signal", "")) for match in detail.matches)
    return Facts(raw, signals, tuple(tools), tuple(results), tuple(decisions))


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:_LONG]


def _judge(pair: Pair, reader_a: _Reader, reader_b: _Reader) -> None:
    """Sets what differs between the turns of a pair."""
    a, b = pair.a, pair.b
    known_a = reader_a.facts(a) if a is not None else None
    known_b = reader_b.facts(b) if b is not None else None
    pair.facts_a, pair.facts_b = known_a or Facts(), known_b or Facts()
    if a is None or b is None:
        pair.differences = ("only in A" if b is None else "only in B",)
        return
    differs: list[str] = []
    if a.text != b.text:
        differs.append("text")
    if a.status != b.status:
        differs.append("outcome")
    if known_a is not None and known_b is not None:
        if known_a.raw != known_b.raw and a.text == b.text:
            differs.append("raw")
        if known_a.signals != known_b.signals:
            differs.append("signals")
        if known_a.decisions != known_b.decisions:
            differs.append("decision")
        if known_a.tools != known_b.tools:
            differs.append("tools")
        elif known_a.results != known_b.results:
            differs.append("tool results")
    one, other = int(a.flags), int(b.flags)
    differs += [name for name, bits in _FLAGGED.items() if (one ^ other) & bits]
    pair.differences = tuple(differs)


_FLAGGED: Final = {
    "error": int(Flag.ERROR),
    "by hand": int(Flag.HUMAN | Flag.EDITED),
    "overridden": int(Flag.WOULD_END),
}


def _ending(termination: dict[str, Any] | None) -> tuple[Any, ...] | None:
    """What is compared of an ending: not its reason, which may contain figures."""
    if not termination:
        return None
    return termination.get("kind"), termination.get("by"), termination.get("signal")


def _hands(turn: Turn, facts: Facts) -> str:
    flags = (("human", Flag.HUMAN), ("edited", Flag.EDITED))
    return ", ".join(name for name, flag in flags if turn.flags & flag)


def _outcome(turn: Turn, facts: Facts) -> str:
    by = f" by {turn.note}" if turn.flags & Flag.DISCARDED and turn.note else ""
    return f"{turn.status}{by}"


_SIDES: Final[Mapping[str, Callable[[Turn, Facts], str]]] = {
    "outcome": _outcome,
    "signals": lambda turn, facts: ", ".join(facts.signals),
    "decision": lambda turn, facts: ", ".join(facts.decisions),
    "tools": lambda turn, facts: "; ".join(facts.tools),
    "tool results": lambda turn, facts: "; ".join(facts.results),
    "error": lambda turn, facts: turn.error or ("an error" if turn.flags & Flag.ERROR else ""),
    "by hand": _hands,
    "overridden": lambda turn, facts: turn.note if turn.flags & Flag.WOULD_END else "",
}
