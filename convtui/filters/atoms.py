"""The atoms of the filter language: what each asks of a turn, and when that can be known."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, get_args

from convtui.errors import did_you_mean
from convtui.filters.runs import (
    OPS,
    Answer,
    BadValueError,
    HeaderRun,
    RunTest,
    contains,
    date_of_run,
)
from convtui.filters.tree import Atom
from convtui.records import STAGES, RecordDict, Speaker, TerminationKind
from convtui.text import near_empty, visible_line
from convtui.transcript import GONE, OPEN, Flag, Transcript, Turn

MAX_REGEX: Final = 500


class Lookup(Protocol):
    """Reads what the fold does not keep. Answers None for what cannot be had.

    `raw` is all that most expressions need. An object that also has `records` answers for tool
    names, outputs and injected faults; one that has `marked` and `noted` for marks and notes.
    """

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn."""
        ...


class FullLookup(Lookup, Protocol):
    """A lookup that can answer every atom."""

    def records(self, turn: Turn) -> Sequence[RecordDict]:
        """All records of a turn."""
        ...

    def marked(self, turn: Turn) -> bool:
        """Whether the turn is marked."""
        ...

    def noted(self, turn: Turn) -> bool:
        """Whether there is a note on the turn."""
        ...


Test = Callable[[Turn, Transcript, Lookup | None], Answer]


_RANK: Final[Mapping[str, int]] = {stage: place for place, stage in enumerate(STAGES)}


def _after(stage: str, known: Test) -> Test:
    """`known`, but unknown while the turn in progress has not been through `stage`."""
    limit = _RANK[stage]

    def test(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        if turn.status == OPEN and _RANK.get(turn.stage, 0) < limit:
            return None
        return known(turn, transcript, lookup)

    return test


def _flag(flag: Flag, stage: str) -> Test:
    bit = int(flag)
    return _after(stage, lambda turn, _t, _l: bool(int(turn.flags) & bit))


def _happened(flag: Flag) -> Test:
    """True as soon as it happened; not known to be false before the turn is over."""
    bit = int(flag)

    def test(turn: Turn, _t: Transcript, _l: Lookup | None) -> Answer:
        if int(turn.flags) & bit:
            return True
        return None if turn.status == OPEN else False

    return test


def _regex(value: str) -> re.Pattern[str]:
    if len(value) > MAX_REGEX:
        raise BadValueError(f"a regular expression of more than {MAX_REGEX} characters", MAX_REGEX)
    try:
        return re.compile(value, re.IGNORECASE)
    except re.error as error:
        raise BadValueError(f"not a regular expression: {error.msg}", error.pos or 0) from None
    except (OverflowError, RecursionError):
        raise BadValueError("not a regular expression that can be used") from None


def _one_of(value: str, known: Sequence[str], what: str) -> str:
    if value.lower() in known:
        return value.lower()
    hint = did_you_mean(value.lower(), known) or f": expected one of {' '.join(known)}"
    raise BadValueError(f"unknown {what} {visible_line(value, 40)!r}{hint}")


def _number(value: str) -> float:
    with suppress(ValueError):
        number = float(value)
        if math.isfinite(number):
            return number
    raise BadValueError(f"expected a number, not {visible_line(value, 40)!r}")


def _signal(atom: Atom) -> Test:
    if atom.value is None:
        return _flag(Flag.SIGNAL, "signals")
    wanted = atom.value.casefold()
    return _after(
        "signals", lambda turn, _t, _l: any(wanted in name.casefold() for name in turn.signals)
    )


def _changed(_: Atom) -> Test:
    return _flag(Flag.CHANGED, "post_process")


def _discard(_: Atom) -> Test:
    bit = int(Flag.DISCARDED)

    def known(turn: Turn, _t: Transcript, _l: Lookup | None) -> Answer:
        # On an attempt in progress the flag still tells of the attempt before.
        return turn.status == GONE or (turn.status != OPEN and bool(int(turn.flags) & bit))

    return _after("discard", known)


def _said(atom: Atom) -> Test:
    search = _regex(atom.value or "").search
    return _after("post_process", lambda turn, _t, _l: search(turn.text) is not None)


def _raw(atom: Atom) -> Test:
    search = _regex(atom.value or "").search

    def known(turn: Turn, _t: Transcript, lookup: Lookup | None) -> Answer:
        raw = lookup.raw(turn) if lookup is not None else None
        return None if raw is None else search(raw) is not None

    return _after("response", known)


def _speaker(atom: Atom) -> Test:
    wanted = _one_of(atom.value or "", get_args(Speaker), "speaker")
    return lambda turn, _t, _l: turn.speaker == wanted


def _session(atom: Atom) -> Test:
    wanted = (atom.value or "").casefold()

    def test(turn: Turn, transcript: Transcript, _l: Lookup | None) -> Answer:
        holder = transcript.session(turn.session)
        name = holder.session_type.casefold() if holder is not None else ""
        return name == wanted or str(turn.session) == wanted

    return test


def _stage(atom: Atom) -> Test:
    rank = _RANK[_one_of(atom.value or "", STAGES, "stage")]
    return lambda turn, _t, _l: _RANK.get(turn.stage, 0) >= rank


def _measure(stage: str | None, of: Callable[[Turn], float | None]) -> Callable[[Atom], Test]:
    def build(atom: Atom) -> Test:
        limit = _number(atom.value or "")
        compare = OPS[atom.op or "="]

        def known(turn: Turn, _t: Transcript, _l: Lookup | None) -> Answer:
            value = of(turn)
            return None if value is None else compare(value, limit)

        return _after(stage, known) if stage else known

    return build


def _tokens(turn: Turn) -> float | None:
    if turn.prompt_tokens is None and turn.completion_tokens is None:
        return None
    return (turn.prompt_tokens or 0) + (turn.completion_tokens or 0)


def _decision(atom: Atom) -> Test:
    wanted = atom.value.casefold() if atom.value is not None else None
    any_decision = _happened(Flag.DECISION)

    def test(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        made = any_decision(turn, transcript, lookup)
        if not made or wanted is None:
            return made
        kinds = [turn.note, *(r.get("kind") for r in _records(turn, lookup, "user.decided") or ())]
        return any(wanted == str(kind).casefold() for kind in kinds)

    return test


def _records(turn: Turn, lookup: Lookup | None, kind: str) -> list[RecordDict] | None:
    read = getattr(lookup, "records", None)
    if read is None:
        return None
    return [record for record in read(turn) if record.get("type") == kind]


def _recorded(kind: str, flag: Flag | None, matches: Callable[[RecordDict], bool]) -> Test:
    """Whether some record of `kind` matches; `flag`, where there is one, saves the look."""
    may = _happened(flag) if flag is not None else None

    def test(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        if may is not None and not (possible := may(turn, transcript, lookup)):
            return possible
        found = _records(turn, lookup, kind)
        if found is None:
            return None
        if any(matches(record) for record in found):
            return True
        return None if turn.status == OPEN else False

    return test


def _tool(atom: Atom) -> Test:
    if atom.value is None:
        return _happened(Flag.TOOL)
    wanted = atom.value.casefold()
    return _recorded("tool.called", Flag.TOOL, lambda r: wanted in str(r.get("name")).casefold())


def _output(atom: Atom) -> Test:
    if atom.value is None:
        return _happened(Flag.OUTPUT)
    search = _regex(atom.value).search
    return _recorded(
        "provider.output", Flag.OUTPUT, lambda r: search(str(r.get("text"))) is not None
    )


def _fault(atom: Atom) -> Test:
    side = _one_of(atom.value or "", ("persona", "provider", "responder"), "side")
    return _recorded("debug.injected", None, lambda r: r.get("side", "provider") == side)


def _empty(_: Atom) -> Test:
    bit = int(Flag.EMPTY)
    return _after(
        "post_process", lambda turn, _t, _l: bool(int(turn.flags) & bit) or near_empty(turn.text)
    )


def _repeat(_: Atom) -> Test:
    def known(turn: Turn, transcript: Transcript, _l: Lookup | None) -> Answer:
        for index in range(turn.index - 1, max(-1, turn.index - 6), -1):
            other = transcript.turns[index]
            if other.session != turn.session:
                return False
            if other.speaker == turn.speaker:
                text = turn.text.strip().casefold()
                return bool(text) and text == other.text.strip().casefold()
        return False

    return _after("post_process", known)


# Phrases by which a simulated user gives away that it has slipped into the assistant's role, and
# labels by which either side writes the other's lines.
_ASSISTANT_PHRASES: Final = (
    "how can i help you", "how may i help you", "how can i assist you", "how may i assist you",
    "anything else i can help", "anything else i can assist", "as an ai", "i'm an ai", "i’m an ai",
)  # fmt: skip
_ASSISTANT_LABELS: Final = ("assistant:", "provider:", "chatbot:")
_USER_LABELS: Final = ("user:", "human:", "persona:", "customer:", "patient:")


def _role(_: Atom) -> Test:
    def known(turn: Turn, _t: Transcript, _l: Lookup | None) -> Answer:
        text = turn.text.lstrip().lower()
        if turn.speaker == "provider":
            return text.startswith(_USER_LABELS)
        return text.startswith(_ASSISTANT_LABELS) or any(p in text for p in _ASSISTANT_PHRASES)

    return _after("post_process", known)


def _end(atom: Atom) -> Test:
    kind = atom.value and _one_of(atom.value, get_args(TerminationKind), "ending")
    bit = int(Flag.ENDED)

    def test(turn: Turn, transcript: Transcript, _l: Lookup | None) -> Answer:
        holder = transcript.session(turn.session)
        if int(turn.flags) & bit:
            ending = (holder.termination if holder is not None else None) or {}
            return kind is None or ending.get("kind") == kind
        if holder is None or holder.termination is not None or not holder.turns:
            return False
        return None if holder.turns[-1] == turn.index else False

    return test


def _notes(method: str) -> Callable[[Atom], Test]:
    def test(turn: Turn, _t: Transcript, lookup: Lookup | None) -> Answer:
        ask = getattr(lookup, method, None)
        return None if ask is None else bool(ask(turn))

    return lambda _: test


@dataclass(frozen=True, slots=True)
class AtomKind:
    """One atom of the language: how it is written and what it asks."""

    argument: str
    """`""`, `"NAME"`, `"[NAME]"` (may be left out) or `"OP N"`."""
    help: str
    turn: Callable[[Atom], Test] | None = None
    run: Callable[[Atom], RunTest] | None = None
    needs: Callable[[Atom], bool] = lambda _: False
    """Whether a lookup has to be asked."""
    breaks: bool = True
    """Whether it may stand in a breakpoint."""


def _simple(test: Test) -> Callable[[Atom], Test]:
    return lambda _: test


def _always(_: Atom) -> bool:
    return True


def _named(atom: Atom) -> bool:
    return atom.value is not None


ATOMS: Final[Mapping[str, AtomKind]] = {
    "signal": AtomKind("[NAME]", "a signal was found in the raw reply", _signal),
    "discard": AtomKind("", "the turn was discarded", _discard),
    "changed": AtomKind(
        "",
        "the raw reply differs from the shown text",
        _changed,
    ),
    "raw": AtomKind("REGEX", "the raw reply matches", _raw, needs=_always),
    "said": AtomKind("REGEX", "the shown text matches; a bare word means this", _said),
    "speaker": AtomKind("persona|provider", "who speaks", _speaker),
    "session": AtomKind("NAME", "the session's type, or its number", _session),
    "turn": AtomKind(
        "OP N", "the turn's number in its session", _measure(None, lambda t: t.number)
    ),
    "stage": AtomKind("NAME", "the turn in progress has reached this stage", _stage),
    "decision": AtomKind("[KIND]", "the responder decided: reply, stop, abstain", _decision),
    "tool": AtomKind("[NAME]", "a tool was called", _tool, needs=_named),
    "toolerror": AtomKind("", "a tool call failed", _simple(_happened(Flag.TOOL_ERROR))),
    "error": AtomKind("", "something failed in the turn", _simple(_happened(Flag.ERROR))),
    "retry": AtomKind("", "a call was made again", _simple(_happened(Flag.RETRY))),
    "empty": AtomKind("", "the reply says nothing", _empty),
    "repeat": AtomKind("", "the speaker said the same as the time before", _repeat),
    "role": AtomKind("", "the speaker talks as if it were the other side", _role),
    "edited": AtomKind("", "a human edited the turn", _simple(_happened(Flag.EDITED))),
    "human": AtomKind("", "a human spoke", _simple(_happened(Flag.HUMAN))),
    "end": AtomKind("[KIND]", "the session ended here", _end),
    "latency": AtomKind(
        "OP SECONDS", "how long the reply took", _measure("response", lambda t: t.latency)
    ),
    "tokens": AtomKind("OP N", "prompt and completion tokens", _measure("response", _tokens)),
    "cost": AtomKind("OP USD", "what the turn cost", _measure("response", lambda t: t.cost)),
    "output": AtomKind("[REGEX]", "the provider printed something", _output, needs=_named),
    "fault": AtomKind("SIDE", "a fault was injected on this side", _fault, needs=_always),
    "note": AtomKind("", "there is a note on it", _notes("noted"), needs=_always, breaks=False),
    "mark": AtomKind("", "it is marked", _notes("marked"), needs=_always, breaks=False),
    "persona": AtomKind("NAME", "the run's persona", run=contains("persona")),
    "provider": AtomKind("NAME", "the run's provider", run=contains("provider")),
    "model": AtomKind("NAME", "the run's model", run=contains("model")),
    "date": AtomKind("OP DAY", "the day of the run", run=date_of_run),
    "tag": AtomKind("NAME", "a tag of the run", run=contains("tags")),
}
"""Every atom by its name, in the order in which help lists them."""


def _no_answer(_: Any) -> Answer:
    return None


def compile_atom(atom: Atom) -> tuple[Test, RunTest]:
    kind = ATOMS[atom.name]
    if kind.run is None:
        assert kind.turn is not None
        return kind.turn(atom), _no_answer
    on_run = kind.run(atom)
    return (lambda _turn, transcript, _l: on_run(HeaderRun(transcript))), on_run
