"""Atoms about what went wrong: flags of the heuristics, faults and decisions.

What was corrected by hand counts in place of what the log says, where the lookup can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from convtui.filters.basics import Lookup, Test, after, happened, one_of
from convtui.filters.runs import Answer
from convtui.filters.tree import Atom
from convtui.text_checks.incomplete import REASONS
from convtui.text_checks.rules import FLAG_RULES
from convtui.transcript.corrections import CORRECTABLE, Correction, corrected_faults
from convtui.transcript.fault_rules import SIDES
from convtui.transcript.fold import OPEN, Flag, Transcript, Turn

DECISIONS: Final = ("reply", "stop", "abstain", "error")


def noticed(name: str) -> Callable[[Atom], Test]:
    """Whether a heuristic raised the flag `name`, one of `corrections.CORRECTABLE`; with a value,
    whether that rule did. Flags added by hand have no rule.

    The engine's own fold knows at the gate of `commit` what is about to be recorded: a breakpoint
    fires there.
    """
    bit = int(CORRECTABLE[name])

    def build(atom: Atom) -> Test:
        if atom.value is None:
            return any_rule
        code = f"{name}:{one_of(atom.value, tuple(FLAG_RULES[name]), 'rule')}"

        def by_rule(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
            return known(turn, transcript, lookup) and code in turn.codes

        return after("commit", by_rule)

    def known(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        correction = _correction(turn, lookup)
        if correction is not None and name in correction.flags:
            return correction.flags[name]
        return bool(int(turn.flags) & bit)

    any_rule = after("commit", known)
    return build


def fault(atom: Atom) -> Test:
    """Whether a fault of the side (or of any side) is on the turn."""
    wanted = one_of(atom.value, SIDES, "side") if atom.value is not None else None

    def test(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        faults = corrected_faults(turn, _correction(turn, lookup))
        if any(wanted in (None, item.side) for item in faults):
            return True
        return None if turn.status == OPEN else False

    return test


def decision(atom: Atom) -> Test:
    """Whether the responder made this decision (or any), itself or by force."""
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


def incomplete(atom: Atom) -> Test:
    """Whether a reply is incomplete for this reason (or any)."""
    any_reason = happened(Flag.INCOMPLETE)
    if atom.value is None:
        return any_reason
    code = f"incomplete:{one_of(atom.value, tuple(REASONS), 'reason')}"

    def test(turn: Turn, _t: Transcript, _l: Lookup | None) -> Answer:
        if code in turn.codes:
            return True
        return None if turn.status == OPEN else False

    return test


def _correction(turn: Turn, lookup: Lookup | None) -> Correction | None:
    ask = getattr(lookup, "correction", None)
    correction: Correction | None = None if ask is None else ask(turn)
    return correction
