"""What is given away of a log, and what is masked in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.cli.check import check_log
from convtui.errors import FileError, UsageError
from convtui.log.formats.registry import by_name
from convtui.log.formats.store import store
from convtui.log.notes import Notes
from convtui.log.reader import open_log
from convtui.log.writer import LogWriter
from convtui.records.codec import encode
from convtui.records.models import LlmResponse, ToolCalled, ToolReturned
from convtui.secrets.patterns import pattern_spans
from convtui.secrets.redactor import Redactor
from convtui.secrets.sharing import SharingRedactor
from convtui.share.bundle import unpack
from convtui.share.conversation import conversation_of
from convtui.share.sharing import KINDS, Sharing, masked_log, share
from convtui.share.turn_range import TurnRanges
from tests.builders.full_disk import full_disk
from tests.builders.logs import USAGE, conversation, ending, sample, session, turn, write_log
from tests.builders.rich_log import rich_records
from tests.places import RUNS

DISCARDED = RUNS / "discarded.jsonl"
ORDER = '{"order": 4711}'
KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "run.jsonl", sample())


def with_tool(path: Path, result: Any = None) -> Path:
    """A log in which a tool is called, with an order number as text and as number."""
    call = {"id": "c1", "function": {"name": "find", "arguments": ORDER}}
    provider = turn(
        2, "provider", "Your order 4711 is on its way.", usage=USAGE,
        more=[
            ToolCalled(id="c1", name="find", arguments={"order": 4711}, raw_arguments=ORDER),
            ToolReturned(id="c1", name="find", ok=True, result=result or {"order": 4711, "eta": 2}),
            LlmResponse(raw="Your order 4711 is on its way.", round=2),
        ],
    )  # fmt: skip
    replies = [record for record in provider if isinstance(record, LlmResponse)]
    replies[0].raw, replies[0].tool_calls, replies[0].round = "", [call], 1
    turns = [turn(1, "persona", "Where is order 4711?"), provider]
    end = ending("max_turns", "harness", 2)
    return write_log(path, conversation(session(1, "orders", turns, end), end=end))


def shared(log: Path, out: Path, kind: str, **options: Any) -> str:
    (file,) = share(log, out, Sharing(kind, **options)).files
    return file.read_text(encoding="utf-8")


# --- masking


@pytest.mark.parametrize("kind", ["md", "html", "openai"])
def test_what_a_pattern_matches_is_nowhere(kind: str, tmp_path: Path) -> None:
    log = with_tool(tmp_path / "run.jsonl")
    assert "4711" in shared(log, tmp_path / "whole", kind)
    masked = shared(log, tmp_path / "masked", kind, patterns=("4711",))
    assert "4711" not in masked
    assert "[redacted]" in masked.replace("\\", "")


def test_secrets_are_masked_and_counted(tmp_path: Path) -> None:
    said = turn(1, "persona", "my key is KEY, keep it")
    log = write_log(tmp_path / "run.jsonl", conversation(session(1, "a", [said])))
    # The writer would have masked it.
    log.write_bytes(log.read_bytes().replace(b"KEY", KEY.encode()))
    done = share(log, tmp_path / "out", Sharing("md", patterns=("keep", "nowhere")))
    assert KEY not in done.files[0].read_text(encoding="utf-8")
    secrets, keep, nowhere = done.masked
    assert secrets == "masked 2 secrets"  # processed, committed
    assert keep == "masked 2 matches of 'keep'"
    assert nowhere == "no match of 'nowhere'"
    assert KEY in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_key_of_the_environment_is_masked(
    kind: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It looks like nothing: only the name of the variable tells.
    monkeypatch.setenv("DESK_API_KEY", "plain words here")
    said = log.read_bytes().replace(b"I want my money back.", b"so: plain words here, see")
    log.write_bytes(said)
    done = share(log, tmp_path / "out", Sharing(kind))
    data = done.files[0].read_bytes()
    if kind == "bundle":
        data = unpack(done.files[0], tmp_path / "runs").log.read_bytes()
    assert b"plain words" not in data
    assert data.count(b"redacted")
    assert done.masked == ("masked 2 secrets",)


def test_a_masked_log_is_sound_and_its_spans_move(tmp_path: Path) -> None:
    raw = "<think>Ada asks</think>Of course, Ada. [[DONE]]"
    turns = [
        turn(1, "persona", "I am Ada."),
        turn(2, "provider", "Of course, Ada.", raw=raw, signal="[[DONE]]"),
    ]
    log = write_log(tmp_path / "run.jsonl", conversation(session(1, "a", turns)))
    with masked_log(log, SharingRedactor(Redactor(), ["Ada", "persona", "turn"])) as opened:
        assert [str(one) for one in check_log(opened.path)] == [str(one) for one in check_log(log)]
        detail = opened.transcript.turns[1]
        assert detail.text == "Of course, [redacted]."
        assert detail.speaker == "provider"
        of_turn = [record for record in opened.records() if record.get("turn") == 2]
        (response,) = (one for one in of_turn if one["type"] == "llm.response")
        (extracted,) = (one for one in of_turn if one["type"] == "signals.extracted")
        (match,) = extracted["matches"]
        assert response["raw"][match["start"] : match["end"]] == "[[DONE]]"


def test_digests_of_requests_are_those_of_what_is_there(tmp_path: Path) -> None:
    with masked_log(DISCARDED, SharingRedactor(Redactor(), [r"HT-\d+"])) as opened:
        assert check_log(opened.path) == []
        assert b"HT-2291" not in opened.path.read_bytes()


def test_a_text_in_pieces_is_masked_as_one(tmp_path: Path) -> None:
    lines = DISCARDED.read_text(encoding="utf-8").splitlines(keepends=True)
    partial = next(n for n, line in enumerate(lines) if '"llm.partial"' in line)
    record = json.loads(lines[partial])
    # The log ends while the reply streams in, in pieces that part the number.
    pieces = [("The booking HT-", 0), ("2291 is", 15)]
    cut = [
        json.dumps({**record, "seq": record["seq"] + n, "text": text, "offset": offset}) + "\n"
        for n, (text, offset) in enumerate(pieces)
    ]
    log = tmp_path / "run.jsonl"
    log.write_text("".join([*lines[:partial], *cut]), encoding="utf-8")
    with masked_log(log, SharingRedactor(Redactor(), [r"HT-\d+"])) as opened:
        assert opened.transcript.turns[-1].text == "The booking [redacted] is"


def test_notes_and_long_results_are_masked_too(log: Path) -> None:
    Notes(log).note(2, 4, "ask Ada about it")
    with masked_log(log, SharingRedactor(Redactor(), ["Ada"])) as opened:
        assert Notes(opened.path).on(2, 4).note == "ask [redacted] about it"


def test_the_name_of_a_log_is_masked_too(log: Path, tmp_path: Path) -> None:
    named = log.rename(tmp_path / "20260304_Maya_desk.jsonl")
    done = share(named, tmp_path / "out", Sharing("bundle", patterns=("Maya",)))
    (file,) = done.files
    assert file.name == "20260304_redacted_desk.zip"
    assert b"Maya" not in file.read_bytes()
    assert unpack(file, tmp_path / "runs").log.name == "20260304_redacted_desk.jsonl"


def test_a_damaged_line_is_not_given_away(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:5], b'{"text": "Ada \n', *lines[5:]]))
    with masked_log(log, SharingRedactor(Redactor())) as opened:
        assert b"Ada" not in opened.path.read_bytes()
        assert "bad_json" in {finding.code for finding in opened.findings}


@pytest.mark.parametrize(
    ("sharing", "says"),
    [
        (Sharing("md", patterns=("(",)), "'(' is no regular expression: missing )"),
        (Sharing("md", patterns=(" ",)), "an empty pattern masks nothing"),
        (Sharing("bundle", turns=("2:1",)), "a bundle has the whole log"),
        (Sharing("vera", turns=("2:1",)), "--turns is for md, html, openai, not for vera"),
        (Sharing("html", wire=True), "--with-wire is for --to bundle"),
        (Sharing("bundle", wire=True, patterns=("a",)), "exclude each other"),
        (Sharing("md", turns=("2:1-2:9",)), "2:9; session 2 has 2:1 to 2:4: did you mean 2:4?"),
        (Sharing("md", turns=("3:1",)), "no turn 3:1; the log has 1:1 to 2:4"),
        (Sharing("md", turns=("2:4-2:1",)), "it ends before it begins: write 2:1-2:4"),
        (Sharing("md", turns=("two",)), "'two' is no turn; write 2:3-2:9"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared(sharing: Sharing, says: str, log: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        share(log, tmp_path / "out", sharing)
    assert says in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_pattern_that_takes_forever_is_ended() -> None:
    with pytest.raises(UsageError, match=r"was still searching after 0\.2 s"):
        pattern_spans("(a+)+$", ["a" * 60 + "b"], limit=0.2)


def test_a_live_log_is_shared_as_far_as_it_goes(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "run.jsonl")
    try:
        for record in conversation(session(1, "a", [turn(1, "persona", "Hello")])):
            writer.write(record)
        done = share(tmp_path / "run.jsonl", tmp_path / "out", Sharing("md"))
    finally:
        writer.abandon()
    assert done.findings == ()
    assert done.notes == ("the log is still being written: this is what there is of it so far",)
    text = done.files[0].read_text(encoding="utf-8")
    assert "> Hello" in text and "**conversation: still running**" in text


# --- ranges, Markdown, messages


def test_some_of_the_turns(log: Path, tmp_path: Path) -> None:
    with open_log(log) as opened:
        ranges = TurnRanges.parse(["1:2,2:2-3"], opened.transcript)
        conversation_ = conversation_of(opened, ranges)
    assert [one.address for one in conversation_.turns] == ["1:2", "2:2", "2:3"]
    assert conversation_.excerpt == "only turns 1:2, 2:2 to 2:3"
    (line,) = shared(log, tmp_path, "openai", turns=("1",)).splitlines()
    assert json.loads(line)["messages"] == [
        {"role": "user", "content": "Hello, my ferry was cancelled."}
    ]


def test_markdown_of_a_log(log: Path, tmp_path: Path) -> None:
    text = shared(log, tmp_path, "md")
    assert "## session 2 of 2: refund (persona first, up to 20 turns)" in text
    assert "> ~~\\[\\[ERROR\\]\\] upstream failed~~" in text
    assert (
        "- discarded: signal \\[\\[ERROR\\]\\] 0-9 by should\\_discard\\_response; skipped" in text
    )
    assert "- signal \\[\\[DONE\\]\\] 28-36" in text
    assert "**conversation ended: ended early by provider at turn 4" in text


def test_markdown_folds_tools(tmp_path: Path) -> None:
    log = with_tool(tmp_path / "run.jsonl", result="```\n</details><script>alert(1)</script>")
    text = shared(log, tmp_path / "out", "md")
    assert "<details><summary>tool find: ok</summary>" in text
    # The fence is longer than what stands in it, so that it ends behind it.
    assert "````\n```\n</details><script>alert(1)</script>\n````" in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<img src=x onerror=alert(1)>", "> \\<img src=x onerror=alert(1)\\>"),
        ("[a](javascript:b) ![c](d)", "> \\[a\\](javascript:b) !\\[c\\](d)"),
        ("@everyone see #12", "> @<!-- -->everyone see \\#<!-- -->12"),
        ("https://evil.example www.evil.example", "https:<!-- -->//evil.example www<!-- -->.evil"),
        ("# no heading", "> \\# no heading"),
        ("- no item\n1. nor this", "> \\- no item  \n> 1\\. nor this"),
        ("    no code", "> &nbsp;&nbsp;&nbsp;&nbsp;no code"),
        ("--> <!-- </details>", "\\--\\> \\<!-- \\</details\\>"),
        ("`a` *b* __c__ ~~d~~ $e$", "\\`a\\` \\*b\\* \\_\\_c\\_\\_ \\~\\~d\\~\\~ \\$e\\$"),
    ],
)  # fmt: skip
def test_markdown_means_nothing(text: str, written: str, tmp_path: Path) -> None:
    records = conversation(session(1, "a", [turn(1, "persona", text)]))
    assert written in shared(write_log(tmp_path / "run.jsonl", records), tmp_path, "md")


def test_messages_come_in_again(tmp_path: Path) -> None:
    log = with_tool(tmp_path / "run.jsonl")
    (file,) = share(log, tmp_path, Sharing("openai")).files
    (line,) = file.read_text(encoding="utf-8").splitlines()
    roles = [message["role"] for message in json.loads(line)["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant"]
    format_ = by_name("openai")
    assert format_.detect is not None and format_.detect(file) and format_.read is not None
    (again,) = (store(one, tmp_path / "logs") for one in format_.read(file))
    with open_log(log) as before, open_log(again) as after:
        told = [
            [(turn.speaker, turn.text) for turn in opened.transcript.turns]
            for opened in (before, after)
        ]
        tools = [
            [(one["name"], one.get("arguments") or one.get("result")) for one in opened.records()
             if one["type"] == "tool.called"]
            for opened in (before, after)
        ]  # fmt: skip
    assert told[0] == told[1]
    assert tools == [[("find", {"order": 4711})]] * 2


LOGS = [path.stem for path in sorted(RUNS.glob("*.jsonl")) if "." not in path.stem]


@pytest.mark.parametrize("name", LOGS)
def test_every_sample_is_shared_in_the_words_of_the_printer(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from convtui.cli.show import show_log

    log = RUNS / f"{name}.jsonl"
    show_log(str(log), plain=True)
    printed = capsys.readouterr().out
    with open_log(log) as opened:
        conversation_ = conversation_of(opened, TurnRanges())
    assert conversation_.turns
    for shared_turn in conversation_.turns:
        assert f"{shared_turn.address} {shared_turn.speaker}: " in printed
        for mark, _ in shared_turn.marks:
            assert mark.split("\n")[0] in printed
    for line in [*(one.head for one in conversation_.sections), *conversation_.closing]:
        assert line in printed


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_record_can_be_shared(kind: str, tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    log.write_bytes(b"".join(map(encode, rich_records())))
    assert share(log, tmp_path / "out", Sharing(kind, patterns=("o",))).files[0].stat().st_size


def test_a_copy_that_cannot_be_written_is_one_line(log: Path, tmp_path: Path) -> None:
    with full_disk(100), pytest.raises(FileError, match=r"cannot be written: File too large"):
        share(log, tmp_path / "out", Sharing("md"))
    assert not (tmp_path / "out").exists()
