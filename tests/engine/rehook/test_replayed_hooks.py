"""What counts as recorded: failures of hooks and discards of real runs."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.rehook.replayed_hooks import Rehook
from convtui.protocol import REHOOK_CURSOR, RehookSpec
from convtui.providers.base import Provider
from tests.builders.conversations import Answer, Bot, calls, cut_turn, run, scenario
from tests.builders.logs import conversation, ending, session, turn, write_log


class Failing(Bot):
    """Its hook fails."""

    def post_process_response(self, text: str) -> str:
        raise ValueError("boom")


class Dropping(Bot):
    """Drops what holds a signal."""

    def should_discard_response(self, signals: list[Any]) -> bool:
        return True


def again(log: Path, provider: Provider, folder: Path) -> dict[str, Any]:
    cursor = folder / "cursor"
    cursor.write_bytes(struct.pack(REHOOK_CURSOR, -1, -1))
    (found,) = Rehook(RehookSpec([str(log)], str(cursor)), provider).logs()
    return found


async def test_a_hook_that_failed_then_is_mended_or_as_it_was(tmp_path: Path) -> None:
    ran = await run(scenario(Failing("fine")), tmp_path)
    assert ran.ended == ("failed", "provider")
    found = again(ran.path, Bot(), tmp_path)
    assert [change["kinds"] for change in found["changed"]] == [["mended"]]
    assert again(ran.path, Failing(), tmp_path)["changed"] == []


async def test_what_was_dropped_is_compared_with_what_is_dropped_now(tmp_path: Path) -> None:
    what = scenario(Dropping("[[X]] no", "fine", signals=["[[X]]"]), ["one"])
    ran = await run(what, tmp_path, plan=[])
    assert again(ran.path, Dropping(signals=["[[X]]"]), tmp_path)["changed"] == []
    (change,) = again(ran.path, Bot(signals=["[[X]]"]), tmp_path)["changed"]
    assert "discard" in change["kinds"]


class Shouting(Bot):
    """Says it louder."""

    def post_process_response(self, text: str) -> str:
        return text.upper()


async def held(folder: Path, bot: Bot, stage: str, *plan: Answer, **more: Any) -> Path:
    """The log of a conversation that was held at a stage of the provider's reply."""
    what = scenario(bot, ["a"], breakpoints=[f"~stage {stage} & ~speaker provider"], **more)
    return (await run(what, folder, plan=list(plan))).path


@pytest.mark.parametrize(
    ("field", "stage", "then"),
    [
        ("text", "commit", "FIRST"),
        ("raw", "post_process", "BY HAND"),
        ("raw", "response", "BY HAND"),
    ],
)
async def test_what_a_human_wrote_is_no_result_of_a_hook(
    tmp_path: Path, field: str, stage: str, then: str
) -> None:
    log = await held(tmp_path, Shouting("first"), stage, ("edit", {field: "by hand"}), "go")
    found = again(log, Shouting(), tmp_path)
    assert (found["changed"], found["by_hand"]) == ([], 1)
    (change,) = again(log, Bot(), tmp_path)["changed"]
    assert (change["kinds"], change["by_hand"]) == (["text"], [field])
    assert (change["before"]["text"], change["after"]["text"]) == (then, then.lower())


async def test_an_edit_that_was_taken_back_is_none(tmp_path: Path) -> None:
    plan: tuple[Answer, ...] = (("edit", {"text": "by hand"}), "undo", "go")
    log = await held(tmp_path, Shouting("first"), "commit", *plan)
    found = again(log, Shouting(), tmp_path)
    assert (found["changed"], found["by_hand"]) == ([], 0)


@pytest.mark.parametrize(("then", "now"), [(Dropping, Bot), (Bot, Dropping)])
async def test_an_overridden_discard_is_compared_with_what_the_hook_had_said(
    tmp_path: Path, then: type[Bot], now: type[Bot]
) -> None:
    log = await held(tmp_path, then("[X] hm", signals=["[X]"]), "discard", "override")
    found = again(log, then(signals=["[X]"]), tmp_path)
    assert (found["changed"], found["by_hand"]) == ([], 1)
    (change,) = again(log, now(signals=["[X]"]), tmp_path)["changed"]
    assert (change["before"]["discarded"], change["after"]["discarded"]) == (
        then is Dropping,
        now is Dropping,
    )
    assert change["by_hand"] == ["discard"]


async def test_an_overridden_ending_is_still_what_the_hooks_had_said(tmp_path: Path) -> None:
    what = scenario(Bot("[X]", "on", signals=["[X]"]), ["a", "b"])
    log = (await run(what, tmp_path, plan=["override"])).path
    found = again(log, Bot(signals=["[X]"]), tmp_path)
    assert (found["changed"], found["by_hand"], len(found["turns"])) == ([], 1, 2)
    found = again(log, Bot(), tmp_path)
    assert [change["kinds"] for change in found["changed"]] == [["signals", "ending"]]
    assert found["changed"][0]["by_hand"] == ["ending"]
    assert found["endings"] == [{"session": 1, "before": 2, "after": None}]


async def test_where_a_human_stood_in_for_a_hook_the_hook_had_failed(tmp_path: Path) -> None:
    ran = await run(
        scenario(Failing("first"), ["a"]), tmp_path, plan=[("supply", {"text": "mine"})]
    )
    assert ran.said == ["a", "mine"]
    assert again(ran.path, Failing(), tmp_path)["changed"] == []
    (change,) = again(ran.path, Bot(), tmp_path)["changed"]
    assert (change["kinds"], change["before"]) == (["mended"], None)
    assert change["after"]["text"] == "first"


async def test_every_dropped_attempt_goes_through(tmp_path: Path) -> None:
    bot = Dropping("[X] 1", "[X] 2", "fine", signals=["[X]"])
    ran = await run(scenario(bot, ["a"], on_discard="retry 2"), tmp_path)
    found = again(ran.path, Dropping(signals=["[X]"]), tmp_path)
    assert found["turns"] == [[1, 2, 1], [1, 3, 2], [1, 4, 3]]
    assert found["changed"] == []


async def test_an_attempt_that_was_asked_again_came_to_nothing_and_is_left_out(
    tmp_path: Path,
) -> None:
    log = await held(tmp_path, Bot("first", "second"), "commit", "again", "go")
    found = again(log, Shouting(), tmp_path)
    assert found["turns"] == [[1, 2, 2]]
    assert [change["raw"] for change in found["changed"]] == ["second"]


async def test_a_skipped_turn_is_left_out(tmp_path: Path) -> None:
    log = await held(tmp_path, Bot("first"), "commit", "skip")
    assert again(log, Shouting(), tmp_path)["turns"] == []


def shout(word: str) -> str:
    """Shouts."""
    return word


async def test_of_a_turn_with_tools_only_the_last_reply_goes_through(tmp_path: Path) -> None:
    class Tooled(Bot):
        tools = (shout,)

    bot = Tooled(calls(("shout", '{"word": "x"}'), text="let me see"), "done")
    ran = await run(scenario(bot, ["a"]), tmp_path)
    assert len(ran.of("tool.returned")) == 1
    found = again(ran.path, Shouting(), tmp_path)
    assert [change["raw"] for change in found["changed"]] == ["done"]
    assert again(ran.path, Bot(), tmp_path)["changed"] == []


async def test_inherited_turns_are_counted_and_told_with_their_parent(tmp_path: Path) -> None:
    what = scenario(Bot("first", "second"), ["a", "b"])
    parent = await run(what, tmp_path / "parent")
    child = await cut_turn(parent, 3, tmp_path / "child", what)
    found = again(child.path, Shouting(), tmp_path)
    assert (found["seeded"], found["turns"]) == (1, [[1, 4, 1]])


def test_what_an_imported_log_does_not_tell_is_not_compared(tmp_path: Path) -> None:
    """No stages: only the text that was said is known, neither signals nor a discard."""
    records = [
        record
        for record in conversation(
            session(1, "a", [turn(1, "persona", "Hi"), turn(2, "provider", "[X] yes")], ending())
        )
        if record.TYPE not in ("signals.extracted", "response.processed")
    ]
    log = write_log(tmp_path / "imported.jsonl", records)
    found = again(log, Bot(signals=["[X]"]), tmp_path)
    assert (found["changed"], found["turns"]) == ([], [[1, 2, 1]])
    (change,) = again(log, Shouting(signals=["[X]"]), tmp_path)["changed"]
    assert (change["kinds"], change["before"]["text"]) == (["text"], "[X] yes")


def test_a_log_without_raw_replies_has_nothing_to_rehook(tmp_path: Path) -> None:
    talk = [turn(1, "persona", "Hi"), turn(2, "provider", "yes")]
    records = [
        record
        for record in conversation(session(1, "a", talk, ending()))
        if not record.TYPE.startswith(("llm.", "signals.", "response."))
    ]
    log = write_log(tmp_path / "imported.jsonl", records)
    assert again(log, Shouting(), tmp_path)["turns"] == []


def test_lines_that_are_damaged_are_counted_and_the_others_read(tmp_path: Path) -> None:
    talk = [turn(2, "provider", "one"), turn(4, "provider", "two")]
    log = write_log(tmp_path / "log.jsonl", conversation(session(1, "a", talk, ending())))
    lines = log.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b'"raw":"one"' in line)
    # Two halves of a record would be one again if lines were only glued together.
    lines[place : place + 1] = [b'{"seq":90,"half":[1\n', b"2]}\n", b"[]\n", lines[place]]
    log.write_bytes(b"".join(lines) + b'{"torn":')
    found = again(log, Shouting(), tmp_path)
    assert [change["raw"] for change in found["changed"]] == ["one", "two"]
    assert found["damaged"] == 4
