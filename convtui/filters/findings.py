"""Atoms about what went wrong: flags of the heuristics, faults and decisions.

What was corrected by hand counts in place of what the log says, where the lookup can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from convtui.corrections import CORRECTABLE, Correction, corrected_faults
from convtui.faults import SIDES, faults_of
from convtui.filters.basics import RANK, Lookup, Test, after, happened, one_of
from convtui.filters.runs import Answer
from convtui.filters.tree import Atom
from convtui.heuristics import Noticer, notice_leak, notice_role
from convtui.text import near_empty
from convtui.transcript import GONE, OPEN, Flag, Transcript, Turn

DECISIONS: Final = ("reply", "stop", "abstain", "error")
_LOOKED_BACK: Final = 80
"""Earlier turns that are compared with what is about to be said."""


def noticed(name: str) -> Callable[[Atom], Test]:
    """Whether a heuristic raised the flag `name`, one of `corrections.CORRECTABLE`.

    Where a turn is about to be committed its text is looked at: a breakpoint can fire there.
    """
    bit = int(CORRECTABLE[name])

    def known(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        correction = _correction(turn, lookup)
        if correction is not None and name in correction.flags:
            return correction.flags[name]
        if turn.status != OPEN:
            return bool(int(turn.flags) & bit)
        if name == "role":
            return notice_role(turn.speaker, turn.text) is not None
        if name == "leak":
            return notice_leak(turn.text) is not None
        return bool(_about_to_be_said(turn, transcript) & bit)

    test = after("commit", known)
    return lambda _: test


def fault(atom: Atom) -> Test:
    """Whether something is the fault of a side, or of any."""
    wanted = one_of(atom.value, SIDES, "side") if atom.value is not None else None

    def test(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        correction = _correction(turn, lookup)
        if correction is not None:
            found = corrected_faults(turn, correction)
        elif turn.status == OPEN:
            flags = int(turn.flags)
            if RANK.get(turn.stage, 0) >= RANK["commit"]:
                flags |= _about_to_be_said(turn, transcript)
            found = faults_of(turn, flags)
        else:
            found = faults_of(turn)
        if any(wanted in (None, each.side) for each in found):
            return True
        return None if turn.status == OPEN else False

    return test


def decision(atom: Atom) -> Test:
    """Whether the responder decided, itself or by force, and what."""
    any_decision = happened(Flag.DECISION)
    if atom.value is None:
        return any_decision
    wanted = one_of(atom.value, DECISIONS, "decision")

    def test(turn: Turn, _t: Transcript, _l: Lookup | None) -> Answer:
        for code in turn.codes:
            kind, _, rest = code.partition(":")
            if kind == "decided" and rest.partition(":")[0] == wanted:
                return True
        return None if turn.status == OPEN else False

    return test


def _correction(turn: Turn, lookup: Lookup | None) -> Correction | None:
    ask = getattr(lookup, "correction", None)
    found: Correction | None = None if ask is None else ask(turn)
    return found


def _about_to_be_said(turn: Turn, transcript: Transcript) -> int:
    """The flags that the text of a turn in progress would get if it were committed."""
    holder = transcript.session(turn.session)
    noticer = Noticer()
    for index in holder.turns[-_LOOKED_BACK:] if holder is not None else ():
        earlier = transcript.turns[index]
        if earlier.index < turn.index and earlier.status not in (OPEN, GONE):
            noticer.restore([(earlier.session, earlier.speaker, earlier.text)])
    flags = int(Flag.EMPTY) if near_empty(turn.text) else 0
    for entry in noticer.notice(turn.session, turn.speaker, turn.text):
        flags |= int(CORRECTABLE[entry["flag"]])
    return flags
