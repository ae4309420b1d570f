"""The atoms of the filter language: what each asks of a turn, and when that can be known."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, get_args

from convtui.errors import BadValueError
from convtui.filters.basics import (
    RANK,
    Lookup,
    Test,
    after,
    flagged,
    happened,
    one_of,
    records,
)
from convtui.filters.findings import decision, fault, incomplete, noticed
from convtui.filters.runs import (
    OPS,
    Answer,
    HeaderRun,
    RunTest,
    contains,
    date_of_run,
)
from convtui.filters.tree import Atom
from convtui.records.codec import STAGES, RecordDict, Speaker, TerminationKind
from convtui.text.boundary import near_empty, visible_line
from convtui.text_checks.incomplete import REASONS
from convtui.transcript.fold import ENDED, FAILED, GONE, OPEN, Flag, Transcript, Turn

MAX_REGEX: Final = 500


def _regex(value: str) -> re.Pattern[str]:
    if len(value) > MAX_REGEX:
        raise BadValueError(f"a regular expression of more than {MAX_REGEX} characters", MAX_REGEX)
    try:
        return re.compile(value, re.IGNORECASE)
    except re.error as error:
        raise BadValueError(f"not a regular expression: {error.msg}", error.pos or 0) from None
    except (OverflowError, RecursionError):
        raise BadValueError("not a regular expression that can be used") from None


def _number(value: str) -> float:
    with suppress(ValueError):
        number = float(value)
        if math.isfinite(number):
            return number
    raise BadValueError(f"expected a number, not {visible_line(value, 40)!r}")


def _signal(atom: Atom) -> Test:
    if atom.value is None:
        return flagged(Flag.SIGNAL, "signals")
    wanted = atom.value.casefold()
    return after(
        "signals", lambda turn, _t, _l: any(wanted in name.casefold() for name in turn.signals)
    )


def _changed(_: Atom) -> Test:
    return flagged(Flag.CHANGED, "post_process")


def _discard(_: Atom) -> Test:
    bit = int(Flag.DISCARDED)

    def known(turn: Turn, _t: Transcript, _l: Lookup | None) -> Answer:
        # On an attempt in progress the flag still tells of the attempt before.
        return turn.status == GONE or (turn.status != OPEN and bool(int(turn.flags) & bit))

    return after("discard", known)


def _said(atom: Atom) -> Test:
    search = _regex(atom.value or "").search
    text = after("post_process", lambda turn, _t, _l: search(turn.everything) is not None)

    def test(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        # What was written beside a tool call stays as it is, whatever comes after it.
        if turn.interim and any(search(part.text) for part in turn.interim):
            return True
        return text(turn, transcript, lookup)

    return test


def _raw(atom: Atom) -> Test:
    search = _regex(atom.value or "").search

    def known(turn: Turn, _t: Transcript, lookup: Lookup | None) -> Answer:
        raw = lookup.raw(turn) if lookup is not None else None
        return None if raw is None else search(raw) is not None

    return after("response", known)


def _speaker(atom: Atom) -> Test:
    wanted = one_of(atom.value or "", get_args(Speaker), "speaker")
    return lambda turn, _t, _l: turn.speaker == wanted


def _session(atom: Atom) -> Test:
    wanted = (atom.value or "").casefold()

    def test(turn: Turn, transcript: Transcript, _l: Lookup | None) -> Answer:
        holder = transcript.session(turn.session)
        name = holder.session_type.casefold() if holder is not None else ""
        return name == wanted or str(turn.session) == wanted

    return test


def _stage(atom: Atom) -> Test:
    rank = RANK[one_of(atom.value or "", STAGES, "stage")]
    return lambda turn, _t, _l: RANK.get(turn.stage, 0) >= rank


def _measure(stage: str | None, of: Callable[[Turn], float | None]) -> Callable[[Atom], Test]:
    def build(atom: Atom) -> Test:
        limit = _number(atom.value or "")
        compare = OPS[atom.op or "="]

        def known(turn: Turn, _t: Transcript, _l: Lookup | None) -> Answer:
            value = of(turn)
            return None if value is None else compare(value, limit)

        return after(stage, known) if stage else known

    return build


def _tokens(turn: Turn) -> float | None:
    if turn.prompt_tokens is None and turn.completion_tokens is None:
        return None
    return (turn.prompt_tokens or 0) + (turn.completion_tokens or 0)


def _recorded(kind: str, flag: Flag | None, matches: Callable[[RecordDict], bool]) -> Test:
    """Whether some record of `kind` matches; `flag`, where there is one, saves the look."""
    may = happened(flag) if flag is not None else None

    def test(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        if may is not None and not (possible := may(turn, transcript, lookup)):
            return possible
        of_turn = records(turn, lookup, kind)
        if of_turn is None:
            return None
        if any(matches(record) for record in of_turn):
            return True
        return None if turn.status == OPEN else False

    return test


def _tool(atom: Atom) -> Test:
    if atom.value is None:
        return happened(Flag.TOOL)
    wanted = atom.value.casefold()
    return _recorded("tool.called", Flag.TOOL, lambda r: wanted in str(r.get("name")).casefold())


def _output(atom: Atom) -> Test:
    if atom.value is None:
        return happened(Flag.OUTPUT)
    search = _regex(atom.value).search
    return _recorded(
        "provider.output", Flag.OUTPUT, lambda r: search(str(r.get("text"))) is not None
    )


def _empty(_: Atom) -> Test:
    """A turn without a speaker (a failed call, a side that was done) is not an empty reply."""
    bit = int(Flag.EMPTY)
    return after(
        "post_process",
        lambda turn, _t, _l: (
            bool(int(turn.flags) & bit)
            or (turn.status not in (FAILED, ENDED) and near_empty(turn.text))
        ),
    )


def _end(atom: Atom) -> Test:
    kind = atom.value and one_of(atom.value, get_args(TerminationKind), "ending")
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
    """One atom of the language: its syntax and its meaning."""

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


_ERROR: Final = happened(Flag.ERROR | Flag.ERROR_TEXT)


def _always(_: Atom) -> bool:
    return True


def _named(atom: Atom) -> bool:
    return atom.value is not None


ATOMS: Final[Mapping[str, AtomKind]] = {
    "signal": AtomKind("[NAME]", "a signal was found in the raw reply", _signal),
    "discard": AtomKind("", "the turn was discarded", _discard),
    "inactive": AtomKind(
        "",
        "it is in the history no more: rewound, compacted",
        _simple(happened(Flag.INACTIVE)),
        breaks=False,
    ),
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
    "decision": AtomKind("[KIND]", "the responder decided: reply, stop, abstain, error", decision),
    "tool": AtomKind("[NAME]", "a tool was called", _tool, needs=_named),
    "toolerror": AtomKind("", "a tool call failed", _simple(happened(Flag.TOOL_ERROR))),
    "error": AtomKind(
        "", "something failed in the turn, or its text is an error's", _simple(_ERROR)
    ),
    "incomplete": AtomKind(
        "[REASON]", f"the reply did not come to its end: {', '.join(REASONS)}", incomplete
    ),
    "interim": AtomKind(
        "", "its model wrote text beside tool calls", _simple(happened(Flag.INTERIM))
    ),
    "retry": AtomKind("", "a call was made again", _simple(happened(Flag.RETRY))),
    "empty": AtomKind("", "the reply says nothing", _empty),
    "repeat": AtomKind(
        "[RULE]", "the speaker said (nearly) the same before", noticed("repeat"), needs=_always
    ),
    "echo": AtomKind(
        "[RULE]", "the speaker says what the other side just said", noticed("echo"), needs=_always
    ),
    "farewell": AtomKind(
        "", "both sides only say goodbye, three turns or more", noticed("farewell"), needs=_always
    ),
    "role": AtomKind(
        "[RULE]", "the speaker talks as if it were the other side", noticed("role"), needs=_always
    ),
    "label": AtomKind(
        "[RULE]", "the text begins with a name or a label", noticed("label"), needs=_always
    ),
    "sentinel": AtomKind(
        "", "an ending that was not heard: &lt;end&gt;", noticed("sentinel"), needs=_always
    ),
    "leak": AtomKind("[RULE]", "reasoning is in what is said", noticed("leak"), needs=_always),
    "edited": AtomKind("", "a human edited the turn", _simple(happened(Flag.EDITED))),
    "human": AtomKind("", "a human spoke", _simple(happened(Flag.HUMAN))),
    "end": AtomKind("[KIND]", "the session ended here", _end),
    "latency": AtomKind(
        "OP SECONDS", "how long the reply took", _measure("response", lambda t: t.latency)
    ),
    "tokens": AtomKind("OP N", "prompt and completion tokens", _measure("response", _tokens)),
    "cost": AtomKind("OP USD", "what the turn cost", _measure("response", lambda t: t.cost)),
    "output": AtomKind("[REGEX]", "the provider printed something", _output, needs=_named),
    "fault": AtomKind(
        "[SIDE]", "whose fault it is: simulator, provider, harness", fault, needs=_always
    ),
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
