"""Another attempt: what was reflected on, where it stands, what it costs, how it goes on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from convtui.analysis.compare.lineage import kinship
from convtui.analysis.rehook.sources import sources_of
from convtui.engine.conversation.wiring import EngineModels
from convtui.errors import UsageError
from convtui.library.families import families
from convtui.log.parents import named_parent, parent_of
from convtui.log.reader import open_log
from convtui.log.run_summary import list_runs
from convtui.models.base import Reply
from convtui.protocol import AttemptSpec, StartSpec
from convtui.providers.vera.interface import LLMInterface
from tests.builders.conversations import (
    Bot,
    FakeModels,
    Ran,
    costing,
    plant,
    prepare,
    resume,
    run,
    scenario,
)
from tests.fakes.openai_script import FakeReply
from tests.fakes.openai_server import OpenAIServerThread

PARENT = {"id": "a" * 32, "file": "/runs/first.jsonl", "seq": 40, "sha256": "00"}
LESSON = "Ask for the order number first."


def attempt(**fields: Any) -> AttemptSpec:
    return AttemptSpec(
        **{
            "number": 2,
            "parent": PARENT,
            "material": "The conversation:\n\nuser: refund\n\nIt ended: failed.",
            "model": "fake/coach",
            **fields,
        }
    )


async def again(tmp_path: Path, bot: Bot, *lines: Any, **fields: Any) -> tuple[Ran, Any]:
    models = FakeModels(coach=lines or (LESSON,))
    plan = fields.pop("plan", None)
    what = scenario(bot, ["one", "two"], **fields.pop("scenario", {}))
    ran = await run(what, tmp_path, attempt=attempt(**fields), models=models, plan=plan)
    return ran, models.clients["coach"]


async def test_the_reflection_stands_in_the_system_prompt_of_every_request(tmp_path: Path) -> None:
    bot = Bot("a1", "a2", "a3", "a4", system_prompt="You are a desk.")
    _, coach = await again(tmp_path, bot, scenario={"sessions": ["intake", "refund"]})
    for sent in bot.sent:
        assert sent[0]["role"] == "system"
        assert sent[0]["content"].startswith("You are a desk.\n\nYou have had this conversation")
        assert sent[0]["content"].endswith(f"After attempt 1:\n{LESSON}")
    assert len(bot.sent) == 4
    (asked,) = coach.sent
    assert [message["role"] for message in asked] == ["system", "user"]
    assert "Your instructions were:\n\nYou are a desk." in asked[1]["content"]
    assert "It ended: failed." in asked[1]["content"]


async def test_the_log_has_the_call_and_what_came_of_it(tmp_path: Path) -> None:
    ran, _ = await again(tmp_path, Bot("a1"), costing(LESSON, 77, 0.5))
    header = ran.records[0]
    assert (header["origin"], header["change"]) == ("run", {"kind": "reflexion", "attempt": 2})
    assert header["parents"] == [PARENT]
    assert ran.types[1:5] == ["llm.request", "llm.response", "reflection.added", "provider.setup"]
    request, response, added = ran.records[1:4]
    assert {request["side"], response["side"], added["side"]} == {"reflection"}
    assert (added["text"], added["of"], added["model"]) == (LESSON, 1, "coach")
    assert added["call"] == response["call"] == request["seq"]
    usage = ran.one("trailer")["totals"]["usage"]
    assert (usage["reflection"]["prompt_tokens"], usage["reflection"]["cost"]) == (77, 0.5)
    assert "prompt_tokens" not in usage["provider"]


async def test_it_counts_towards_the_budget_of_the_whole_conversation(tmp_path: Path) -> None:
    budget = {"budget": {"tokens": 100, "on_exceeded": "stop", "provider": {"tokens": 100}}}
    ran, _ = await again(tmp_path, Bot(costing("a1", 30)), costing(LESSON, 80), scenario=budget)
    assert ran.ended == ("budget", "harness")
    assert (ran.one("budget.crossed")["scope"], ran.one("budget.crossed")["used"]) == (
        "conversation",
        110,
    )


async def test_earlier_reflections_go_with_a_later_attempt(tmp_path: Path) -> None:
    first = {"text": "Be brief.", "of": 1, "model": "m", "reused": {"log": "b" * 32, "seq": 3}}
    bot = Bot("a1")
    ran, coach = await again(tmp_path, bot, number=3, reflections=[first])
    assert [(r["of"], r["text"]) for r in ran.of("reflection.added")] == [
        (1, "Be brief."),
        (2, LESSON),
    ]
    assert ran.of("reflection.added")[0]["reused"] == {"log": "b" * 32, "seq": 3}
    assert "After attempt 1:\nBe brief.\n\nAfter attempt 2:\n" in bot.sent[0][0]["content"]
    assert "After attempt 1:\nBe brief." in coach.sent[0][1]["content"], "what was tried already"


async def test_a_continuation_keeps_it_without_asking_again(tmp_path: Path) -> None:
    what = scenario(Bot("a1", system_prompt="Desk."), ["one", "two"], max_turns=2)
    ran = await run(
        what, tmp_path, attempt=attempt(), models=FakeModels(coach=[LESSON]), plan=["end"]
    )
    bot = Bot("a2", system_prompt="Desk.")
    child = await resume(ran.path, tmp_path, scenario(bot, ["one", "two"], max_turns=4))
    added = child.one("reflection.added")
    assert (added["of"], added["text"]) == (1, LESSON)
    assert added["reused"]["log"] == ran.records[0]["id"]
    assert ran.records[added["reused"]["seq"]]["type"] == "reflection.added"
    assert bot.sent[0][0]["content"].endswith(LESSON)
    assert not [r for r in child.of("llm.request") if r["side"] == "reflection"]


@pytest.mark.parametrize("line", [RuntimeError("down"), Reply("<think>hm</think> ")])
async def test_without_a_reflection_the_attempt_is_made_all_the_same(
    tmp_path: Path, line: Any
) -> None:
    bot = Bot("a1", "a2")
    ran, _ = await again(tmp_path, bot, line)
    assert ran.ended == ("completed", "simulator")
    assert not ran.of("reflection.added")
    assert [r["code"] for r in ran.of("warning")] == ["not_reflected"]
    assert bot.sent[0][0]["role"] == "user", "no system prompt came of it"


async def test_somebody_who_watches_can_try_it_again(tmp_path: Path) -> None:
    ran, coach = await again(
        tmp_path, Bot("a1", "a2"), RuntimeError("down"), LESSON, plan=["retry", "end"]
    )
    assert ran.driver.where[0] == ("error", "setup")
    assert ran.one("reflection.added")["text"] == LESSON
    assert len(coach.sent) == 2


async def test_another_attempt_without_reflection_asks_nobody(tmp_path: Path) -> None:
    bot = Bot("a1")
    ran, coach = await again(tmp_path, bot, material="", model=None)
    assert not coach.sent
    assert not ran.of("reflection.added")
    assert ran.records[0]["change"] == {"kind": "reflexion", "attempt": 2}


async def test_a_provider_without_a_model_needs_one_named(tmp_path: Path) -> None:
    what = scenario(Bot("a1"))
    with pytest.raises(UsageError, match=r"attempts\.model"):
        prepare(what, tmp_path, attempt=attempt(model=None))


class Desk(LLMInterface):
    """Knows its prompt, and sends it itself."""

    def __init__(self, **_: Any) -> None:
        super().__init__(name="desk", system_prompt="You are a desk.")
        self.seen: list[str] = []

    async def generate_response(
        self, conversation_history: list[dict[str, Any]] | None = None
    ) -> str:
        self.seen.append(self.system_prompt or "")
        return "a"

    async def enter_session(self, session_type: str) -> None:
        self.system_prompt = f"You are a desk for {session_type}."

    def set_system_prompt(self, system_prompt: str) -> None:
        self.system_prompt = system_prompt


async def test_a_class_that_reads_no_messages_has_it_in_its_own_prompt(tmp_path: Path) -> None:
    desk = Desk()
    what = scenario(desk, ["one"], sessions=["intake", "refund"])
    ran = await run(what, tmp_path, attempt=attempt(), models=FakeModels(coach=[LESSON]))
    assert ran.ended[0] == "completed"
    assert [seen.partition("\n")[0] for seen in desk.seen] == [
        "You are a desk for intake.",
        "You are a desk for refund.",
    ]
    assert all(seen.count(LESSON) == 1 for seen in desk.seen)


async def test_the_providers_own_model_reflects(tmp_path: Path, models: EngineModels) -> None:
    with OpenAIServerThread([FakeReply(LESSON)]) as server:
        what = scenario(Bot(), ["one"])
        what = what.model_copy(
            update={
                "provider": what.provider.model_copy(
                    update={
                        "use": "openai/gpt-test",
                        "params": {"api_base": server.url, "api_key": "sk-test", "seed": 7},
                    }
                )
            }
        )
        ran = await run(what, tmp_path, attempt=attempt(model=None), models=models)
        first, second = server.requests[:2]
    assert ran.one("reflection.added")["text"] == LESSON
    assert ran.one("reflection.added")["model"] == "openai/gpt-test"
    assert first.body["seed"] == 7
    assert second.body["messages"][0]["content"].endswith(LESSON)
    usage = ran.one("trailer")["totals"]["usage"]
    assert usage["reflection"]["calls"] == 1
    assert usage["reflection"]["prompt_tokens"] > 0


def test_the_specification_survives_the_pipe() -> None:
    spec = StartSpec(scenario={"provider": plant(Bot())}, out_dir="x", attempt=attempt())
    assert StartSpec.from_dict(spec.as_dict()) == spec


async def test_nothing_of_the_attempt_before_counts_as_its_own_past(tmp_path: Path) -> None:
    """Rehook, notes and raw texts follow a log's parents; another attempt begins anew."""
    first = await run(scenario(Bot("a1"), ["one"]), tmp_path)
    parent = {
        "id": first.records[0]["id"],
        "file": str(first.path),
        "seq": first.records[-1]["seq"],
        "sha256": hashlib.sha256(first.path.read_bytes()).hexdigest(),
    }
    again = await run(
        scenario(Bot("b1"), ["one"]), tmp_path, attempt=attempt(parent=parent, material="")
    )
    assert [source.path for source in sources_of([again.path])] == [again.path]
    assert parent_of(again.records[0]) is None
    assert named_parent(again.records[0]) == parent
    (root,) = families(list_runs(tmp_path))
    assert (root.run.id, root.size) == (first.records[0]["id"], 1)
    assert root.children[0].origin() == "reflexion"
    with open_log(first.path) as a, open_log(again.path) as b:
        kin = kinship(a.transcript, a.path, b.transcript, b.path)
    assert (kin.kind, kin.of, kin.shared) == ("branch", "b", 0)
