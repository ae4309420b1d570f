"""Tool rounds that a crash cut off: results are used again, the model is not asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.log.tool_results import whole_result
from convtui.protocol import ContinueFrom
from convtui.records.models import RecordDict
from tests.builders.conversations import Bot, FakeModels, Ran, calls, resume, run, scenario


class Shop(Bot):
    """Its first reply calls `order` twice; `ordered` is what really happened."""

    def __init__(self, *lines: Any, reply: Any = None) -> None:
        self.ordered: list[str] = []
        first = reply or calls(
            ("order", '{"what": "tea"}'), ("order", '{"what": "milk"}'), text="ordering"
        )
        super().__init__(*(lines or (first, "it is on its way")), tools=[self.order])

    def order(self, what: str) -> str:
        """Orders."""
        self.ordered.append(what)
        return f"ordered {what}"


WHOLE = [
    {"role": "user", "content": "hi"},
    {
        "role": "assistant",
        "content": "ordering",
        "tool_calls": [
            {"id": "c1", "type": "function",
             "function": {"name": "order", "arguments": '{"what": "tea"}'}},
            {"id": "c2", "type": "function",
             "function": {"name": "order", "arguments": '{"what": "milk"}'}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "name": "order", "content": "ordered tea"},
    {"role": "tool", "tool_call_id": "c2", "name": "order", "content": "ordered milk"},
]  # fmt: skip
"""What the model is sent in the second round, however it came to that."""


def cut_at(ran: Ran, kind: str, which: int = 0) -> int:
    """The `seq` of a record of a type: the last that is left."""
    return int(ran.of(kind)[which]["seq"])


def warned(ran: Ran) -> list[str]:
    """Codes of the warnings."""
    return [record["code"] for record in ran.of("warning")]


@pytest.mark.parametrize(
    ("kind", "which", "runs_again", "warns"),
    [
        ("llm.response", 0, ["milk", "tea"], []),
        ("tool.called", 0, ["milk", "tea"], ["tools_cut_off"]),
        ("tool.called", 1, ["milk", "tea"], ["tools_cut_off"]),
        ("tool.returned", 0, None, ["tools_cut_off"]),
        ("tool.returned", 1, [], []),
        ("llm.request", 1, [], []),
    ],
)
async def test_a_round_is_gone_on_with_where_it_was_cut(
    tmp_path: Path, kind: str, which: int, runs_again: list[str] | None, warns: list[str]
) -> None:
    parent = await run(scenario(Shop(), ["hi"]), tmp_path)
    if runs_again is None:
        there = parent.of("tool.returned")[0]["result"]
        runs_again = [what for what in ("milk", "tea") if what not in there]
    shop = Shop("it is on its way")
    ran = await resume(
        parent.path, tmp_path, scenario(shop, ["hi"]), seq=cut_at(parent, kind, which)
    )
    assert sorted(shop.ordered) == runs_again
    assert shop.sent == [WHOLE], "one question: the one that had no answer"
    assert warned(ran) == warns
    assert ran.said == ["it is on its way"]
    back = ran.of("tool.returned")
    assert len(back) == 2
    reused = [record for record in back if record.get("reused")]
    assert len(reused) == 2 - len(runs_again)
    for record in reused:
        first = parent.records[record["reused"]["seq"]]
        assert (first["type"], first["id"]) == ("tool.returned", record["id"])
        assert record["reused"]["log"] == parent.conversation.id
    assert ran.of("llm.response")[0]["reused"], "the reply of the parent"


async def test_the_warning_says_what_is_not_known(tmp_path: Path) -> None:
    parent = await run(scenario(Shop(), ["hi"]), tmp_path)
    ran = await resume(
        parent.path, tmp_path, scenario(Shop("x"), ["hi"]), seq=cut_at(parent, "tool.called", 1)
    )
    (warning,) = ran.of("warning")
    assert warning["message"] == (
        "order had begun when the log ended; whether it did its work is not known, and it is run"
        " again"
    )


async def test_watched_it_holds_and_the_call_can_be_denied(tmp_path: Path) -> None:
    parent = await run(scenario(Shop(), ["hi"]), tmp_path)
    shop = Shop("x")
    ran = await resume(
        parent.path, tmp_path, scenario(shop, ["hi"]), seq=cut_at(parent, "tool.called", 1),
        plan=[("deny", {"reason": "it was made"})],
    )  # fmt: skip
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["stage"]) == ("tool_approval", "tools")
    assert "had begun when the log ended" in hold["detail"]
    assert shop.ordered == []
    assert "it was made" in shop.sent[0][-1]["content"]


async def test_a_child_that_dies_at_once_loses_no_result(tmp_path: Path) -> None:
    parent = await run(scenario(Shop(), ["hi"]), tmp_path)
    seq = cut_at(parent, "tool.returned", 1)
    child = await resume(parent.path, tmp_path, scenario(Shop("x"), ["hi"]), seq=seq)
    for kind, which in (("history.seeded", 0), ("llm.response", 0), ("tool.returned", 0)):
        shop = Shop("y")
        grandchild = await resume(
            child.path, tmp_path, scenario(shop, ["hi"]), seq=cut_at(child, kind, which)
        )
        assert shop.ordered == [], kind
        assert shop.sent == [WHOLE], kind
        assert warned(grandchild) == []


async def test_earlier_rounds_are_kept(tmp_path: Path) -> None:
    tea, milk = calls(("order", '{"what": "tea"}')), calls(("order", '{"what": "milk"}'))
    milk.tool_calls[0].id = "m1"
    parent = await run(scenario(Shop(tea, milk, "done"), ["hi"]), tmp_path)
    shop = Shop("done")
    ran = await resume(
        parent.path, tmp_path, scenario(shop, ["hi"]), seq=cut_at(parent, "llm.response", 1)
    )
    assert shop.ordered == ["milk"]
    assert [m.get("content") for m in shop.sent[0]] == [
        "hi", None, "ordered tea", None, "ordered milk",
    ]  # fmt: skip
    assert ran.one("tool.called")["round"] == 2
    assert [r.get("round") for r in ran.of("llm.request")] == [3]


async def test_edited_arguments_and_denials_are_kept(tmp_path: Path) -> None:
    edits = {"c1": '{"what": "coffee"}', "deny": ["c2"], "reason": "no milk"}
    what = scenario(Shop(), ["hi"], approve_tools=True)
    parent = await run(what, tmp_path, plan=[("edit", edits)])
    for kind, ordered in (("tool.denied", ["tea"]), ("tool.called", ["coffee"]),
                          ("tool.returned", [])):  # fmt: skip
        seq = max(record["seq"] for record in parent.of(kind))
        shop = Shop("done")
        ran = await resume(parent.path, tmp_path, scenario(shop, ["hi"]), seq=seq)
        assert shop.ordered == ordered, kind
        assert "no milk" in shop.sent[0][-1]["content"], "what was denied is not run after all"
        assert ran.said == ["done"]


async def test_a_failing_next_call_can_be_resumed_from_the_results(tmp_path: Path) -> None:
    reply = calls(("order", '{"what": "tea"}'))
    parent = await run(scenario(Shop(reply, ValueError("down")), ["hi"]), tmp_path)
    assert parent.termination.kind == "failed"
    shop = Shop("done")
    ran = await resume(parent.path, tmp_path, scenario(shop, ["hi"]))
    assert shop.ordered == []
    assert ran.said == ["done"]


async def test_a_failing_call_after_results_of_the_parent_holds(tmp_path: Path) -> None:
    reply = calls(("order", '{"what": "tea"}'))
    parent = await run(scenario(Shop(reply, "x"), ["hi"]), tmp_path)
    shop = Shop(ValueError("down"), reply, "done")
    ran = await resume(
        parent.path, tmp_path, scenario(shop, ["hi"]), seq=cut_at(parent, "tool.returned"),
        plan=["again"],
    )  # fmt: skip
    assert ran.driver.holds[0]["reason"] == "error"
    assert shop.ordered == ["tea"], "asking again begins the turn from its start"
    assert ran.said == ["done"]


async def test_used_up_rounds_stay_used_up(tmp_path: Path) -> None:
    parent = await run(scenario(Shop(calls(("order", "{}"))), ["hi"], max_tool_rounds=1), tmp_path)
    seq = cut_at(parent, "llm.response")
    shop = Shop("never asked")
    ran = await resume(parent.path, tmp_path, scenario(shop, ["hi"], max_tool_rounds=1), seq=seq)
    assert shop.sent == []
    assert ran.one("turn.committed")["truncated"] is True
    assert "tool_rounds" in warned(ran)


async def test_the_history_of_a_continuation_is_that_of_the_run(tmp_path: Path) -> None:
    def messages(records: list[RecordDict]) -> Any:
        (seeded,) = [record for record in records if record["type"] == "history.seeded"]
        return seeded["messages"]["provider"]

    parent = await run(scenario(Shop(), ["hi", "so?"], max_turns=2), tmp_path)
    ran = await resume(parent.path, tmp_path, scenario(Shop("y"), ["hi", "so?"]), kind="go_on")
    assert messages(ran.records) == [*WHOLE, {"role": "assistant", "content": "it is on its way"}]


async def test_a_long_result_is_found_where_it_was_first(tmp_path: Path) -> None:
    reply = calls(("order", '{"what": "' + "tea " * 50 + '"}'))
    what = scenario(Shop(reply, "x"), ["hi"], max_tool_result=20)
    parent = await run(what, tmp_path)
    ran = await resume(
        parent.path, tmp_path, scenario(Shop("done"), ["hi"], max_tool_result=20),
        seq=cut_at(parent, "tool.returned"),
    )  # fmt: skip
    record = ran.one("tool.returned")
    assert record["truncated"] is True
    assert record["result"] == parent.one("tool.returned")["result"]
    assert len(str(whole_result(parent.path, record["reused"]["seq"]))) > 200


async def test_a_reload_at_stage_tools_holds_there_with_the_same_calls(tmp_path: Path) -> None:
    parent = await run(scenario(Shop(), ["hi"]), tmp_path)
    shop = Shop("done")
    again = ContinueFrom(
        str(parent.path), cut_at(parent, "llm.response"), "reload", held=True, stage="tools"
    )
    ran = await run(
        scenario(shop, ["hi"]), tmp_path, continue_from=again,
        plan=[("edit", {"c1": '{"what": "coffee"}'})],
    )  # fmt: skip
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["stage"], hold["turn"]) == ("pause", "tools", 2)
    assert [draft["text"] for draft in hold["drafts"]] == ['{"what": "tea"}', '{"what": "milk"}']
    assert sorted(shop.ordered) == ["coffee", "milk"]
    assert len(shop.sent) == 1


async def test_asking_anew_runs_the_tools_anew(tmp_path: Path) -> None:
    parent = await run(scenario(Shop(), ["hi"]), tmp_path)
    shop = Shop()
    ran = await resume(
        parent.path, tmp_path, scenario(shop, ["hi"]), seq=cut_at(parent, "tool.returned", 1),
        reuse_reply=False,
    )  # fmt: skip
    assert len(shop.sent) == 2
    assert sorted(shop.ordered) == ["milk", "tea"]
    assert warned(ran) == []


async def test_a_model_persona_that_calls_tools_is_not_asked_again(tmp_path: Path) -> None:
    said = calls(("nothing", "{}"), text="hello")
    models = FakeModels(user=[said, "<end>"])
    what = scenario(Bot("x"), persona={"name": "A", "prompt": "p", "model": "fake/user"})
    parent = await run(what, tmp_path, models=models)
    again = FakeModels(user=["<end>"])
    ran = await resume(
        parent.path, tmp_path, what, seq=cut_at(parent, "llm.response"), models=again
    )
    assert ran.said == ["hello", "x"]
    assert len(again.clients["user"].sent) == 1, "only for what comes after"
