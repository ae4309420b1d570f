"""Whose fault it is: every rule from records, and what a human says over it."""

from __future__ import annotations

from typing import Any

import pytest

from convtui.log.notes import TurnNote
from convtui.records.models import (
    BudgetCrossed,
    DebugEdited,
    DebugHeld,
    DebugInjected,
    LlmFailed,
    LlmRetry,
    Record,
    SessionEnded,
    ToolReturned,
    TurnCancelled,
    TurnSkipped,
    TurnStarted,
    UserDecided,
    Warned,
)
from convtui.transcript.corrections import corrected_faults, corrected_flags
from convtui.transcript.fault_rules import RULES, faults_of
from convtui.transcript.fold import INTERESTING, Flag, Turn
from tests.builders.logs import conversation, ending, fold, session, turn

ROLE = [{"flag": "role", "rule": "offers-help"}]


def told(made: Turn) -> list[str]:
    return [f"{each.side} {each.rule}" for each in faults_of(made)]


def one(*more: Record, speaker: Any = "provider", **commit: Any) -> Turn:
    """A turn with records in it, committed."""
    said = turn(1, speaker, commit.pop("text", "Hello there"), more=more, **commit)
    return fold(conversation(session(1, "a", [said]))).turns[0]


def failed(side: Any, error: dict[str, Any], **more: Any) -> Turn:
    """A turn whose call failed."""
    speaker = "provider" if side == "provider" else "persona"
    at: dict[str, Any] = {"session": 1, "turn": 1, "side": side}
    records = [TurnStarted(**at, speaker=speaker), LlmFailed(**at, error=error, **more)]
    return fold(conversation([*session(1, "a", []), *records])).turns[0]


def test_nothing_wrong_is_nobodys_fault() -> None:
    assert told(one()) == []
    assert told(one(UserDecided(kind="reply"), speaker="persona")) == []


@pytest.mark.parametrize(("speaker", "side"), [("persona", "simulator"), ("provider", "provider")])
@pytest.mark.parametrize(
    ("commit", "rule"),
    [
        ({"empty": True}, "empty-reply"),
        ({"flags": ROLE}, "role-inversion"),
        ({"flags": [{"flag": "repeat", "rule": "same-words"}]}, "repetition"),
        ({"flags": [{"flag": "leak", "rule": "reasoning-tag"}]}, "reasoning-leak"),
        ({"flags": [{"flag": "label", "rule": "own-name"}]}, "script-label"),
        ({"flags": [{"flag": "echo", "rule": "same-as-other"}]}, "echo"),
        ({"signal": "[[E]]", "text": "[[E]] no", "discard": "skip"}, "discarded-signal"),
    ],
)
def test_what_is_said_is_the_speakers(
    speaker: str, side: str, commit: dict[str, Any], rule: str
) -> None:
    made = one(speaker=speaker, **commit)
    assert told(made) == [f"{side} {rule}"]
    assert made.flags & INTERESTING


def test_who_does_not_end_is_to_blame_for_endless_goodbyes_and_not_who_answers() -> None:
    farewell = [{"flag": "farewell", "rule": "only-goodbyes", "count": 3}]
    assert told(one(speaker="persona", flags=farewell)) == ["simulator farewell-loop"]
    assert told(one(speaker="provider", flags=farewell)) == []
    assert told(one(speaker="persona", flags=farewell, human=True)) == []
    assert one(speaker="provider", flags=farewell).flags & INTERESTING
    unheard = [{"flag": "sentinel", "rule": "near-sentinel"}]
    assert told(one(speaker="persona", flags=unheard)) == ["simulator unheard-ending"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (LlmRetry(n=1, delay=1, error={"message": "429", "status": 429}), "provider call-retried"),
        (ToolReturned(id="1", name="x", ok=False, error_kind="unknown_tool"),
         "provider unknown-tool"),
        (ToolReturned(id="1", name="x", ok=False, error_kind="invalid_tool_arguments"),
         "provider tool-arguments"),
        (ToolReturned(id="1", name="x", ok=False, error_kind="tool_execution_exception"),
         "provider tool-exception"),
        (ToolReturned(id="1", name="x", ok=False, error_kind="tool_timeout"),
         "provider tool-timeout"),
        (ToolReturned(id="1", name="x", ok=False), "provider tool-failed"),
        (Warned(code="no_tool_calls", message="m"), "provider no-tool-calls"),
        (Warned(code="tool_rounds", message="m"), "harness tool-rounds"),
        (Warned(code="tool_calls_doubtful", message="m"), "harness doubtful-merge"),
        (BudgetCrossed(what="tokens", limit=1, used=2), "harness budget-crossed"),
        (DebugHeld(hold=1, reason="error", stage="signals",
                   error={"message": "boom", "category": "hook", "hook": "extract_signals"}),
         "provider hook-error"),
    ],
)  # fmt: skip
def test_what_happens_in_a_providers_turn(record: Record, expected: str) -> None:
    assert told(one(record)) == [expected]


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        (UserDecided(kind="abstain", reason="not in the brief"), ["simulator abstained"]),
        (UserDecided(kind="error", valid=False), ["simulator responder-error"]),
        (UserDecided(kind="reply", valid=False), ["simulator invalid-decision"]),
        (UserDecided(kind="abstain", by="human"), []),
        (UserDecided(kind="abstain", for_record=True), []),
        (UserDecided(kind="stop"), []),
    ],
)
def test_decisions(decided: Record, expected: list[str]) -> None:
    assert told(one(decided, speaker="persona")) == expected


@pytest.mark.parametrize(
    ("side", "error", "expected"),
    [
        ("provider", {"message": "no", "category": "llm"}, ["provider model-error"]),
        ("persona", {"message": "no", "category": "llm"}, ["simulator model-error"]),
        ("responder", {"message": "no", "category": "llm"}, ["simulator model-error"]),
        ("provider", {"message": "no", "category": "provider"}, ["provider provider-error"]),
        ("persona", {"message": "no", "category": "provider"}, ["simulator simulator-error"]),
        ("persona", {"message": "no", "category": "responder"}, ["simulator responder-error"]),
        ("persona", {"message": "no", "category": "user_simulator"},
         ["simulator simulator-error"]),
        ("provider", {"message": "no"}, ["provider side-error"]),
        ("provider", {"message": "no end of the reply within 3 s (turn_timeout)",
                      "category": "provider"}, ["provider turn-timeout"]),
        ("responder", {"type": "ModelTimeout", "message": "late", "category": "llm"},
         ["simulator turn-timeout"]),
        ("provider", {"message": "by hand", "category": "cancelled"}, []),
    ],
)  # fmt: skip
def test_a_call_that_failed(side: str, error: dict[str, Any], expected: list[str]) -> None:
    assert told(failed(side, error)) == expected


@pytest.mark.parametrize(
    ("kind", "by", "detail", "expected"),
    [
        ("failed", "harness", {"category": "internal"}, ["harness internal-error"]),
        ("interrupted", "harness", None, ["harness interrupted"]),
        ("interrupted", "human", None, []),
        ("budget", "harness", None, ["harness budget-crossed"]),
        ("failed", "provider", {"category": "hook"}, ["provider hook-error"]),
        ("failed", "simulator", {"category": "user_simulator"}, ["simulator simulator-error"]),
        ("abstained", "responder", None, ["simulator abstained"]),
        ("max_turns", "harness", None, []),
    ],
)
def test_endings(kind: str, by: str, detail: Any, expected: list[str]) -> None:
    at: dict[str, Any] = {"session": 1, "turn": 1}
    begun = [*session(1, "a", []), TurnStarted(**at, speaker="provider")]
    over = SessionEnded(session=1, session_type="a", termination=ending(kind, by, 1, detail=detail))
    assert told(fold(conversation([*begun, over])).turns[0]) == expected


def test_an_engine_that_is_gone() -> None:
    at: dict[str, Any] = {"session": 1, "turn": 1}
    transcript = fold(conversation([*session(1, "a", []), TurnStarted(**at, speaker="provider")]))
    left = transcript.abandon("nobody writes it")
    assert left is not None
    assert told(left) == ["harness engine-gone"]


def test_what_humans_do_is_nobodys_fault() -> None:
    assert told(one(speaker="persona", human=True, flags=ROLE, empty=True)) == []
    assert told(one(DebugEdited(field="text", before="a", after="b"), flags=ROLE)) == []
    assert told(one(TurnCancelled(partial="I was"), TurnSkipped(reason="by hand"))) == []
    for kind in ("tool_denied", "tool_cancelled"):
        assert told(one(ToolReturned(id="1", name="x", ok=False, error_kind=kind))) == []


def test_a_fault_put_in_on_purpose_excuses_what_it_caused() -> None:
    error = {"message": "429", "status": 429}
    made = one(DebugInjected(fault="429"), LlmRetry(n=1, delay=0.1, error=error), flags=ROLE)
    assert told(made) == ["provider role-inversion", "harness fault-injected"]


def test_what_is_left_of_a_mangled_reply_is_nobodys_fault() -> None:
    bad = ToolReturned(id="1", name="x", ok=False, error_kind="invalid_tool_arguments")
    assert told(one(DebugInjected(fault="truncated"), bad)) == ["harness fault-injected"]
    both = ["provider tool-arguments", "harness fault-injected"]
    assert sorted(told(one(DebugInjected(fault="429"), bad))) == sorted(both)
    raised = ToolReturned(id="1", name="x", ok=False, error_kind="tool_execution_exception")
    assert "provider tool-exception" in told(one(DebugInjected(fault="truncated"), raised))


def test_a_second_attempt_leaves_the_error_behind_and_its_flags_are_those_of_its_text() -> None:
    at: dict[str, Any] = {"session": 1, "turn": 1, "side": "provider"}
    records = [
        TurnStarted(**at, speaker="provider"),
        LlmFailed(**at, error={"message": "no", "category": "llm"}),
        *turn(1, "provider", "fine", attempt=2, flags=ROLE),
    ]
    made = fold(conversation([*session(1, "a", []), *records])).turns[0]
    assert told(made) == ["provider role-inversion"]
    made = fold(
        conversation([*session(1, "a", []), *records, *turn(1, "provider", "fine", attempt=3)])
    ).turns[0]
    assert told(made) == []
    assert not made.flags & Flag.ROLE


def test_every_rule_is_one_sentence_and_several_stand_side_by_side() -> None:
    assert all(why.endswith(".") and "\n" not in why for why in RULES.values())
    made = one(Warned(code="tool_rounds", message="m"), truncated=True, empty=True)
    assert told(made) == ["provider empty-reply", "harness tool-rounds"]


def test_corrections_lie_over_the_rules() -> None:
    made = one(flags=ROLE)
    assert corrected_faults(made, None) == faults_of(made)
    assert corrected_faults(made, TurnNote(flags={"role": False})) == ()
    both = TurnNote(flags={"leak": True})
    assert corrected_flags(made, both) & Flag.LEAK
    assert [each.rule for each in corrected_faults(made, both)] == [
        "role-inversion",
        "reasoning-leak",
    ]
    label = corrected_faults(made, TurnNote(fault="harness"))
    assert [(each.side, each.rule) for each in label] == [("harness", "by-hand")]
    assert corrected_faults(made, TurnNote(fault="none")) == ()


def test_hostile_flags_and_codes_are_bounded() -> None:
    made = one(
        *(
            ToolReturned(id="1", name="x", ok=False, error_kind="k" * 900 + str(n))
            for n in range(9)
        ),
        *(Warned(code=f"w{n}", message="m") for n in range(90)),
        flags=[{"flag": "role", "rule": 7}, {"flag": []}, {}],
    )
    assert len(made.codes) <= 24
    assert max(map(len, made.codes)) <= 80


@pytest.mark.parametrize("kind", ["invalid_tool_arguments", "unknown_tool"])
def test_what_came_of_a_doubtful_merge_is_not_the_models(kind: str) -> None:
    doubt = Warned(code="tool_calls_doubtful", message="m")
    wrong = ToolReturned(id="1", name="x", ok=False, error_kind=kind)
    raised = ToolReturned(id="2", name="x", ok=False, error_kind="tool_execution_exception")
    assert told(one(doubt, wrong)) == ["harness doubtful-merge"]
    assert told(one(doubt, raised)) == ["harness doubtful-merge", "provider tool-exception"]


def test_a_decision_from_a_doubtful_merge_is_not_the_simulators() -> None:
    doubt = Warned(code="tool_calls_doubtful", message="m")
    decision = UserDecided(kind="error", valid=False)
    assert told(one(decision, speaker="persona"))
    assert told(one(doubt, decision, speaker="persona")) == ["harness doubtful-merge"]
