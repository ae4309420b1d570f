"""One test for each known fault of the programs that this one learned from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import UserSimulatorError
from convtui.log.reader import open_log
from convtui.providers.base import SignalMatch, match_signals
from convtui.records.codec import decode
from convtui.records.models import Warned
from convtui.simulators.llm import LlmSimulator
from convtui.simulators.scripted import ScriptedSimulator
from convtui.text.boundary import safe_name
from tests.builders.conversations import (
    Bot,
    FakeModel,
    FakeModels,
    calls,
    findings,
    resume,
    run,
    scenario,
)
from tests.builders.logs import header, write_log

END = "<END OF CONVERSATION>"


class Drops(Bot):
    """Drops every reply with a signal."""

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        return True


# --- conversations of a persona and a provider


async def test_post_processing_is_applied_once_per_turn(tmp_path: Path) -> None:
    class Counts(Bot):
        def post_process_response(self, text: str) -> str:
            return text + "!"

    assert (await run(scenario(Counts("hi"), ["a"]), tmp_path)).said == ["a", "hi!"]


async def test_the_log_keeps_its_header_when_the_next_session_begins(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["a"], sessions=["x", "y"]), tmp_path)
    with open_log(ran.path) as log:
        assert [r["type"] for r in log.records()].count("header") == 1
        assert log.transcript.header["id"] == ran.conversation.id
        assert log.findings == []


async def test_one_log_holds_header_turns_and_ends_of_all_sessions(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["a"], sessions=["x", "y"]), tmp_path)
    assert list(tmp_path.glob("*.jsonl")) == [ran.path]
    for kind, count in (("session.started", 2), ("session.ended", 2), ("turn.committed", 4)):
        assert len(ran.of(kind)) == count


async def test_the_engine_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    await run(scenario(Drops("[X]", signals=["[X]"]), ["a"], sessions=["x", "y"]), tmp_path)
    assert capfd.readouterr() == ("", "")


async def test_who_speaks_first_is_never_left_open(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(first_speaker=None), ["a"]), tmp_path)
    assert ran.one("session.started")["first_speaker"] == "persona"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "..", ".", "", "x" * 500, "a\0b", "ü"])
def test_names_in_file_names_are_on_an_allow_list(name: str) -> None:
    safe = safe_name(name)
    assert 1 <= len(safe) <= 48
    assert all(c.isascii() and (c.isalnum() or c in "_-") for c in safe)


async def test_a_workflow_in_a_file_name_is_made_safe(tmp_path: Path) -> None:
    class Flows(Bot):
        def __init__(self, workflow: str) -> None:
            super().__init__()

    ran = await run(scenario(Flows, ["a"], config={"options": {"workflow": "../../x"}}), tmp_path)
    assert ran.path.parent == tmp_path
    assert ".." not in ran.path.name


async def test_nothing_is_finished_before_the_first_session(tmp_path: Path) -> None:
    bot = Bot()
    await run(scenario(bot, ["a"], sessions=["x", "y"]), tmp_path)
    assert bot.calls.index("finish y") > bot.calls.index("enter x")
    assert not any(call == "finish x" for call in bot.calls)


async def test_setup_is_called_once_by_the_runner(tmp_path: Path) -> None:
    bot = Bot()
    await run(scenario(bot, ["a"], sessions=["x", "y", "z"]), tmp_path)
    assert bot.calls.count("setup") == 1


async def test_a_signal_that_is_found_also_ends(tmp_path: Path) -> None:
    """Matching is one function: no second, case-sensitive look decides."""
    ran = await run(scenario(Bot("[end]", signals=["[END]"]), ["a", "b"]), tmp_path)
    assert ran.ended == ("early_termination", "provider")
    assert match_signals("[end]", ["[END]"])[0].signal == "[END]"


async def test_turns_are_counted_from_what_was_committed(tmp_path: Path) -> None:
    ran = await run(scenario(Drops("[X]", "ok", signals=["[X]"]), ["a", "b"], on_discard="skip"),
                    tmp_path)  # fmt: skip
    assert ran.one("session.ended")["turns"] == len(ran.said) == 3
    assert ran.one("trailer")["totals"]["turns"] == 3


async def test_the_record_says_which_side_declared_a_signal(tmp_path: Path) -> None:
    persona = {"name": "P", "script": ["[B]"], "termination_signals": ["[B]"]}
    what = scenario(Bot("[A]", signals=["[A]"]), persona=persona)
    ran = await run(what, tmp_path)
    assert ran.ended == ("early_termination", "persona")
    setup = ran.one("provider.setup")
    assert (setup["termination_signals"], setup["persona_signals"]) == (["[A]"], ["[B]"])


async def test_a_session_left_half_done_is_entered_again(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["a", "b"], sessions=["intake", "coaching"]), tmp_path)
    last = ran.of("turn.started")[-2]
    bot = Bot()
    what = scenario(bot, ["a", "b"], sessions=["intake", "coaching"])
    await resume(ran.path, tmp_path, what, seq=last["seq"] - 1, kind="rewind")
    assert bot.calls[:2] == ["setup", "enter coaching"]


async def test_a_conversation_resumes_whatever_the_personas_name(tmp_path: Path) -> None:
    persona = {"name": "Alex M.", "script": ["a", "b"]}
    ran = await run(scenario(Bot("x", ValueError("boom")), persona=persona), tmp_path)
    child = await resume(ran.path, tmp_path, scenario(Bot("y"), persona=persona))
    assert child.one("header")["persona"] == "Alex M."
    assert child.said == ["y"]


async def test_a_failure_keeps_the_partial_conversation(tmp_path: Path) -> None:
    ran = await run(scenario(Bot("one", ValueError("boom")), ["a", "b"]), tmp_path)
    assert ran.said == ["a", "one", "b"]
    assert ran.termination.kind == "failed"


async def test_a_failure_does_not_hide_finished_sessions(tmp_path: Path) -> None:
    bot = Bot("one", ValueError("boom"))
    ran = await run(scenario(bot, ["a"], sessions=["x", "y", "z"]), tmp_path)
    ends = ran.of("session.ended")
    assert [bool(r.get("skipped")) for r in ends] == [False, False, True]
    assert ends[0]["termination"]["kind"] == "completed"


async def test_a_discarded_last_turn_is_visible(tmp_path: Path) -> None:
    ran = await run(scenario(Drops("[X] no", signals=["[X]"]), ["a"]), tmp_path)
    assert ran.one("turn.discarded")["raw"] == "[X] no"
    assert ran.ended == ("discarded", "provider")


async def test_a_discarded_first_turn_leaves_no_text_of_ours(tmp_path: Path) -> None:
    bot = Drops("[X]", signals=["[X]"], first_speaker="provider")
    ran = await run(scenario(bot, ["a"]), tmp_path)
    assert ran.said == []
    assert ran.ended == ("discarded", "provider")


@pytest.mark.parametrize(("limit", "kind"), [({"max_turns": 2}, "max_turns"),
                                             ({"max_total_words": 1}, "word_limit")])  # fmt: skip
async def test_ends_by_a_limit_are_recorded(
    tmp_path: Path, limit: dict[str, int], kind: str
) -> None:
    ran = await run(scenario(Bot(), ["a"] * 5, **limit), tmp_path)
    assert ran.one("session.ended")["termination"]["kind"] == kind
    assert ran.one("conversation.ended")["termination"]["kind"] == kind


async def test_ordinary_words_do_not_end_a_conversation(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["I sent a couple of goodbye texts", "bye"]), tmp_path)
    assert len(ran.said) == 4


async def test_empty_replies_are_flagged(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(""), ["a"], on_empty="keep"), tmp_path)
    assert ran.of("turn.committed")[1]["empty"] is True


async def test_metadata_is_taken_after_post_processing(tmp_path: Path) -> None:
    class Notes(Bot):
        def post_process_response(self, text: str) -> str:
            self.last_response_metadata = {"reasoning_content": "thought"}
            return text

    ran = await run(scenario(Notes(), ["a"]), tmp_path)
    assert ran.of("turn.committed")[1]["metadata"]["reasoning_content"] == "thought"


# --- simulated users


async def test_a_simulator_error_has_category_message_and_the_real_turn(tmp_path: Path) -> None:
    models = FakeModels(user=["more", ValueError("broken")])
    what = scenario(
        Bot(), persona={"name": "A", "prompt": "p", "model": "fake/user", "opening": "hi"}
    )
    ran = await run(what, tmp_path, models=models)
    assert ran.termination.at_turn == 5
    detail = ran.termination.detail or {}
    assert detail["category"] == "user_simulator"
    assert "broken" in detail["message"]


async def test_text_beside_the_sentinel_is_kept(tmp_path: Path) -> None:
    models = FakeModels(user=["Thank you! <end>"])
    what = scenario(
        Bot(), persona={"name": "A", "prompt": "p", "model": "fake/user", "opening": "hi"}
    )
    ran = await run(what, tmp_path, models=models)
    assert ran.one("user.ended")["dropped_text"] == "Thank you!"


@pytest.mark.parametrize("sentinel", ["", "  "])
def test_an_empty_sentinel_is_refused(sentinel: str) -> None:
    with pytest.raises(UserSimulatorError, match="match everything"):
        LlmSimulator("a", FakeModel("m", []), end_sentinel=sentinel)


def test_a_sentinel_is_found_in_any_case_of_any_alphabet() -> None:
    from convtui.models.base import Reply
    from convtui.simulators.base import EndConversation, View

    simulator = LlmSimulator("a", FakeModel("m", []), end_sentinel="<ENDE ÄÖ>")
    said = simulator.interpret(Reply("so <ende äö>"), View([], 1, "s"))
    assert isinstance(said, EndConversation)


def test_a_persona_that_contains_a_placeholder_is_not_expanded_again() -> None:
    text = LlmSimulator.render("{persona} wants {task}", "I say {task}", "peace", "<end>")
    assert text == "I say {task} wants peace"


async def test_the_first_user_message_is_logged_too(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["first"]), tmp_path)
    first = ran.of("turn.committed")[0]
    assert (first["side"], first["text"]) == ("persona", "first")


async def test_a_turn_that_fails_is_closed_by_its_session(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(ValueError("boom")), ["a"]), tmp_path)
    assert ran.of("session.ended")[0]["termination"]["at_turn"] == 2
    assert ran.conversation.journal.transcript.turns[1].status != "open"


async def test_a_termination_is_data_not_a_debug_text(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["a"]), tmp_path)
    ended = ran.one("conversation.ended")["termination"]
    assert set(ended) >= {"kind", "by", "reason", "at_turn"}


async def test_a_record_that_cannot_be_written_is_never_swallowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convtui.errors import FileError
    from convtui.log.writer import LogWriter

    real = LogWriter.append

    def refuse(self: LogWriter, drafts: Any) -> Any:
        if any(payload["type"] == "llm.response" for _, payload, _ in drafts):
            raise FileError("no")
        return real(self, drafts)

    monkeypatch.setattr(LogWriter, "append", refuse)
    with pytest.raises(FileError):
        await run(scenario(Bot(), ["a"]), tmp_path)


async def test_a_script_begins_again_for_every_conversation(tmp_path: Path) -> None:
    what = scenario(Bot(), ["a", "b"])
    for _ in range(2):
        assert (await run(what, tmp_path)).said == ["a", "fine", "b", "fine"]


def test_an_empty_script_is_an_error() -> None:
    with pytest.raises(UserSimulatorError, match="empty script"):
        ScriptedSimulator("A", [])


# --- tool loops and logs


def test_lines_are_split_at_newlines_only(tmp_path: Path) -> None:
    odd = "a\u2028b\x85c\x0bd\x1ce"
    path = write_log(tmp_path / "a.jsonl", [header(), Warned(message=odd)])
    assert "\u2028".encode() in path.read_bytes()
    assert findings(path) == []
    with open_log(path) as log:
        assert log.reader.read(1)["message"] == odd


async def test_empty_tool_arguments_are_no_arguments(tmp_path: Path) -> None:
    def look() -> str:
        return "seen"

    ran = await run(scenario(Bot(calls(("look", "")), "ok", tools=[look]), ["a"]), tmp_path)
    assert ran.one("tool.returned")["ok"] is True


async def test_tool_calls_announced_but_not_made_do_not_loop(tmp_path: Path) -> None:
    from convtui.models.base import Reply

    bot = Bot(Reply("hm", finish_reason="tool_calls"), tools=[])
    ran = await run(scenario(bot, ["a"]), tmp_path)
    assert bot.answered == 1
    assert ran.one("warning")["code"] == "no_tool_calls"


async def test_truncation_is_in_the_trailer(tmp_path: Path) -> None:
    def look() -> str:
        return "seen"

    bot = Bot(calls(("look", "")), tools=[look])
    ran = await run(scenario(bot, ["a"], max_tool_rounds=2), tmp_path)
    assert ran.one("trailer")["truncated"] is True


async def test_every_record_is_on_disk_when_an_exception_comes(tmp_path: Path) -> None:
    ran = await run(scenario(Bot("one", ValueError("boom")), ["a", "b"]), tmp_path)
    with open_log(ran.path) as log:
        assert list(log.records()) == ran.records


async def test_the_reply_that_broke_the_budget_is_stored(tmp_path: Path) -> None:
    from tests.builders.conversations import costing

    what = scenario(Bot(costing("dear", 99)), ["a"], budget={"tokens": 10, "on_exceeded": "stop"})
    ran = await run(what, tmp_path)
    assert ran.said == ["a", "dear"]
    assert ran.ended == ("budget", "harness")


async def test_the_system_prompt_is_in_the_log(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(system_prompt="Be brief."), ["a"]), tmp_path)
    assert ran.one("llm.request")["append"][0] == {"role": "system", "content": "Be brief."}


def test_counts_gaps_and_trailers_are_verified(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.jsonl", [header(), Warned(message="x"), Warned(message="y")])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], *lines[2:]]))
    assert findings(path) == ["seq_gap", "wrong_count"]
    path.write_bytes(b"".join([*lines, lines[-1]]))
    assert "two_trailers" in findings(path)


async def test_a_stream_that_dies_leaves_its_text(tmp_path: Path) -> None:
    from convtui.errors import StreamDropped
    from convtui.models.base import Delta

    bot = Bot([Delta(text="half of it"), StreamDropped("gone")])
    ran = await run(scenario(bot, ["a"], retry={"attempts": 1}), tmp_path)
    assert ran.one("llm.failed")["partial"] == "half of it"


def test_calls_without_an_index_are_not_glued_together() -> None:
    from convtui.models.base import Delta, ReplyFold, ToolCallDelta

    fold = ReplyFold()
    for name in ("a", "b"):
        fold.add(Delta(tool_calls=(ToolCallDelta(id=name, name=name, arguments="{}"),)))
    assert [call.id for call in fold.reply().tool_calls] == ["a", "b"]


async def test_usage_keeps_its_details_and_unknown_is_not_zero(tmp_path: Path) -> None:
    from convtui.models.base import Reply, Usage

    reply = Reply("x", usage=Usage(prompt_tokens=5, reasoning_tokens=2, cached_tokens=1))
    ran = await run(scenario(Bot(reply, "y"), ["a", "b"]), tmp_path)
    usage = ran.of("llm.response")[0]["usage"]
    assert usage == {"prompt_tokens": 5, "reasoning_tokens": 2, "cached_tokens": 1}
    assert "usage" not in ran.of("llm.response")[1]
    assert "completion_tokens" not in ran.one("trailer")["totals"]["usage"]["provider"]


async def test_screens_see_every_record_as_it_is_written(tmp_path: Path) -> None:
    """Record by record and in order, with the byte offset at which it stands."""
    from tests.builders.conversations import prepare

    conversation, _, _ = prepare(scenario(Bot(), ["a"]), tmp_path)
    path = conversation.journal.writer.path
    end = 0

    def look(record: dict[str, Any], offset: int, line: bytes) -> None:
        nonlocal end
        assert offset == end
        end += len(line)
        assert path.read_bytes()[offset:end] == line
        assert decode(line) == record

    conversation.journal.listen(look)
    await asyncio.wait_for(conversation.run(), 20)
    assert end == path.stat().st_size
