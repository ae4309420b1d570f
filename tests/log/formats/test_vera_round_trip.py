"""A transcript of VERA-MH that is imported and exported is the same file, or it is said why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import assume, given
from hypothesis import strategies as st

from convtui.cli.export import command as export_command
from convtui.log.formats.registry import Written
from convtui.log.formats.store import store
from convtui.log.formats.vera import format
from convtui.log.formats.vera.export import write
from convtui.log.formats.vera.layout import Layout, read_transcript
from convtui.log.formats.vera.names import home_of, kept_name
from convtui.log.formats.vera.transcripts import EMPTY
from convtui.log.reader import open_log
from convtui.secrets.redactor import Redactor
from tests import places

FOLDER = "p_gpt_4o__a_ferry_bot__t4__r3__20260304_101112"
NAME = "0a1b2c_Ada_Lee_gpt-4o_run3.txt"
END = "[CONVERSATION ENDED - {} signaled termination]"
SAMPLES = places.SAMPLES / "vera-mh"


def there_and_back(source: Path, out: Path, **options: Any) -> list[Written]:
    """Imports a file or a folder and exports every log of it."""
    written = []
    for number, imported in enumerate(format.read(source)):
        log = store(imported, out / "logs" / str(number), **options)
        with open_log(log) as opened:
            assert opened.findings == []
            written.append(write(opened, out / "out"))
    return written


def transcripts(written: list[Written]) -> list[Path]:
    return [file for one in written for file in one.files if file.suffix.lower() == ".txt"]


REGULAR = {
    "agents": "user: hey\n\nagent: Hi.\n\nWhere to?\n\nuser: bye\n",
    "every label": "persona: a\n\nprovider: b\n\nuser: c\n\nassistant: d\n\nuser: e\n\nagent: f\n",
    "an end of old": f"user: a\n\nagent: b\n{END.format('g5 Ada Lee')}\n",
    "an end of now": f"user: a\n\nchatbot: b\n{END.format('provider')}\n",
    "an end with a space": f"user: a\n\nchatbot: b\n{END.format('provider')} \n",
    "an end in the middle": f"user: a\n{END.format('persona')}\n\nchatbot: b\n",
    "an end without a gap": f"user: a\n{END.format('persona')}\nchatbot: b\n",
    "an end as text": f"user: a\n{END.format('persona')}\nand so on\n\nchatbot: b\n",
    "an end twice": f"user: a\n{END.format('x')}\n{END.format('y')}\n",
    "lines of DOS": "user: a\r\n\r\nchatbot: b\r\nc\r\n",
    "lines of old": "user: a\r\rchatbot: b\rc\r",
    "no last line end": "user: a\n\nchatbot: b",
    "many last line ends": f"user: a\n\nchatbot: b\n{END.format('persona')}\n\n\n\n",
    "blank lines at the end of a text": "user: a\n\n\n\nchatbot: b\n\n\n",
    "a gap of spaces": "user: a\n \t\nchatbot: b\n",
    "lines before": "\n\nuser: a\n\nchatbot: b\n",
    "a byte order mark": "\ufeffuser: a\n\nchatbot: b\n",
    "labels alone": "user:\n\nchatbot: \n\nuser:\ntext below\n\nchatbot:\n",
    "what looks like turns": "user: a\nuser: b\n\n chatbot: c\n\nchatbot: d\n",
    "odd characters": "user: a\u2028b\x85c\x0bd\x1fe \u00e9\n\nchatbot: \ufffd\n",
    "nothing recorded": EMPTY,
    "nothing recorded, with a line end": f"{EMPTY}\n",
    "an indented nothing": f"\n  {EMPTY}\n",
}


@pytest.mark.parametrize("what", REGULAR)
def test_a_regular_file_comes_back_byte_for_byte(what: str, tmp_path: Path) -> None:
    source = tmp_path / NAME
    source.write_bytes(REGULAR[what].encode())
    (written,) = there_and_back(source, tmp_path)
    (file,) = transcripts([written])
    assert file.name == NAME
    assert file.read_bytes() == source.read_bytes()
    assert written.notes == ()


LINES = st.sampled_from(
    ["", " ", "user: a", "agent: b", "agent:", "chatbot: ", "text", " user: x", EMPTY,
     END.format("persona"), END.format("g5 Ada"), END.format("x") + " ", "\u2028", "user: agent: c"]
)  # fmt: skip


@given(st.lists(LINES), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.booleans())
def test_any_transcript_of_one_kind_of_line_comes_back(
    lines: list[str], line_end: str, final: bool, mark: bool
) -> None:
    text = ("\ufeff" if mark else "") + line_end.join(lines) + (line_end if final else "")
    try:
        blocks, layout = read_transcript(text)
    except ValueError:
        assume(False)
        raise
    kept = Layout.from_dict(json.loads(json.dumps(layout.as_dict())))
    assert kept.render([(block.speaker, block.text) for block in blocks]) == text


def test_only_what_is_not_usual_is_on_record() -> None:
    _, layout = read_transcript("user: a\n\nchatbot: b\n")
    assert layout.as_dict() == {
        "turns": 2, "labels": {"persona": "user: ", "provider": "chatbot: "},
    }  # fmt: skip


# --- what cannot come back


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"user: a\r\n\nchatbot: b\n", "lines ended in several ways"),
        (b"user: \xff\n\nchatbot: b\n", "is not, byte for byte, that of the file"),
        (b"user: my key is sesame-1234\n\nchatbot: b\n", "is not, byte for byte"),
    ],
)
def test_what_differs_is_said(data: bytes, says: str, tmp_path: Path) -> None:
    source = tmp_path / NAME
    source.write_bytes(data)
    (written,) = there_and_back(source, tmp_path, redactor=Redactor(["sesame-1234"]))
    (note,) = written.notes
    assert note.startswith(f"{NAME}: ")
    assert says in note
    assert "sesame" not in transcripts([written])[0].read_text()


def test_what_differs_is_said_on_stderr(tmp_path: Path) -> None:
    source = tmp_path / NAME
    source.write_bytes(b"user: a\r\n\nchatbot: b\n")
    (imported,) = format.read(source)
    log = store(imported, tmp_path / "logs")
    done = CliRunner().invoke(
        export_command, [str(log), "--to", "vera", "--out", str(tmp_path / "out")]
    )
    assert "lines ended in several ways" in done.stderr
    assert "several ways" not in done.stdout


def test_a_log_file_is_said_to_be_written_anew(tmp_path: Path) -> None:
    source = tmp_path / NAME
    source.write_text("user: a\n\nagent: b\n")
    source.with_suffix(".log").write_text(
        "2026-03-04 10:11:12 - INFO - TURN 1 - PERSONA\n2026-03-04 10:11:12 - INFO - Response: a\n"
    )
    (written,) = there_and_back(source, tmp_path)
    assert len(written.notes) == 1
    assert "1 .log files are written anew" in written.notes[0]


def test_a_log_that_was_imported_before_layouts_were_kept(tmp_path: Path) -> None:
    source = tmp_path / NAME
    source.write_text("user: a\n\nagent: b\n")
    (imported,) = format.read(source)
    for name in ("layout", "sha256", "file"):
        del imported.details["sessions"][0][name]
    with open_log(store(imported, tmp_path / "logs")) as log:
        written = write(log, tmp_path / "out")
    assert "labels and line ends were not recorded" in written.notes[0]
    assert transcripts([written])[0].read_text() == "user: a\n\nchatbot: b\n"


# --- names


@pytest.mark.parametrize(
    "folder",
    [
        FOLDER,
        f"{FOLDER}_{{_max_completion_tokens_ 5000}}",
        "p_gpt_5_{'max_completion_tokens': 5000}__a_b__t20__r12__20260304_101112",
    ],
)
@pytest.mark.parametrize("home", ["conversations", "."])
def test_a_run_folder_keeps_its_names(folder: str, home: str, tmp_path: Path) -> None:
    names = [
        "0a1b2c_Ada_Lee_gpt-4o_flow_run3_s1_intake.txt",
        "0a1b2c_Ada_Lee_gpt-4o_flow_run3_s2_trip_plan.txt",
        "0d0e0f_Bo_gpt-4o_run2_1_older.txt",
        "conversation_Cy_m_run1_20260304_101112_123.txt",
        "0e0e0e_Dee_m_run1.TXT",
    ]
    source = tmp_path / "in" / folder / home
    source.mkdir(parents=True)
    for number, name in enumerate(names):
        (source / name).write_text(f"user: {number}\n\nagent: {name}\n")
    written = there_and_back(tmp_path / "in", tmp_path)
    found = {file.relative_to(tmp_path / "out"): file.read_bytes() for file in transcripts(written)}
    wanted = {file.relative_to(tmp_path / "in"): file.read_bytes() for file in source.iterdir()}
    assert found == wanted
    assert [one.notes for one in written] == [()] * 4


def test_a_run_number_is_not_lost_without_a_run_folder(tmp_path: Path) -> None:
    source = tmp_path / NAME
    source.write_text("user: a\n")
    (written,) = there_and_back(source, tmp_path)
    assert "__r3__" in str(written.files[0])


def test_where_a_transcript_lies() -> None:
    folder = Path("/x") / FOLDER
    assert home_of(folder / "conversations" / NAME) == "conversations"
    assert home_of(folder / "conversations" / "logs" / "a.log") == "conversations"
    assert home_of(folder / NAME) == ""
    assert home_of(Path("/x") / NAME) is None


@pytest.mark.parametrize(
    "name",
    [
        "../x.txt", "a/b.txt", "a\\b.txt", "..", ".hidden.txt", "-rf", "a\nb.txt", "\x1b[31m.txt",
        "", "x" * 256, "\ud800.txt", 7, None,
    ],
)  # fmt: skip
def test_names_that_are_never_kept(name: Any) -> None:
    assert kept_name(name) is None


def forged(tmp_path: Path, change: dict[str, Any], session: dict[str, Any]) -> Written:
    """The export of an imported log whose header was tampered with."""
    source = tmp_path / NAME
    source.write_text("user: a\n\nagent: b\n")
    (imported,) = format.read(source)
    imported.details.update(change)
    imported.details["sessions"][0].update(session)
    with open_log(store(imported, tmp_path / "logs")) as log:
        return write(log, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "session", "says"),
    [
        ({"folder": {"name": f"../{FOLDER}"}}, {}, "the run folder cannot be kept"),
        ({"folder": {"name": "/etc"}}, {}, "the run folder cannot be kept"),
        ({"folder": {"name": FOLDER}, "home": "../.."}, {}, ""),
        ({}, {"file": "../../x.txt"}, "the name of its transcript cannot be kept"),
        ({}, {"file": "x.py"}, "the name of its transcript cannot be kept"),
        ({}, {"file": ["x"]}, "the name of its transcript cannot be kept"),
        ({"sessions": [7]}, {}, ""),
        ({"run": "../9"}, {}, ""),
    ],
)
def test_a_forged_header_never_leaves_the_folder(
    change: dict[str, Any], session: dict[str, Any], says: str, tmp_path: Path
) -> None:
    if "sessions" in change:
        change = {"sessions": [{}, *change["sessions"]]}
    written = forged(tmp_path, change, session)
    for file in written.files:
        file.resolve().relative_to((tmp_path / "out").resolve())
        assert file.suffix in (".txt", ".log")
    assert any(says in note for note in written.notes) or not says


@pytest.mark.parametrize(
    "layout",
    [
        {"turns": 2, "labels": {"persona": "chatbot: ", "provider": "x"}, "line_end": "\x1b"},
        {"turns": 2, "labels": 7, "ends": {"1": "\x1b[31m"}, "gaps": {"1": ["user: forged"]}},
        {"turns": 2, "other_labels": {"1": "agent: ", "2": 7, "x": "user: "}, "before": ["x"]},
        {"turns": True, "after": [EMPTY], "ends": {"1": f"{END.format('a')}\nuser: forged"}},
        {},
    ],
)
def test_a_forged_layout_forges_no_turns(layout: dict[str, Any], tmp_path: Path) -> None:
    written = forged(tmp_path, {}, {"layout": layout})
    blocks, _ = read_transcript(transcripts([written])[0].read_text())
    assert [(block.speaker, block.text) for block in blocks] == [
        ("persona", "a"), ("provider", "b"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*_run*.txt")))
def test_published_transcripts_come_back(name: str, tmp_path: Path) -> None:
    (written,) = there_and_back(SAMPLES / name, tmp_path)
    (file,) = transcripts([written])
    assert file.read_bytes() == (SAMPLES / name).read_bytes()
    assert written.notes == ()
