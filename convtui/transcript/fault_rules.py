"""Whose fault is it? What happened in a turn, put down to the simulator, the provider or the
harness, each time with the rule that says so.

The simulator is the simulated user with all that decides for it: its model, its script, the
responder and its brief. The provider is the developer's own code, its model and its tools. The
harness is this program and the limits that it was given. What a human did is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import Final, Literal, NamedTuple, get_args

from convtui.transcript.turns import Flag, Turn

FaultSide = Literal["simulator", "provider", "harness"]
SIDES: Final[tuple[FaultSide, ...]] = get_args(FaultSide)


class Fault(NamedTuple):
    """One thing that went wrong: whose fault it is, the rule's id, and why in one sentence."""

    side: FaultSide
    rule: str
    why: str

    def as_dict(self) -> dict[str, str]:
        return {"side": self.side, "rule": self.rule, "why": self.why}


RULES: Final[dict[str, str]] = {
    "empty-reply": "The reply says nothing: whoever speaks is to say something.",
    "role-inversion": "The text speaks as if it were the other side: its speaker fell out of role.",
    "repetition": "The speaker says what it has said before in this session.",
    "script-label": "The text begins with a name or a label, as the lines of a script do.",
    "unheard-ending": "The simulated user meant to end it, in a form that ends nothing.",
    "echo": "The speaker says what the other side said just before.",
    "farewell-loop": "Both sides only say goodbye: the simulated user did not end it.",
    "reasoning-leak": "A reasoning tag reached the shown text: its speaker did not strip it.",
    "error-as-reply": "The text of an error came as the reply: raise it instead.",
    "incomplete-reply": "The reply did not come to its end: its own side's model or endpoint.",
    "ended-at-once": "The simulated user ended the session before anything was said.",
    "discarded-signal": "The turn was dropped for what its own speaker said.",
    "model-error": "The model of the side that asked it failed.",
    "provider-error": "The provider's code failed.",
    "simulator-error": "The user simulator failed.",
    "responder-error": "The responder made no decision that counts.",
    "hook-error": "A hook raised: it belongs to the side that it was called for.",
    "tool-setup": "A tool could not be set up: tools are the provider's.",
    "side-error": "Something failed while this side was asked.",
    "turn-timeout": "No end of the reply within the turn's time: the side that was asked is slow.",
    "call-retried": "A call was made again because the side that was asked failed (429, 5xx, ...).",
    "tool-exception": "The provider's tool raised.",
    "unknown-tool": "The provider's model called a tool that there is not.",
    "tool-arguments": "The provider's model called a tool with arguments that do not fit.",
    "tool-timeout": "The provider's tool gave no result within its time.",
    "tool-failed": "A tool call of the provider failed.",
    "doubtful-merge": "A server's tool calls could be put together in more than one way: what came"
    " of the way that was taken is not the model's fault.",
    "no-tool-calls": "The provider's model announced tool calls and made none.",
    "invalid-decision": "The responder's decision breaks its rules.",
    "malformed-decision": "The responder's answer is not in the form that was asked for.",
    "abstained": "The responder abstained: its brief is too vague to answer from.",
    "tool-rounds": "The cap on tool rounds cut the turn off: a limit of the harness.",
    "budget-crossed": "The budget was used up: a limit of the harness.",
    "interrupted": "The harness interrupted the conversation.",
    "internal-error": "The harness itself failed.",
    "engine-gone": "The engine ended before the turn did.",
    "fault-injected": "The failure was put in on purpose: no side is to blame for what it caused.",
    "by-hand": "Labelled by hand.",
}
"""Every rule in one sentence."""

_ERRORS: Final = {
    "timeout": "turn-timeout",
    "llm": "model-error",
    "provider": "provider-error",
    "user_simulator": "simulator-error",
    "responder": "responder-error",
    "hook": "hook-error",
    "tool": "tool-setup",
    "internal": "internal-error",
}
_TOOLS: Final = {
    "tool_execution_exception": "tool-exception",
    "unknown_tool": "unknown-tool",
    "invalid_tool_arguments": "tool-arguments",
    "tool_timeout": "tool-timeout",
}
_TOOLS_BY_HAND: Final = ("tool_denied", "tool_cancelled")
_FLAGGED: Final = (
    (int(Flag.EMPTY), "empty-reply"),
    (int(Flag.ROLE), "role-inversion"),
    (int(Flag.LABEL), "script-label"),
    (int(Flag.SENTINEL), "unheard-ending"),
    (int(Flag.REPEAT), "repetition"),
    (int(Flag.ECHO), "echo"),
    (int(Flag.FAREWELL), "farewell-loop"),
    (int(Flag.LEAK), "reasoning-leak"),
    (int(Flag.ERROR_TEXT), "error-as-reply"),
    (int(Flag.DISCARDED), "discarded-signal"),
)
_FROM_FLAGS: Final = sum(bit for bit, _ in _FLAGGED) | int(Flag.TRUNCATED)
_BY_A_HUMAN: Final = int(Flag.HUMAN | Flag.EDITED)
_TELLING: Final = _FROM_FLAGS | _BY_A_HUMAN
_CODES: Final[dict[str, tuple[FaultSide, str]]] = {
    "warning:tool_calls_doubtful": ("harness", "doubtful-merge"),
    "warning:no_tool_calls": ("provider", "no-tool-calls"),
    "warning:tool_rounds": ("harness", "tool-rounds"),
    "warning:responder_json": ("simulator", "malformed-decision"),
    "decided:abstain": ("simulator", "abstained"),
    "decided:error": ("simulator", "responder-error"),
    "budget": ("harness", "budget-crossed"),
    "end:budget": ("harness", "budget-crossed"),
    "end:interrupted": ("harness", "interrupted"),
    "end:at-once": ("simulator", "ended-at-once"),
    "end:internal": ("harness", "internal-error"),
    "end:abandoned": ("harness", "engine-gone"),
}


def faults_of(turn: Turn, flags: int | None = None) -> tuple[Fault, ...]:
    """What went wrong in a turn and whose fault it is; empty when nothing did.

    `flags` stand in for the turn's own, for flags that were corrected by hand.
    """
    bits = (int(turn.flags) if flags is None else flags) & _TELLING
    if not bits & _FROM_FLAGS and not turn.codes:
        return ()
    return _faults(turn.speaker, bits, turn.codes)


@lru_cache(maxsize=512)
def _faults(speaker: str, bits: int, codes: tuple[str, ...]) -> tuple[Fault, ...]:
    faults: dict[tuple[FaultSide, str], Fault] = {}
    injected = [code.split(":")[1:] for code in codes if code.startswith("injected:")]
    excused = {side for side, *_ in injected}
    mangled = {side for side, *fault in injected if fault and fault[0] in _MANGLING}
    by_code = (finding for code in codes for finding in _from_code(code, speaker, bits))
    for side, blamed, rule in chain(_from_flags(speaker, bits), by_code):
        if blamed in excused and rule in _CAUSED_BY_INJECTION:
            continue
        if blamed in mangled and rule in _CAUSED_BY_MANGLING:
            continue
        if _DOUBTFUL in codes and rule in _CAUSED_BY_A_MERGE:
            continue
        faults.setdefault((side, rule), Fault(side, rule, RULES[rule]))
    return tuple(faults.values())


_CAUSED_BY_INJECTION: Final = {
    "empty-reply", "incomplete-reply", "error-as-reply", "call-retried", "tool-rounds",
    *_ERRORS.values(),
}  # fmt: skip
_MANGLING: Final = ("truncated", "empty", "error_text")
"""Faults that leave another reply than the one that was made."""
_CAUSED_BY_MANGLING: Final = {"tool-arguments", "invalid-decision", "malformed-decision"}
_CUT_OFF: Final = ("length", "content_filter", "reasoning_only", "stream_died")
"""Reasons of incomplete replies that are somebody's fault: a refusal may be what was wanted, and
no finish reason may be how an endpoint is."""
_DOUBTFUL: Final = "warning:tool_calls_doubtful"
_CAUSED_BY_A_MERGE: Final = {
    "tool-arguments", "unknown-tool", "invalid-decision", "responder-error",
}  # fmt: skip
_OF_THE_USER: Final = ("farewell-loop", "unheard-ending")
"""Nobody but the simulated user ends: who is said goodbye to again and again can only answer."""


_Finding = tuple[FaultSide, str, str]
"""The side at fault, the side of the conversation that it came from, and the rule."""


def _from_flags(speaker: str, bits: int) -> Iterator[_Finding]:
    if not bits & _BY_A_HUMAN:
        for bit, rule in _FLAGGED:
            if bits & bit and not (speaker == "provider" and rule in _OF_THE_USER):
                yield _side(speaker), speaker, rule
    if bits & Flag.TRUNCATED:
        yield "harness", speaker, "tool-rounds"


def _from_code(code: str, speaker: str, bits: int) -> Iterator[_Finding]:
    kind, _, rest = code.partition(":")
    if code in _CODES:
        side, rule = _CODES[code]
        yield side, "persona" if side == "simulator" else "", rule
    elif kind == "decided" and rest.endswith(":invalid"):
        yield "simulator", "persona", "invalid-decision"
    elif kind == "incomplete" and rest in _CUT_OFF and not bits & _BY_A_HUMAN:
        yield _side(speaker), speaker, "incomplete-reply"
    elif kind == "error":
        yield from _error(*rest.partition(":")[::2])
    elif kind == "retry":
        yield _side(rest), rest, "call-retried"
    elif kind == "tool" and rest not in _TOOLS_BY_HAND:
        yield "provider", "provider", _TOOLS.get(rest, "tool-failed")
    elif kind == "injected":
        yield "harness", "", "fault-injected"


def _error(called: str, kind: str) -> Iterator[_Finding]:
    if kind == "cancelled":
        return  # a human's doing
    rule = _ERRORS.get(kind, "side-error")
    if rule == "internal-error":
        yield "harness", called, rule
    elif rule in ("simulator-error", "responder-error"):
        yield "simulator", called, rule
    elif rule == "tool-setup":
        yield "provider", called, rule
    elif rule == "provider-error" and called != "provider":
        yield "simulator", called, "simulator-error"
    else:
        yield _side(called), called, rule


def _side(name: str) -> FaultSide:
    return "provider" if name == "provider" else "simulator"
