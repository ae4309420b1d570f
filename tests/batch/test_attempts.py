"""Attempts: which endings are tried again, and what the next attempt begins with."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

from convtui.batch import attempts as trying
from convtui.batch.attempts import attempt_after, best_of, material, next_attempt
from convtui.batch.cells import cells_of
from convtui.batch.manifest import Entry, read_batch
from convtui.batch.plan import Plan
from convtui.batch.plan_parts import Attempts
from convtui.errors import UsageError
from convtui.library.families import families
from convtui.log.reader import open_log
from convtui.log.run_summary import list_runs
from convtui.models.base import Reply
from convtui.protocol import AttemptSpec
from tests.builders.conversations import Bot, FakeModels, Ran, calls, run, scenario
from tests.builders.running_batches import Stage
from tests.fakes.openai_http import Received
from tests.fakes.openai_script import FakeReply
from tests.fakes.openai_server import OpenAIServer


def look_up(code: str) -> str:
    """Looks up a code."""
    raise ValueError(f"no {code} here")


def entry_of(ran: Ran, attempt: int = 1) -> Entry:
    again = f".a{attempt}" if attempt > 1 else ""
    return Entry(f"c.1{again}", "c", 1, attempt, log=ran.path.name, state="ended")


async def failing(tmp_path: Path, **fields: Any) -> Ran:
    bot = Bot(calls(("look_up", '{"code": "A7"}')), "It is not there.", RuntimeError("boom"),
              tools=[look_up])  # fmt: skip
    return await run(scenario(bot, ["Where is A7?", "And now?"]), tmp_path, **fields)


async def test_an_ending_that_matches_is_tried_again(tmp_path: Path) -> None:
    ran = await failing(tmp_path)
    spec = next_attempt(Attempts(when="~end failed"), entry_of(ran), tmp_path)
    assert spec is not None
    assert (spec.number, spec.material, spec.model, spec.reflections) == (2, "", None, [])
    assert spec.parent == {
        "id": ran.records[0]["id"],
        "file": str(ran.path),
        "seq": ran.records[-1]["seq"],
        "sha256": hashlib.sha256(ran.path.read_bytes()).hexdigest(),
    }
    assert next_attempt(Attempts(when="~end abstained"), entry_of(ran), tmp_path) is None
    assert next_attempt(Attempts(when="~toolerror"), entry_of(ran), tmp_path) is not None


async def test_not_more_often_than_the_plan_says(tmp_path: Path) -> None:
    ran = await failing(tmp_path)
    assert next_attempt(Attempts(max=1), entry_of(ran), tmp_path) is None
    assert next_attempt(Attempts(max=3), entry_of(ran, 2), tmp_path) is not None
    assert next_attempt(Attempts(max=3), entry_of(ran, 3), tmp_path) is None
    never_began = Entry("c.1", "c", 1, state="ended")
    assert next_attempt(Attempts(max=3), never_began, tmp_path) is None


async def test_what_ends_in_no_turn_is_an_ending_too(tmp_path: Path) -> None:
    class Broken(Bot):
        async def enter_session(self, session_type: str) -> None:
            if session_type == "refund":
                raise RuntimeError("no refunds")

    what = scenario(Broken("a"), ["one"], sessions=["intake", "refund"], max_turns=2)
    ran = await run(what, tmp_path)
    assert ran.ended == ("failed", "provider")
    assert next_attempt(Attempts(when="~end failed"), entry_of(ran), tmp_path) is not None
    assert next_attempt(Attempts(when="~end abstained"), entry_of(ran), tmp_path) is None
    at_once = await run(scenario(Broken("a"), ["one"], sessions=["refund"]), tmp_path)
    assert not at_once.of("turn.started")
    assert next_attempt(Attempts(when="~end failed"), entry_of(at_once), tmp_path) is not None


async def test_the_material_has_what_went_wrong(tmp_path: Path) -> None:
    ran = await failing(tmp_path)
    with open_log(ran.path) as log:
        text = material(log)
    assert "user: Where is A7?" in text
    assert '[assistant calls look_up {"code": "A7"} -> failed' in text
    assert "no A7 here" in text
    assert "assistant: It is not there." in text
    assert text.index("It is not there.") < text.index("user: And now?") < text.index("boom")
    assert text.rsplit("\n", 1)[-1].startswith("How it ended: failed by provider at turn 4: ")
    assert next_attempt(Attempts(reflect=True), entry_of(ran), tmp_path).material == text  # type: ignore[union-attr]


async def test_the_material_has_sessions_and_what_was_discarded(tmp_path: Path) -> None:
    bot = Bot("ok", "STOP here", signals=["STOP"], should_discard_response=bool)
    ran = await run(scenario(bot, ["one", "two"], sessions=["intake", "refund"]), tmp_path)
    with open_log(ran.path) as log:
        text = material(log)
    assert "--- session 1: intake" in text
    assert "assistant: STOP here\n[this was discarded and not said, for STOP]" in text


async def test_the_middle_of_a_long_conversation_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = await run(scenario(Bot("x" * 500, "y" * 500), ["one", "two"]), tmp_path)
    monkeypatch.setattr(trying, "MOST_CHARACTERS", 400)
    with open_log(ran.path) as log:
        text = material(log)
    said, _, ending = text.rpartition("\n\nHow it ended: ")
    assert ending.startswith("completed by simulator")
    assert said.startswith("The conversation")
    assert said.endswith("y" * 200 + "\n\n[the script is exhausted]")
    assert "characters are left out" in said
    assert len(said) < 500


async def test_a_third_attempt_has_both_reflections(tmp_path: Path) -> None:
    first = await failing(tmp_path)
    plan = Attempts(reflect=True, model="fake/coach", when="~end failed")
    second = await failing(
        tmp_path,
        attempt=next_attempt(plan, entry_of(first), tmp_path),
        models=FakeModels(coach=["Be brief."]),
    )
    spec = next_attempt(plan, entry_of(second, 2), tmp_path)
    assert isinstance(spec, AttemptSpec)
    third = await failing(tmp_path, attempt=spec, models=FakeModels(coach=["Be kind."]))
    assert [(r["of"], r["text"]) for r in third.of("reflection.added")] == [
        (1, "Be brief."),
        (2, "Be kind."),
    ]
    assert third.of("reflection.added")[0]["reused"]["log"] == second.records[0]["id"]
    assert third.records[0]["parents"][0]["id"] == second.records[0]["id"]
    # One that was begun and lost begins with the same.
    assert attempt_after(plan, entry_of(second, 2), tmp_path) == spec


def test_the_best_attempt() -> None:
    ended = [
        Entry(f"c.{n}", "c", 1, n, state="ended", termination={"kind": kind})
        for n, kind in enumerate(("failed", "completed", "abstained"), 1)
    ]
    assert best_of(ended).attempt == 2
    assert best_of([ended[0], ended[2]]).attempt == 3, "the one before was not good enough"
    assert best_of([ended[0], Entry("c.1.a2", "c", 1, 2)]).attempt == 1, "it runs still"


REFUSED = """\
vary:
  provider: [demo, openai/gpt-4o]
attempts:
  max: 2
  reflect: true
"""


def test_reflection_without_a_model_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(REFUSED)
    with pytest.raises(UsageError) as caught:
        cells_of(Plan.load(file))
    assert "plan.yaml:5" in str(caught.value)
    assert "demo has no model of its own to reflect with" in str(caught.value)
    assert "attempts.model" in str(caught.value)
    file.write_text(REFUSED + "  model: openai/gpt-4o-mini\n")
    assert len(cells_of(Plan.load(file))) == 2
    file.write_text(REFUSED.replace("demo, ", ""))
    assert len(cells_of(Plan.load(file))) == 1
    file.write_text(REFUSED.replace("reflect: true", "reflect: false"))
    assert len(cells_of(Plan.load(file))) == 2


async def test_a_reply_without_a_text_teaches_nothing_later(tmp_path: Path) -> None:
    first = await failing(tmp_path)
    plan = Attempts(reflect=True, model="fake/coach", when="~end failed")
    spec = next_attempt(plan, entry_of(first), tmp_path)
    second = await failing(tmp_path, attempt=spec, models=FakeModels(coach=[Reply(" ")]))
    later = next_attempt(plan, entry_of(second, 2), tmp_path)
    assert later is not None
    assert later.reflections == []


class LearningServer(OpenAIServer):
    """A model that is of no help until it has thought about that."""

    def choose(self, request: Received) -> FakeReply:
        messages = request.body["messages"]
        if messages[0]["content"].startswith("You are shown a conversation that you had"):
            return FakeReply(text="Say yes.")
        learned = "After attempt 1:\nSay yes." in str(messages[0]["content"])
        return FakeReply(text="yes" if learned else "sorry, no")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="workers are forked")
async def test_a_batch_learns_from_its_first_attempts(tmp_path: Path) -> None:
    async with LearningServer() as server:
        provider = {
            "use": "openai/provider-1",
            "params": {"api_base": server.url, "api_key": "none"},
            "system_prompt": "You are a desk.",
        }
        stage = Stage(tmp_path, scenario={"provider": provider}, script=["Is it there?"])
        batch = await stage.run(runs=2, attempts={"max": 3, "when": "~said sorry", "reflect": True})
        asked = [request.body["messages"][0]["content"] for request in server.requests]
    assert list(batch.entries)[:2] == ["Maya.1", "Maya.2"]
    assert set(batch.entries) == {"Maya.1", "Maya.2", "Maya.1.a2", "Maya.2.a2"}
    assert sum("You are shown a conversation" in text for text in asked) == 2
    read = read_batch(stage.out)
    for run_number in (1, 2):
        attempts = read.attempts(read.entries[f"Maya.{run_number}"])
        assert best_of(attempts) is attempts[1]
        assert attempts[1].totals["usage"]["reflection"]["tokens"] > 0
        path = read.log_of(attempts[1])
        assert path is not None
        with open_log(path) as log:
            assert [r["text"] for r in log.transcript.reflections] == ["Say yes."]
            assert [turn.text for turn in log.transcript.turns][1] == "yes"
    (root, *_) = families(list_runs(stage.out))
    assert [node.origin() for node in root.children] == ["reflexion"]
