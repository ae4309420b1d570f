"""Tool calls of a turn, sorted out of its records."""

from __future__ import annotations

import pytest

from convtui.log.tool_arguments import arguments_problem, decoded, pretty_arguments
from convtui.log.tool_uses import tool_uses, waiting_uses
from tests.tui.harness.sources import Story


def eventful_story() -> Story:
    """A turn of two rounds in which everything happens to calls."""
    story = Story()
    story.begin()
    call = story.open("provider")
    made = [
        {"id": name, "type": "function", "function": {"name": tool, "arguments": text}}
        for name, tool, text in (
            ("a", "pay", '{"amount": 5}'),
            ("b", "look", "{}"),
            ("c", "pay", '{"amount": 7}'),
        )
    ]
    story.on("llm.response", side="provider", call=call, raw="", tool_calls=made)
    story.on("debug.edited", field="c", before='{"amount": 7}', after='{"amount": 1}')
    story.on("tool.approved", id="b", name="look")
    story.on("tool.approved", id="c", name="pay")
    story.on("tool.denied", id="a", name="pay", call=call, round=1, reason="too much",
             arguments={"amount": 5}, raw_arguments='{"amount": 5}')  # fmt: skip
    denied = {"ok": False, "error_kind": "tool_denied", "message": "denied", "detail": ""}
    story.on("tool.returned", id="a", name="pay", call=call, round=1, ok=False, result=denied,
             error_kind="tool_denied", duration=0.0)  # fmt: skip
    for name, tool, arguments in (("b", "look", {}), ("c", "pay", {"amount": 1})):
        story.on("tool.called", id=name, name=tool, call=call, round=1, max_rounds=64,
                 arguments=arguments, edited=name == "c" or None)  # fmt: skip
    story.on("tool.returned", id="c", name="pay", call=call, round=1, ok=True, result="paid",
             duration=0.5)  # fmt: skip
    story.on("tool.returned", id="b", name="look", call=call, round=1, ok=True, result="x" * 50,
             truncated=True, size=1_000_000, duration=2.0)  # fmt: skip
    story.on("debug.edited", field="result:b", before="x", after="y")
    story.on("tool.called", id="b", name="look", call=call, round=2, max_rounds=64, arguments={})
    return story


def test_calls_stand_in_the_order_in_which_they_were_made() -> None:
    story = eventful_story()
    uses = tool_uses(story.detail(story.transcript.turns[0]))
    assert [(use.id, use.round, use.state) for use in uses] == [
        ("a", 1, "denied"), ("b", 1, "ok"), ("c", 1, "ok"), ("b", 2, "open"),
    ]  # fmt: skip
    denied, looked, paid, again = uses
    assert denied.denied is not None and denied.arguments == {"amount": 5}
    assert denied.max_rounds == 64, "as the other calls of the turn say"
    assert not denied.approved and looked.approved and paid.approved
    assert paid.edited is not None and paid.edited["before"] == '{"amount": 7}'
    assert paid.arguments == {"amount": 1}
    assert looked.cut == 1_000_000 and paid.cut is None
    assert looked.duration == 2.0 and again.duration is None
    assert looked.result_edited is not None and again.result_edited is None
    assert looked.seq == next(
        r["seq"] for r in story.records if r["type"] == "tool.returned" and r["id"] == "b"
    )


@pytest.mark.parametrize(
    ("kind", "state"), [("tool_cancelled", "cancelled"), ("tool_timeout", "failed")]
)
def test_how_a_call_failed(kind: str, state: str) -> None:
    story = Story()
    story.begin()
    story.open("provider")
    story.on("tool.called", id="1", name="t", raw_arguments="{broken")
    body = {"ok": False, "error_kind": kind, "message": "why", "detail": "frames"}
    story.on("tool.returned", id="1", name="t", ok=False, error_kind=kind, result=body)
    (use,) = tool_uses(story.detail(story.transcript.turns[0]))
    assert (use.state, use.error_kind, use.error) == (state, kind, ("why", "frames"))
    assert use.arguments is None and use.raw_arguments == "{broken"


def test_a_result_without_its_call_has_what_the_model_wrote() -> None:
    story = Story()
    story.begin()
    call = story.open("provider")
    made = [{"id": "1", "name": "t", "arguments": '{"a": 1}'}]
    story.on("llm.response", side="provider", call=call, raw="", tool_calls=made)
    story.on("tool.returned", id="1", name="t", call=call, ok=True, result="r",
             reused={"log": "x", "seq": 4})  # fmt: skip
    (use,) = tool_uses(story.detail(story.transcript.turns[0]))
    assert use.arguments == {"a": 1} and use.reused and use.called is None


def test_calls_that_are_held() -> None:
    drafts = [
        {"field": "c1", "label": "call of pay", "text": "{", "tool": "pay", "round": 2,
         "max_rounds": 5},
        {"field": "estimate", "text": "about 5"},
    ]  # fmt: skip
    (use,) = waiting_uses(drafts)
    assert (use.state, use.name, use.round, use.max_rounds) == ("waiting", "pay", 2, 5)
    assert use.arguments is None and use.raw_arguments == "{"


def test_arguments_as_models_write_them() -> None:
    assert decoded("") == {} and decoded(" \n") == {} and decoded("[1]") is None
    assert pretty_arguments('{"a":"\\u00e9"}') == '{\n  "a": "é"\n}'
    assert pretty_arguments("{oops") == "{oops"
    assert arguments_problem('{"a": 1}') is None and arguments_problem("") is None
    assert "no JSON" in str(arguments_problem("{"))
    assert "a JSON object" in str(arguments_problem("[1]"))
    assert "too deep" in str(arguments_problem("[" * 100_000))
