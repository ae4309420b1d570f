"""hermes' trajectories: what is read, what is written, and that both agree."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.cli.check import check_log
from convtui.errors import FileError
from convtui.log.formats.hermes import format, trajectory
from convtui.log.formats.hermes.tags import parse_reply, reply_of, response_of, responses_in
from convtui.log.formats.hermes.trajectory import Trajectories
from convtui.log.formats.registry import Imported, Written, by_name, reader_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log
from convtui.records.codec import RecordDict
from convtui.transcript.fold import Flag, Transcript
from tests import places
from tests.builders.logs import sample, write_log

SAMPLES = places.SAMPLES / "hermes"
SAMPLE = SAMPLES / "HermesWith_trajectory_samples.jsonl"

Row = dict[str, Any]


def turn(who: str, value: Any) -> Row:
    return {"from": who, "value": value}


def call(name: str, arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def talk(*turns: Row, **more: Any) -> Row:
    return {
        "conversations": list(turns),
        "timestamp": "2026-04-13T21:38:56.194348",
        "model": "k2p5",
        "completed": True,
        **more,
    }


HELLO = talk(turn("human", "hi"), turn("gpt", "<think>\nhm\n</think>\nhello"))
TOOLS = talk(
    turn("system", "You call functions."),
    turn("human", "what is there?"),
    turn(
        "gpt",
        "<think>\nlook\n</think>\n"
        + call("terminal", {"command": "ls"})
        + "\n"
        + call("web_search", {"q": "</tool_call>"}),
    ),
    turn(
        "tool",
        response_of("c1", "terminal", {"output": "</tool_response>\n", "exit_code": 0})
        + "\n"
        + response_of("c2", "web_search", {"error": "no network"}),
    ),
    turn("gpt", "<think>\n</think>\nA file."),
    prompt_index=3,
    toolsets_used=["web"],
    api_calls=4,
)


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def everything(path: Path) -> tuple[list[Imported], list[str]]:
    source = Trajectories(path)
    return list(source.read()), [str(finding) for finding in source.damage]


@dataclass
class Log:
    """A log that was read and closed."""

    path: Path
    transcript: Transcript
    everything: list[RecordDict]

    def of(self, kind: str) -> list[RecordDict]:
        return [record for record in self.everything if record["type"] == kind]


def logs(path: Path, folder: Path) -> list[Log]:
    found = []
    for imported in everything(path)[0]:
        log = store(imported, folder)
        assert check_log(log) == []
        with open_log(log) as opened:
            found.append(Log(log, opened.transcript, list(opened.records())))
    return found


def export(log: Path, folder: Path) -> Written:
    to_files = by_name("hermes-trajectory").write
    assert to_files is not None
    with open_log(log) as opened:
        return to_files(opened, folder)


def lines_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().split("\n") if line]


# --- reading


def test_tags_are_parsed_and_the_text_is_exact(tmp_path: Path) -> None:
    (log,) = logs(write(tmp_path / "t.jsonl", TOOLS), tmp_path / "logs")
    one, two = log.transcript.turns
    assert (one.text, two.text) == ("what is there?", "A file.")
    assert two.flags & Flag.CHANGED and two.flags & Flag.REASONING and two.flags & Flag.TOOL_ERROR
    first, last = log.of("llm.response")
    assert first["raw"] == TOOLS["conversations"][2]["value"]
    assert first["reasoning"] == "look"
    assert (last["raw"], last["round"]) == ("<think>\n</think>\nA file.", 2)
    called = [(c["id"], c["name"], c["arguments"]) for c in log.of("tool.called")]
    assert called == [
        ("c1", "terminal", {"command": "ls"}), ("c2", "web_search", {"q": "</tool_call>"})
    ]  # fmt: skip
    returned = [(r["id"], r["name"], r["ok"], r["result"]) for r in log.of("tool.returned")]
    assert returned == [
        ("c1", "terminal", True, {"output": "</tool_response>\n", "exit_code": 0}),
        ("c2", "web_search", False, {"error": "no network"}),
    ]
    told = log.transcript.header["imported"]["trajectory"]
    assert (told["prompt_index"], told["toolsets_used"]) == (3, ["web"])
    assert log.transcript.header["provider"]["model"] == "k2p5"
    assert log.transcript.totals["provider"].calls == 4
    assert log.of("hermes.system")[0]["data"]["content"] == "You call functions."
    assert log.transcript.termination is not None
    assert log.transcript.termination["kind"] == "completed"


def test_the_other_spelling_says_the_same(tmp_path: Path) -> None:
    names = {"human": "user", "gpt": "assistant", "system": "system", "tool": "tool"}
    other = {
        **TOOLS,
        "conversations": [
            {"role": names[t["from"]], "content": t["value"]} for t in TOOLS["conversations"]
        ],
    }
    (a, b) = everything(write(tmp_path / "t.jsonl", TOOLS, other))[0]
    assert list(a.records) == list(b.records)
    assert a.id != b.id


def test_sharegpts_own_roles(tmp_path: Path) -> None:
    row = talk(
        turn("human", "x"),
        turn("function_call", '{"name": "f", "arguments": {"a": 1}}'),
        turn("observation", "sunny"),
        turn("gpt", "It is sunny."),
    )
    (log,) = logs(write(tmp_path / "t.jsonl", row), tmp_path / "logs")
    (called,) = log.of("tool.called")
    (returned,) = log.of("tool.returned")
    assert (called["name"], called["arguments"]) == ("f", {"a": 1})
    assert (returned["id"], returned["name"], returned["result"]) == (called["id"], "f", "sunny")
    assert [warning["code"] for warning in log.transcript.warnings] == []


def test_a_call_without_its_result(tmp_path: Path) -> None:
    row = talk(
        turn("human", "x"),
        turn("gpt", call("terminal", {})),
        turn("gpt", "done"),
        turn("human", "y"),
        turn("gpt", call("terminal", {})),
    )
    (log,) = logs(write(tmp_path / "t.jsonl", row), tmp_path / "logs")
    assert [(t.status, t.text) for t in log.transcript.turns] == [
        ("committed", "x"), ("committed", "done"), ("committed", "y"), ("ended", "")
    ]  # fmt: skip
    assert [warning["code"] for warning in log.transcript.warnings] == ["no_result"]
    first, second = log.of("tool.called")
    assert first["id"] != second["id"]


CALL = '<tool_call>\n{"name": "f"}\n</tool_call>'


@pytest.mark.parametrize(
    ("value", "text", "reasoning", "calls"),
    [
        ("plain", "plain", None, []),
        ("<think>\na\n</think>\nb\n", "b\n", "a", []),
        ("<think>open", "", "open", []),
        ("Well.\n<think>\ncut off", "Well.\n", "cut off", []),
        ("<think>a</think>b\n<think>cut", "b\n<think>cut", "a", []),
        ('<think>\na\n<tool_call>\n{"name": "f"}\n</tool_call>', "", "a", [{"name": "f"}]),
        ("<think>\nthe tag `</think>` ends it\n</think>\nb", "b", "the tag `</think>` ends it", []),
        ("```\n<think>a</think>\n```", "```\n<think>a</think>\n```", None, []),
        ("`<think>` opens it", "`<think>` opens it", None, []),
        ("so:\n```\n<think>\n```", "so:\n```\n<think>\n```", None, []),
        ("use <tool_call> so", "use <tool_call> so", None, []),
        ("<tool_call>\n{torn", "<tool_call>\n{torn", None, []),
        ("<tool_call>\n{torn\n</tool_call>", "<tool_call>\n{torn\n</tool_call>", None, []),
        (f"```\n{CALL}\n```", f"```\n{CALL}\n```", None, []),
        (f"~~~json\n{CALL}\n~~~\n", f"~~~json\n{CALL}\n~~~\n", None, []),
        (f"````\n```\n{CALL}\n````", f"````\n```\n{CALL}\n````", None, []),
        (f"  ```\n  {CALL}", f"  ```\n  {CALL}", None, []),
        (f"```\n{CALL}\n```\n{CALL}", f"```\n{CALL}\n```", None, [{"name": "f"}]),
        (
            '`<tool_call>{"name": "f"}</tool_call>`',
            '`<tool_call>{"name": "f"}</tool_call>`',
            None,
            [],
        ),
        (f"a ` b\n{CALL}", "a ` b", None, [{"name": "f"}]),
        (
            f"<tool_call>{{}}</tool_call>\n{CALL}",
            "<tool_call>{}</tool_call>",
            None,
            [{"name": "f"}],
        ),
        ('a\n<tool_call>\n{"name": "f"}\n</tool_call>', "a", None, [{"name": "f"}]),
        ('<tool_call>{"name": "f"}</tool_call>\nb', "b", None, [{"name": "f"}]),
    ],
)
def test_tags(value: str, text: str, reasoning: str | None, calls: list[Any]) -> None:
    found = parse_reply(value)
    assert (found.text, found.reasoning, found.calls) == (text, reasoning, calls)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("<think>open", "reasoning that is not closed"),
        ("a\n<tool_call>\n{torn\n</tool_call>", "a tool_call that is no JSON with a name"),
        ("a\n<tool_call>\n[1]\n</tool_call>", "a tool_call that is no JSON with a name"),
        ('a\n<tool_call>\n{"name": "f"', "a tool_call that is not closed"),
        ("use <tool_call> so", None),
        (f"```\n{CALL}\n```", None),
        (CALL, None),
    ],
)
def test_wrong_tags_are_findings(tmp_path: Path, value: str, problem: str | None) -> None:
    path = write(tmp_path / "t.jsonl", HELLO, talk(turn("human", "hi"), turn("gpt", value)))
    log = logs(path, tmp_path / "logs")[1]
    about = [w for w in log.transcript.warnings if w["code"] == "message"]
    assert [w["message"].split(": ")[1].split(";")[0].split(":")[0] for w in about] == (
        [problem] if problem else []
    )
    assert all(w["line"] == 2 and "conversations[1]: " in w["message"] for w in about)


def test_tags_that_the_user_writes_are_text(tmp_path: Path) -> None:
    said = f"How? <tool_call>{{bad json}}</tool_call>\n{CALL}\n<think>x</think>"
    path = write(tmp_path / "t.jsonl", talk(turn("human", said), turn("gpt", "Like this.")))
    (log,) = logs(path, tmp_path / "logs")
    assert [turn.text for turn in log.transcript.turns] == [said, "Like this."]
    assert log.transcript.warnings == []


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=30)
@given(
    text=TEXTS,
    reasoning=TEXTS,
    calls=st.lists(st.tuples(st.text("ab<>/_", min_size=1), st.dictionaries(TEXTS, TEXTS))),
)
def test_what_is_written_is_read(text: str, reasoning: str, calls: list[Any]) -> None:
    value = reply_of(text, reasoning, calls)
    found = parse_reply(value)
    tags = ("<think>", "</think>", "<tool_call>", "</tool_call>", "```", "~~~")
    if not any(tag in text + reasoning for tag in tags):
        assert found.reasoning == reasoning
        assert [(c["name"], c["arguments"]) for c in found.calls] == calls
        assert found.text == (text.strip("\n") if calls else text)


@settings(max_examples=30)
@given(contents=st.lists(st.one_of(TEXTS, st.dictionaries(TEXTS, TEXTS)), min_size=1))
def test_results_that_are_written_are_read(contents: list[Any]) -> None:
    value = "\n".join(response_of("c", "t", content) for content in contents)
    assert [content for _, _, content in responses_in(value)] == contents


# --- files


def test_packed_members_follow_one_another(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.gz"
    rows = [HELLO, TOOLS, talk(turn("human", "last"))]
    path.write_bytes(b"".join(gzip.compress(json.dumps(row).encode() + b"\n") for row in rows))
    assert reader_for(path) == by_name("hermes-trajectory").read
    found, damage = everything(path)
    assert (len(found), damage) == (3, [])
    plain, _ = everything(write(tmp_path / "t.jsonl", *rows))
    assert [one.id for one in found] == [one.id for one in plain]


def test_damage_is_named_and_the_rest_comes_in(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    bad: list[Any] = [{"conversations": 3}, {"talk": []}, "text", [1]]
    path.write_text(
        "\n".join(["", json.dumps(HELLO), "{torn", *map(json.dumps, bad), json.dumps(TOOLS)])
        + '\n{"conversations": ['
    )
    found, damage = everything(path)
    assert len(found) == 2
    assert [sentence.removeprefix(f"{path}: ").split(":")[0] for sentence in damage] == [
        f"line {number}" for number in (3, 4, 5, 6, 7, 9)
    ]
    assert "torn" in damage[-1]


def test_a_packed_file_that_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.gz"
    second = gzip.compress(json.dumps(TOOLS).encode() + b"\n")
    path.write_bytes(gzip.compress(json.dumps(HELLO).encode() + b"\n") + second[:-20])
    found, damage = everything(path)
    assert len(found) >= 1
    assert "damaged" in damage[-1]
    path.write_bytes(gzip.compress(json.dumps(HELLO).encode() + b"\n") + b"rubbish")
    found, damage = everything(path)
    assert (len(found), len(damage)) == (1, 1)


def test_a_packed_file_that_becomes_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trajectory, "FREE", 1 << 16)
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(HELLO).encode() + b"\n" * (1 << 21)))
    with pytest.raises(FileError, match="unpacks to more than 200 times"):
        everything(path)


def test_recognised_by_the_first_line(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", HELLO)
    assert reader_for(path) == by_name("hermes-trajectory").read
    assert not format.detect(path)
    ((imported,), (same,)) = everything(path)[0], list(format.read(path))
    assert imported.id == same.id
    assert not trajectory.detect(tmp_path / "none.jsonl.gz")
    assert not trajectory.detect(write(tmp_path / "x.jsonl", {"messages": []}))


# --- writing


def test_the_sample_file_comes_back_as_it_was(tmp_path: Path) -> None:
    given = lines_of(SAMPLE)
    found = logs(SAMPLE, tmp_path / "logs")
    assert len(found) == len(given)
    for log, line in zip(found, given, strict=True):
        (path,) = export(log.path, tmp_path / "out").files
        (back,) = lines_of(path)
        assert back == line
        assert list(back) == list(line)


@pytest.mark.parametrize(
    "row",
    [
        HELLO,
        TOOLS,
        {**TOOLS, "conversations": [
            {"role": {"human": "user", "gpt": "assistant"}.get(t["from"], t["from"]),
             "content": t["value"]} for t in TOOLS["conversations"]]},
        talk(turn("human", "x"), turn("gpt", call("f", {})), turn("tool", "no tags"),
             turn("tool", response_of("c", "f", "2")), turn("gpt", "y"), turn("human", "z")),
        talk(turn("human", "x"), turn("function_call", '{"name": "f", "arguments": {}}'),
             turn("observation", '{"a":1}'), turn("gpt", "y"), completed=False, partial=True),
        talk(turn("human", "x"), turn("gpt", call("f", {})), turn("human", "y"),
             turn("gpt", call("f", {}))),
        talk({"from": "human", "value": "x", "weight": 1}, turn("gpt", "\ud800"), model=None),
    ],
)  # fmt: skip
def test_what_came_in_goes_out(tmp_path: Path, row: Row) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (log,) = logs(path, tmp_path / "logs")
    (file,) = export(log.path, tmp_path / "out").files
    assert lines_of(file) == [row]


def test_a_log_of_ours_goes_out_and_comes_back(tmp_path: Path) -> None:
    ours = write_log(tmp_path / "ours.jsonl", sample())
    written = export(ours, tmp_path / "out")
    assert any("discarded turn left out" in note for note in written.notes)
    with open_log(ours) as log:
        said = [(t.speaker, t.text) for t in log.transcript.turns if t.status == "committed"]
    back = logs(written.files[0], tmp_path / "logs")
    assert [(t.speaker, t.text) for log in back for t in log.transcript.turns] == said
    with pytest.raises(FileError, match="is there already"):
        export(ours, tmp_path / "out")
