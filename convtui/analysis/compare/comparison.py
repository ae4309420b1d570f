"""Two runs side by side: aligned by session and turn, and what differs in each.

What was said and what happened counts as a difference: texts, raw replies, signals, discards,
decisions, tools, errors, hands, endings. Times, tokens and cost are told, but differ from run to
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
from convtui.text.word_diff import Op, word_diff
from convtui.transcript.fold import COMMITTED, Flag, Session, Transcript, Turn

_TOLD_BY_LOG: Final = int(
    Flag.SIGNAL | Flag.CHANGED | Flag.TOOL | Flag.TOOL_ERROR | Flag.DECISION | Flag.DISCARDED
)
_LONG: Final = 4_000
"""Characters of a tool's arguments or result, or of an answer, that are compared."""


@dataclass(slots=True, frozen=True)
class Facts:
    """What the log says of a turn beyond its summary."""

    raw: str | None = None
    signals: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    """`name(arguments) ok` or `name(arguments) error_kind`, in order."""
    results: tuple[str, ...] = ()
    """Of each tool, as text."""
    decisions: tuple[str, ...] = ()
    """Kind, tool and validity of each decision."""


@dataclass(slots=True)
class Pair:
    """Two turns side by side, or one without a counterpart."""

    session: int
    a: Turn | None
    b: Turn | None
    shared: bool = False
    """Whether it is the same turn: both runs go back to it."""
    differences: tuple[str, ...] = ()
    """What differs, in words: `text`, `signals`, ...; empty where nothing does."""
    facts_a: Facts = field(default_factory=Facts)
    facts_b: Facts = field(default_factory=Facts)

    @property
    def any(self) -> Turn:
        """The turn of either side."""
        turn = self.a or self.b
        assert turn is not None
        return turn

    @property
    def where(self) -> str:
        """The address, of both sides where they differ: `2:7`, `2:7 | 2:9`."""
        if self.a is None or self.b is None or self.a.address == self.b.address:
            return self.any.address
        return f"{self.a.address} | {self.b.address}"

    def diff(self) -> list[tuple[Op, str]]:
        """The word diff of what was said, of the raw replies where only they differ."""
        if self.a is None or self.b is None:
            return []
        if "text" not in self.differences and "raw" in self.differences:
            return word_diff(self.facts_a.raw or "", self.facts_b.raw or "")
        return word_diff(self.a.text, self.b.text)

    def alone(self) -> str:
        """What a turn without a counterpart says, and what became of it where it was not said."""
        turn = self.any
        return turn.text if turn.status == COMMITTED else f"({_outcome(turn, Facts())}) {turn.text}"

    def notes(self) -> list[tuple[str, str, str]]:
        """Everything that differs but the texts: what it is, and how it is on each side."""
        found: list[tuple[str, str, str]] = []
        for name in self.differences:
            if name in _SIDES:
                one = _SIDES[name](self.a, self.facts_a) if self.a is not None else ""
                other = _SIDES[name](self.b, self.facts_b) if self.b is not None else ""
                found.append((name, one or "none", other or "none"))
        return found


@dataclass(slots=True)
class SessionPair:
    """Two sessions of one number, and how each ended."""

    index: int
    a: Session | None
    b: Session | None
    pairs: list[Pair] = field(default_factory=list)
    differences: tuple[str, ...] = ()
    """`session`, where only one has it; `session type`; `ending`."""

    @property
    def name(self) -> str:
        """The session type, of whichever has the session."""
        side = self.a or self.b
        return side.session_type if side is not None else ""


@dataclass(slots=True)
class Comparison:
    """Two runs compared. Both logs are closed; texts are exact."""

    path_a: Path
    path_b: Path
    a: Transcript
    b: Transcript
    kinship: Kinship
    sessions: list[SessionPair] = field(default_factory=list)
    ending_differs: bool = False
    """Whether the conversations ended differently though every session did not."""

    def pairs(self) -> Iterator[Pair]:
        """All turns side by side, in order."""
        for session in self.sessions:
            yield from session.pairs

    @property
    def count(self) -> int:
        """Turns, sessions and endings that differ."""
        turns = sum(1 for pair in self.pairs() if pair.differences)
        own = sum(len(session.differences) for session in self.sessions)
        return turns + own + self.ending_differs

    @property
    def same(self) -> bool:
        """Whether the same was said and the same happened."""
        return not self.count

    @property
    def first(self) -> tuple[SessionPair | None, Pair | None]:
        """Where they first differ: the turn, else the session whose ending or name differs."""
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
        """The first divergence by its name; empty where there is none."""
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
        """How the two are related, and what they have in common by that; empty for strangers."""
        kin = self.kinship
        turns = f"{kin.shared} turn{'' if kin.shared == 1 else 's'}"
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
    made = kin.change.get(side, {})
    at = f" at {made.get('session', 1)}:{made['turn']}" if made.get("turn") is not None else ""
    return f"{made.get('kind') or 'continued'}{at}"


def compare_logs(path_a: Path | str, path_b: Path | str) -> Comparison:
    """Compares two logs. Blocking, in time linear in their turns; raises `LogError`."""
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
            found = _session(result, number, shared)
            for pair in found.pairs:
                if not pair.shared:
                    _judge(pair, facts_a, facts_b)
            result.sessions.append(found)
        ends_a, ends_b = a.transcript.termination, b.transcript.termination
        told = any("ending" in session.differences for session in result.sessions)
        result.ending_differs = not told and _ending(ends_a) != _ending(ends_b)
        return result


class _Shared:
    """How many committed turns are still to come that both runs have in common."""

    def __init__(self, comparison: Comparison) -> None:
        self.left = comparison.kinship.shared

    def take(self, a: Sequence[Turn], b: Sequence[Turn]) -> int:
        """How many of two sessions' first committed turns are the same ones."""
        if not self.left:
            return 0
        count = 0
        for one, other in zip(a, b, strict=False):
            same = (one.number, one.text) == (other.number, other.text)
            if count >= self.left or not same:
                # A text that was changed on the way is no common one, nor is what follows it.
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
    count = shared.take(_said(turns_a), _said(turns_b))
    if comparison.kinship.kind == "same":
        count = len(_said(turns_a))
    pair.pairs = _side_by_side(number, turns_a, turns_b, count)
    if shared.left or _is_over(comparison.kinship, pair, turns_a, turns_b, count):
        # What both share goes on after this session: so does all that happened in it.
        for each in pair.pairs:
            each.shared = True
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
    """Whether a session was over when a branch began: it took over all of it, and added nothing."""
    if not kin.of or pair.a is None or pair.b is None or not shared:
        return False
    taken, parent = (a, b) if kin.of == "a" else (b, a)
    return (
        len(taken) == shared == len(_said(parent))
        and all(turn.flags & Flag.SEEDED for turn in taken)
        and pair.a.termination is not None
        and _ending(pair.a.termination) == _ending(pair.b.termination)
    )


def _turns(transcript: Transcript, session: Session | None) -> list[Turn]:
    return [] if session is None else [transcript.turns[index] for index in session.turns]


def _said(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.status == COMMITTED]


def _side_by_side(number: int, a: Sequence[Turn], b: Sequence[Turn], shared: int) -> list[Pair]:
    """Committed turns first; between those, what one has alone or what was not said."""
    said_a, said_b = _said(a), _said(b)
    matched = [
        (said_a[i], said_b[j])
        for i, j in align(said_a, said_b)
        if i is not None and j is not None
    ]  # fmt: skip
    found: list[Pair] = []
    place_a = place_b = 0
    for count, (one, other) in enumerate([*matched, (None, None)]):
        end_a = len(a) if one is None else a.index(one, place_a)
        end_b = len(b) if other is None else b.index(other, place_b)
        common = count < shared
        between_a, between_b = a[place_a:end_a], b[place_b:end_b]
        for i, j in align(between_a, between_b):
            found.append(
                Pair(
                    number,
                    between_a[i] if i is not None else None,
                    between_b[j] if j is not None else None,
                    # Dropped on the way to a turn that both have: that was not taken along.
                    common,
                )
            )
        if one is not None and other is not None:
            found.append(Pair(number, one, other, common))
        place_a, place_b = end_a + 1, end_b + 1
    return found


class _Reader:
    """Reads what the log, or one it goes back to, says of a turn."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._ancestry = Ancestry()

    def close(self) -> None:
        self._ancestry.close()

    def facts(self, turn: Turn) -> Facts | None:
        """None where it cannot be known: the parent log is not there."""
        if turn.flags & Flag.SEEDED:
            found = self._ancestry.find(self._log.transcript, turn, self._log.path)
            return None if found is None else _facts(found[1])
        if not int(turn.flags) & _TOLD_BY_LOG:
            return Facts(raw=turn.text)
        return _facts(turn_detail(self._log, turn))


def _facts(detail: TurnDetail) -> Facts:
    tools, results = [], []
    for called, returned in detail.tools:
        arguments = called.get("arguments")
        shown = _plain(called.get("raw_arguments", "") if arguments is None else arguments)
        back = returned or {}
        how = "ok" if back.get("ok", True) else str(back.get("error_kind") or "failed")
        tools.append(f"{called.get('name', '')}({shown}) {how}")
        results.append(_plain(back.get("result")))
    decided = []
    for record in detail.decided:
        words = [str(record.get("kind", ""))]
        words += [str(record["tool"])] if record.get("tool") else []
        words += ["not valid"] if not record.get("valid", True) else []
        words += ["by hand"] if record.get("by") == "human" else []
        decided.append(" ".join(words))
    raw = detail.all_raw if detail.raw is not None else detail.shown
    signals = tuple(str(match.get("signal", "")) for match in detail.matches)
    return Facts(raw, signals, tuple(tools), tuple(results), tuple(decided))


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:_LONG]


def _judge(pair: Pair, reader_a: _Reader, reader_b: _Reader) -> None:
    """Finds what differs between the two turns of a pair."""
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
    """What of an ending is compared: its reason may hold figures."""
    if not termination:
        return None
    return termination.get("kind"), termination.get("by"), termination.get("signal")


def _hands(turn: Turn, facts: Facts) -> str:
    words = (("human", Flag.HUMAN), ("edited", Flag.EDITED))
    return ", ".join(word for word, flag in words if turn.flags & flag)


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
