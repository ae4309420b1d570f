"""VERA-MH's files: what is read from them, what is written, and that both agree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.errors import FileError, UsageError
from convtui.log.formats.registry import Imported, by_name, formats, reader_for
from convtui.log.formats.store import log_name, store
from convtui.log.formats.vera import format
from convtui.log.formats.vera.layout import render
from convtui.log.formats.vera.log_files import literal, parse_log, usage_figures
from convtui.log.formats.vera.names import Middle, parse_file, parse_folder, split_middle
from convtui.log.formats.vera.transcripts import EMPTY, is_transcript, parse, writable
from convtui.log.reader import open_log
from convtui.records.codec import Speaker
from convtui.records.models import Record, SessionEnded, SessionStarted
from tests import places
from tests.builders.logs import conversation, ending, sample, session, turn, write_log

SAMPLES = places.SAMPLES / "vera-mh"

FOLDER = "p_gpt_4o__a_ferry_bot__t4__r2__20260304_101112"
TALK = "user: hey\n\nchatbot: Hi. Where to?\n\nThe island?\n\nuser: nvm bye\n"
END = "[CONVERSATION ENDED - persona signaled termination]\n"


def said(text: str) -> list[tuple[str, str]]:
    return [(block.label, block.text) for block in parse(text)]


# --- the boundary rule


def test_blank_lines_inside_of_a_turn_stay() -> None:
    assert said(TALK) == [
        ("user", "hey"),
        ("chatbot", "Hi. Where to?\n\nThe island?"),
        ("user", "nvm bye"),
    ]
    assert said("user: a\n\n\n\nchatbot: b\n") == [("user", "a\n\n"), ("chatbot", "b")]


@pytest.mark.parametrize("label", ["user", "agent", "chatbot", "assistant", "persona", "provider"])
def test_every_label_begins_a_turn(label: str) -> None:
    blocks = parse(f"user: x\n\n{label}: y\n\n{label}:\n")
    assert [(block.label, block.text) for block in blocks[1:]] == [(label, "y"), (label, "")]
    assert blocks[1].speaker == ("persona" if label in ("user", "persona") else "provider")
    assert is_transcript(f"{label}: y")


@pytest.mark.parametrize(
    "line",
    ["user: no", " user: x", "user:x", "User: x", "users: x", "system: x", "> user: x", "user : x"],
)
def test_what_only_looks_like_a_turn_is_text(line: str) -> None:
    gap = "\n" if line == "user: no" else "\n\n"  # the first is right but for the missing gap
    assert said(f"user: a\n\nchatbot: b{gap}{line}\n") == [
        ("user", "a"),
        ("chatbot", f"b{gap}{line}"),
    ]


def test_a_line_of_white_space_is_a_gap() -> None:
    assert said("user: a\n \t\nchatbot: b\n") == [("user", "a"), ("chatbot", "b")]


def test_the_end_line_stands_after_the_turn_that_ended_it() -> None:
    blocks = parse(TALK + END)
    assert blocks[-1].text == "nvm bye"
    assert [block.ended_by for block in blocks] == [None, None, "persona"]
    (block,) = parse("user: x\n[CONVERSATION ENDED - g5 Ada Lee signaled termination]")
    assert (block.text, block.ended_by) == ("x", "g5 Ada Lee")


def test_a_turn_may_follow_an_end_line_without_a_gap() -> None:
    blocks = parse(f"user: a\n{END}chatbot: b\n")
    assert [(b.text, b.ended_by) for b in blocks] == [("a", "persona"), ("b", None)]


def test_an_end_line_in_the_middle_of_a_text_is_text() -> None:
    assert said(f"user: a\n{END}and so on\n") == [("user", f"a\n{END}and so on")]


@pytest.mark.parametrize("text", ["", "\n\n", EMPTY, f"{EMPTY}\n", f"\ufeff{EMPTY}"])
def test_nothing_recorded(text: str) -> None:
    assert parse(text) == []


def test_a_byte_order_mark_line_ends_and_leading_lines() -> None:
    assert said("\ufeffuser: a\r\n\r\nchatbot: b\r\n") == [("user", "a"), ("chatbot", "b")]
    assert said("\n\nuser: a\u2028b\x85c\n") == [("user", "a\u2028b\x85c")]


def test_a_text_that_begins_with_no_turn_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2 begins no turn"):
        parse("\nHello\n")
    assert not is_transcript("Hello")


SPEAKERS = st.sampled_from(get_args(Speaker))
TEXTS = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(["", " ", "user: x", "chatbot:", END.strip(), "hello", "\r", "\ud800"])
    ).map("\n".join),
)


@given(st.lists(st.tuples(SPEAKERS, TEXTS)), st.none() | SPEAKERS)
def test_what_is_written_is_read_back(
    turns: list[tuple[Speaker, str]], ended_by: Speaker | None
) -> None:
    clean = [(speaker, writable(text)) for speaker, text in turns]
    text = render(clean, ended_by)
    blocks = parse(text.encode().decode())
    assert [(block.speaker, block.text) for block in blocks] == clean
    assert [block.ended_by for block in blocks][-1:] == ([ended_by] if turns else [])


@given(TEXTS)
def test_only_what_cannot_stand_there_is_changed(text: str) -> None:
    clean = writable(text)
    assert writable(clean) == clean
    if not set(text) & {"\r", "\ud800"} and "user:" not in text and "[CONV" not in text:
        changed = [c for c in text if "\ud800" <= c <= "\udfff"]
        assert clean == text or changed or ":" in text


def test_only_labels_of_their_own_reader_are_written() -> None:
    text = render([("persona", "a"), ("provider", "b")], "provider")
    assert text == ("user: a\n\nchatbot: b\n[CONVERSATION ENDED - provider signaled termination]\n")
    assert render([]) == EMPTY


# --- names


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("0a1b2c_Ada_gpt-4o_run3", ("0a1b2c", "Ada_gpt-4o", 3, None, None)),
        ("0a1b2c_Ada_gpt-4o_run3_s2_coach", ("0a1b2c", "Ada_gpt-4o", 3, 2, "coach")),
        ("0a1b2c_Ada_gpt-4o_run3_2_trip_plan", ("0a1b2c", "Ada_gpt-4o", 3, 2, "trip_plan")),
        ("0a1b2c_Ada_L_m_flow_run12_s10_a_run2", ("0a1b2c", "Ada_L_m_flow", 12, 10, "a_run2")),
        ("conversation_Ada_m_run1_20260304_101112_123", (None, "Ada_m", 1, None, None)),
        ("notes", (None, "", None, None, None)),
        ("0a1b2c_Ada_run", (None, "", None, None, None)),
    ],
)
def test_file_names(stem: str, expected: tuple[Any, ...]) -> None:
    name = parse_file(stem)
    assert (name.tag, name.middle, name.run, name.index, name.session_type) == expected
    if stem.startswith("conversation"):
        assert name.at is not None
        assert name.at.strftime("%Y%m%d_%H%M%S") == "20260304_101112"


@pytest.mark.parametrize(
    ("name", "sides", "more"),
    [
        (FOLDER, ("gpt_4o", "ferry_bot", 4, 2), ""),
        (
            f"{FOLDER}_{{_max_completion_tokens_ 5000}}",
            ("gpt_4o", "ferry_bot", 4, 2),
            "{_max_completion_tokens_ 5000}",
        ),
        (
            "p_gpt_5_{'max_completion_tokens': 5000}__a_b__t20__r1__20260304_101112",
            ("gpt_5", "b", 20, 1),
            "{'max_completion_tokens': 5000}",
        ),
    ],
)
def test_folder_names(name: str, sides: tuple[Any, ...], more: str) -> None:
    folder = parse_folder(name)
    assert folder is not None
    assert (folder.user, folder.chatbot, folder.turns, folder.runs) == sides
    assert folder.more == more
    assert folder.at.year == 2026


@pytest.mark.parametrize("name", ["conversations", "p_a__a_b__t1__r1", FOLDER.replace("03", "99")])
def test_other_folders(name: str) -> None:
    assert parse_folder(name) is None


@pytest.mark.parametrize(
    ("middle", "personas", "model", "expected"),
    [
        ("Ada_gpt-4o", [], None, Middle("Ada", "gpt-4o")),
        ("Ada_gpt-4o_refunds", [], "gpt_4o", Middle("Ada", "gpt-4o", "refunds")),
        ("Ada_Lee_gpt-4o", ["Ada", "Ada Lee"], None, Middle("Ada Lee", "gpt-4o")),
        ("Al_M_x_gpt-4", [], "gpt_4", Middle("Al_M_x", "gpt-4")),
        ("Al_M_m", ["Al M."], "m", Middle("Al M.", "m")),
        ("Ada", [], None, Middle("Ada")),
    ],
)
def test_persona_model_and_workflow(
    middle: str, personas: list[str], model: str | None, expected: Middle
) -> None:
    assert split_middle(middle, personas, model) == expected


# --- logs

LOG = """\
2026-03-04 10:11:12 - INFO - ============================================================
2026-03-04 10:11:12 - INFO - CONVERSATION STARTED
2026-03-04 10:11:12 - INFO - ============================================================
2026-03-04 10:11:12 - INFO - LLM1 Configuration:
2026-03-04 10:11:12 - INFO -   - Model: gpt-4o
2026-03-04 10:11:12 - INFO -   - Prompt: Ada Lee
2026-03-04 10:11:12 - INFO - Configuration, temperature: 0.7
2026-03-04 10:11:12 - INFO - LLM2 Configuration:
2026-03-04 10:11:12 - INFO -   - Name: Ferry bot
2026-03-04 10:11:12 - INFO -   - Model: ferry-2
2026-03-04 10:11:12 - INFO - Configuration, temperature: None
2026-03-04 10:11:12 - INFO - Conversation Settings:
2026-03-04 10:11:12 - INFO -   - Max Turns: 6
2026-03-04 10:11:12 - INFO -   - Persona speaks first: True
2026-03-04 10:11:12 - INFO - ============================================================
2026-03-04 10:11:13 - INFO - TURN 1 - PERSONA
2026-03-04 10:11:13 - INFO - Input: Start the conversation based on the system prompt
2026-03-04 10:11:13 - INFO - Response: hey
2026-03-04 10:11:13 - INFO - response_id: msg_01
2026-03-04 10:11:13 - INFO - logging: {'response_id': 'msg_01', 'usage': {'input_tokens': 10}}
2026-03-04 10:11:13 - INFO - ----------------------------------------
2026-03-04 10:11:15 - INFO - TURN 2 - PROVIDER
2026-03-04 10:11:15 - INFO - Input: hey
2026-03-04 10:11:15 - INFO - Response: Hi. Where to?

The island?
2026-03-04 10:11:15 - INFO - response_id: r2
2026-03-04 10:11:15 - INFO - logging: {'response_id': 'r2', 'model': 'ferry-2b', 'usage': \
{'input_tokens': 3, 'output_tokens': 7}, 'raw_response': '<t>Hi. Where to?\\n\\nThe island?'}
2026-03-04 10:11:15 - INFO - ----------------------------------------
2026-03-04 10:11:18 - INFO - TURN 3 - PERSONA
2026-03-04 10:11:18 - INFO - Input: Hi.
2026-03-04 10:11:18 - INFO - Response: nvm bye
2026-03-04 10:11:18 - INFO - response_id: None
2026-03-04 10:11:18 - INFO - logging: {'object': <Thing at 0x7f>}
2026-03-04 10:11:18 - WARNING - EARLY TERMINATION detected by PERSONA
2026-03-04 10:11:18 - INFO - ----------------------------------------
2026-03-04 10:11:18 - INFO - ============================================================
2026-03-04 10:11:18 - INFO - CONVERSATION COMPLETED
2026-03-04 10:11:18 - INFO - ============================================================
2026-03-04 10:11:18 - INFO - Total Turns: 3
2026-03-04 10:11:18 - INFO - Early Termination: True
2026-03-04 10:11:18 - INFO - Duration: 6.21 seconds
2026-03-04 10:11:18 - INFO - ============================================================
"""
FAILED = """\
2026-03-04 10:12:00 - INFO - TURN 1 - PERSONA
2026-03-04 10:12:00 - INFO - Response: hello
2026-03-04 10:12:00 - INFO - ----------------------------------------
2026-03-04 10:12:09 - ERROR - LLM GENERATION FAILED | context=turn 2 error=503
2026-03-04 10:12:09 - ERROR - LLM failure metadata: {"attempt": 4}
"""


def test_a_log_is_taken_apart() -> None:
    log = parse_log(LOG)
    assert log.persona == {"Model": "gpt-4o", "Prompt": "Ada Lee", "temperature": "0.7"}
    assert log.provider == {"Name": "Ferry bot", "Model": "ferry-2"}
    assert (log.max_turns, log.duration) == (6, 6.21)
    first, second, third = log.turns
    assert (first.speaker, second.speaker) == ("persona", "provider")
    assert second.response == "Hi. Where to?\n\nThe island?"
    assert second.raw == "<t>Hi. Where to?\n\nThe island?"
    assert first.raw is None
    assert third.metadata is None
    assert third.unreadable == "{'object': <Thing at 0x7f>}"
    assert third.ended_by == "PERSONA"
    assert parse_log(FAILED).failures[0].startswith("LLM GENERATION FAILED")
    assert parse_log("").turns == parse_log("nothing\n2026-99-99 10:11:12 - INFO - x").turns == []


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", "__import__('os')", "{'a': open('x')}", "{" * 5000, "'\\d'", "{1: 2"]
)
def test_payloads_that_are_no_plain_data(text: str) -> None:
    assert literal(text) is None


def test_usage_in_our_words() -> None:
    assert usage_figures({"input_tokens": 1, "output_tokens": 2, "cost": 1}) == {
        "prompt_tokens": 1, "completion_tokens": 2, "cost": 1.0,
    }  # fmt: skip
    assert usage_figures({"prompt_tokens": True}) == usage_figures(None) == {}


# --- conversations


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder: one conversation of two sessions, one of a single session without a log."""
    folder = tmp_path / FOLDER
    logs = folder / "conversations" / "logs"
    logs.mkdir(parents=True)
    files = {
        "conversations/0a1b2c_Ada_Lee_gpt-4o_run1_s1_intake.txt": TALK + END,
        "conversations/logs/0a1b2c_Ada_Lee_gpt-4o_run1_s1_intake.log": LOG,
        "conversations/logs/0a1b2c_Ada_Lee_gpt-4o_run1_s2_refund.log": FAILED,
        "conversations/logs/0a1b2c_Ada_Lee_gpt-4o_run1.log": LOG[:400],
        "conversations/0d0e0f_Bo_gpt-4o_run2.txt": "persona: hi\n\nagent: \n",
        "conversations/readme.txt": "Hello",
        "evaluations/j_x/results.txt": "user: not a conversation\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def records(imported: Imported, kind: str) -> list[Record]:
    return [record for _, record in imported.records if kind == record.TYPE]


def test_sessions_of_one_run_are_one_conversation(run: Path) -> None:
    ada, bo = format.read(run)
    assert (ada.persona, bo.persona) == ("Ada Lee", "Bo")
    assert ada.provider == {
        "spec": "", "name": "Ferry bot", "kind": "imported", "model": "ferry-2",
    }  # fmt: skip
    assert bo.provider["model"] == "ferry_bot"
    assert (ada.details["tag"], ada.details["run"], ada.details["persona_model"]) == (
        "0a1b2c",
        1,
        "gpt-4o",
    )
    assert ada.details["folder"]["turns"] == 4
    assert ada.details["created_at_from"] == "log"
    assert bo.details["created_at_from"] == "folder name"
    started = [r for _, r in ada.records if isinstance(r, SessionStarted)]
    assert [(r.session, r.session_type, r.max_turns) for r in started] == [
        (1, "intake", 6),
        (2, "refund", 4),
    ]
    ended = [r.termination for _, r in ada.records if isinstance(r, SessionEnded)]
    assert [(t["kind"], t["by"], t["at_turn"]) for t in ended if t] == [
        ("early_termination", "persona", 3),
        ("failed", "harness", 1),
    ]
    assert ada.termination == ended[-1]
    assert bo.termination is not None
    assert bo.termination["detail"] == {"recorded": False}


def test_nothing_is_invented(run: Path) -> None:
    ada, bo = format.read(run)
    absent = {
        "llm.request", "signals.extracted", "provider.setup", "sessions.prepared",
        "session.entered", "turn.discarded", "provider.cleanup",
    }  # fmt: skip
    assert not absent & {record.TYPE for _, record in [*ada.records, *bo.records]}
    assert not records(bo, "llm.response")
    (response,) = records(ada, "llm.response")
    payload = response.payload()
    assert payload["raw"] == "<t>Hi. Where to?\n\nThe island?"
    assert payload["usage"] == {"prompt_tokens": 3, "completion_tokens": 7}
    assert (payload["response_id"], payload["model"]) == ("r2", "ferry-2b")
    committed = [record.payload() for record in records(ada, "turn.committed")]
    assert committed[0]["metadata"]["response_id"] == "msg_01"
    assert committed[2]["metadata"] == {"logging": "{'object': <Thing at 0x7f>}"}
    assert records(bo, "turn.committed")[1].payload()["empty"] is True


def test_imported_logs_are_whole(run: Path, tmp_path: Path) -> None:
    for imported in format.read(run):
        path = store(imported, tmp_path / "logs")
        with open_log(path) as log:
            assert log.findings == []
            transcript = log.transcript
            assert transcript.header["origin"] == "import"
            assert transcript.header["imported"]["format"] == "vera"
            assert transcript.complete
            texts = [turn.text for turn in transcript.turns]
            assert transcript.trailer is not None
            assert transcript.trailer["totals"]["turns"] == len(texts)
            if imported.persona == "Ada Lee":
                assert texts == ["hey", "Hi. Where to?\n\nThe island?", "nvm bye", "hello"]
                assert [turn.address for turn in transcript.turns] == ["1:1", "1:2", "1:3", "2:1"]
                times = [record["t"] for record in log.records()]
                assert times == sorted(times)
                assert transcript.turns[1].started == 3.0
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(FileError, match="exists already"):
            store(imported, tmp_path / "logs")


def test_the_same_files_are_the_same_conversation(run: Path, tmp_path: Path) -> None:
    first, second = ([log_name(found) for found in format.read(run)] for _ in range(2))
    assert first == second
    file = next(run.rglob("0d0e0f*.txt"))
    file.write_text("user: other\n")
    assert [log_name(found) for found in format.read(run)][1] != first[1]


def test_files_that_disagree_are_told(run: Path) -> None:
    file = next(run.rglob("*s1_intake.txt"))
    file.write_text("user: hey\n\nuser: again\n")
    (ada,) = format.read(file)
    said = [record.payload()["message"] for record in records(ada, "warning")]
    assert "1 of 2 turns are not the same" in said[0]
    assert "line 3: two turns of the persona in a row" in said[1]


def test_single_files(run: Path, tmp_path: Path) -> None:
    (only,) = format.read(next(run.rglob("*s2_refund.log")))
    assert [record.TYPE for _, record in only.records].count("turn.committed") == 1
    (pair,) = format.read(next(run.rglob("*s1_intake.log")))
    assert len(pair.sources) == 2
    odd = tmp_path / "talk.txt"
    odd.write_text("user: a\n")
    os.utime(odd, (1_700_000_000, 1_700_000_000))
    (found,) = format.read(odd)
    assert (found.persona, found.provider["name"]) == ("unknown persona", "unknown")
    assert found.created_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert found.details["created_at_from"] == "file's date"


def test_known_personas_help_with_underscores(run: Path) -> None:
    (run / "conversations" / "personas.tsv").write_text("Name\tAge\nBo Ek\t1\n")
    file = run / "conversations" / "0d0e0f_Bo_Ek_gpt-4o_run2.txt"
    file.write_text("user: a\n")
    (found,) = format.read(file)
    assert (found.persona, found.details["persona_model"]) == ("Bo Ek", "gpt-4o")


def test_what_cannot_be_read_is_named(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.txt").write_text("Hello\n")
    with pytest.raises(FileError, match=r"x\.txt: line 1 begins no turn"):
        list(format.read(tmp_path / "x.txt"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="no transcripts"):
        list(format.read(tmp_path / "empty"))
    with pytest.raises(FileError, match="cannot be read"):
        list(format.read(tmp_path / "none.txt"))
    monkeypatch.setattr(format, "MAX_FILE", 3)
    with pytest.raises(FileError, match="larger than"):
        list(format.read(next(run.rglob("0d0e0f*.txt"))))


# --- the registry


def test_the_registry_recognises_and_names(run: Path, tmp_path: Path) -> None:
    assert [known.name for known in formats()][:4] == ["vera", "waza", "oharness", "rath"]
    assert reader_for(run) is format.read
    assert reader_for(next(run.rglob("*.log")), "vera") is format.read
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(FileError, match=r"no format that is known: it holds .*--list-formats"):
        reader_for(tmp_path / "x.json")
    with pytest.raises(FileError, match="no such file"):
        reader_for(tmp_path / "nothing")
    with pytest.raises(UsageError, match="did you mean 'vera'"):
        by_name("verra")


# --- writing


def export(log: Path, out: Path) -> tuple[Sequence[Path], Sequence[str]]:
    write = by_name("vera").write
    assert write is not None
    with open_log(log) as opened:
        written = write(opened, out)
    return written.files, written.notes


def test_every_session_has_a_whole_log_and_a_transcript(tmp_path: Path) -> None:
    log = write_log(tmp_path / "run.jsonl", sample())
    files, notes = export(log, tmp_path / "out")
    with open_log(log) as opened:
        sessions = opened.transcript.sessions
        committed = [turn for turn in opened.transcript.turns if turn.status == "committed"]
    assert len(files) == 2 * len(sessions)
    logs = [parse_log(file.read_text()) for file in files if file.suffix == ".log"]
    assert sum(len(found.turns) for found in logs) == len(committed)
    for found in logs:
        assert found.persona["Prompt"] == "Maya"
        assert int(found.completed["Total Turns"]) == len(found.turns)
    assert any("discarded" in note for note in notes)
    for file in files:
        assert parse_file(file.stem).run == 1
    assert parse_folder(files[0].relative_to(tmp_path / "out").parts[0]) is not None
    again = {file: file.read_bytes() for file in files}
    with pytest.raises(FileError, match="nothing is overwritten"):
        export(log, tmp_path / "out")
    assert again == {file: file.read_bytes() for file in files}


def test_export_and_import_say_the_same(tmp_path: Path) -> None:
    log = write_log(tmp_path / "run.jsonl", sample())
    export(log, tmp_path / "out")
    (imported,) = format.read(tmp_path / "out")
    back = store(imported, tmp_path / "back")
    with open_log(log) as first, open_log(back) as second:
        assert second.findings == []
        one = [
            (turn.session, turn.speaker, turn.text)
            for turn in first.transcript.turns
            if turn.status == "committed"
        ]
        two = [(turn.session, turn.speaker, turn.text) for turn in second.transcript.turns]
        assert one == two
        types = [s.session_type for s in second.transcript.sessions]
        assert types == [s.session_type for s in first.transcript.sessions]
        kinds = [(s.termination or {}).get("by") for s in first.transcript.sessions
                 if (s.termination or {}).get("kind") == "early_termination"]  # fmt: skip
        found = [(s.termination or {}).get("by") for s in second.transcript.sessions
                 if (s.termination or {}).get("kind") == "early_termination"]  # fmt: skip
        assert kinds == found
    # And once more: nothing changes any further.
    export(back, tmp_path / "again")
    (once_more,) = format.read(tmp_path / "again")
    assert [r.payload()["text"] for r in records(once_more, "turn.committed")] == [
        text for _, _, text in two
    ]


def test_turns_of_humans_are_marked(tmp_path: Path) -> None:
    turns = [
        turn(1, "persona", "a", human=True),
        turn(2, "provider", "b"),
        turn(3, "persona", "c"),
        turn(4, "provider", "d", human=True),
    ]
    log = write_log(
        tmp_path / "run.jsonl", conversation(session(1, "default", turns, ending()), end=ending())
    )
    files, notes = export(log, tmp_path / "out")
    assert any("2 turns were said by a human" in note for note in notes)
    (logged,) = [parse_log(file.read_text()) for file in files if file.suffix == ".log"]
    marks = [(found.metadata or {}).get("human") for found in logged.turns]
    assert marks == [True, None, None, True]
    (imported,) = format.read(tmp_path / "out")
    said = [record.payload() for record in records(imported, "turn.committed")]
    assert [found.get("human") for found in said] == [True, None, None, True]


def test_text_that_would_be_taken_for_turns_is_told(tmp_path: Path) -> None:
    hostile = "a\n\nuser: not me\n\n2026-03-04 10:11:12 - INFO - TURN 9 - PERSONA\n\ud800"
    turns = [turn(1, "persona", hostile), turn(2, "provider", "b", raw="b\n\nuser: x")]
    log = write_log(
        tmp_path / "run.jsonl", conversation(session(1, "default", turns, ending()), end=ending())
    )
    files, notes = export(log, tmp_path / "out")
    assert "1 turn was changed" in notes[0]
    assert [len(parse(file.read_text())) for file in files if file.suffix == ".txt"] == [2]
    assert [len(parse_log(f.read_text()).turns) for f in files if f.suffix == ".log"] == [2]


# --- published files


@pytest.mark.parametrize("name", sorted(p.name for p in SAMPLES.glob("*_run*.txt")))
def test_published_transcripts_alternate(name: str, tmp_path: Path) -> None:
    (imported,) = format.read(SAMPLES / name)
    speakers = [record.payload()["speaker"] for record in records(imported, "turn.committed")]
    assert 3 <= len(speakers) <= 30
    assert speakers == [("persona", "provider")[n % 2] for n in range(len(speakers))]
    assert not records(imported, "warning")
    assert imported.persona == name.split("_")[1]
    assert imported.details["persona_model"] == name.split("_")[2]
    with open_log(store(imported, tmp_path)) as log:
        assert log.findings == []


def test_a_published_log_is_read() -> None:
    (imported,) = format.read(SAMPLES / "generated_by_upstream_logging_utils.log")
    assert len(records(imported, "turn.committed")) == 2
    assert len(records(imported, "llm.response")) == 1
    assert imported.termination is not None
    assert (imported.termination["kind"], imported.termination["by"]) == (
        "early_termination",
        "provider",
    )


def test_the_folder_of_published_files() -> None:
    assert format.detect(SAMPLES)
    assert len(list(format.read(SAMPLES))) == 5
