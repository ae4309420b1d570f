"""The content of a log never acts on the terminal, whatever the field and the command.

A payload is planted in every text of a log that has every field, and in the names of objects; every
command that reads a log prints it. The only escape sequences that come out are our own colours.
"""

from __future__ import annotations

import ast
import io
import json
import random
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from convtui.printing.output import Output
from convtui.records.codec import RecordDict
from convtui.text.boundary import json_text
from tests.builders.rich_log import replaced, rich_log, rich_records, texts
from tests.builders.source_trees import source_trees
from tests.cli.conftest import Run

PAYLOAD = (
    "\x1b[2J\x1b[31m\x1b]8;;http://x\x1b\\\x1b]52;c;AAAA\x07\x1b]0;t\x07\x9b2J\x9d0;t\x9c\x90q\x9c"
    "\x00\x08\x0b\r\x7f\x85\u202eevil\u202c\u2066\u200b\u200d\u2060\ufeff\u00ad\U000e0041\ufe0f"
)
RAW = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufe0f"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
OUR_COLOURS = re.compile("\x1b\\[[0-9;]+m")
BATCH = 90
STRUCTURE = {"type", "format", "version", "sha256"}
"""Without these there is no log, or nothing to be read of it."""


def planted() -> list[tuple[list[tuple[Any, ...]], list[RecordDict]]]:
    """Logs with payloads at some paths each, which together cover every path."""
    records = rich_records()
    paths = [path for path in texts(records) if path[-1] not in STRUCTURE]
    random.Random(3).shuffle(paths)
    logs = []
    for first in range(0, len(paths), BATCH):
        some = paths[first : first + BATCH]
        poisoned = records
        for path in some:
            poisoned = replaced(poisoned, path, f"x{PAYLOAD}")
        logs.append((some, poisoned))
    return logs


LOGS = planted()


def with_names(data: Any) -> Any:
    """Every object has a member whose name, and text, is the payload."""
    if isinstance(data, dict):
        named = {name: with_names(value) for name, value in data.items()}
        # At the end, since the envelope comes first.
        return named | {PAYLOAD: PAYLOAD, "ordinary": {PAYLOAD: PAYLOAD}}
    return [with_names(item) for item in data] if isinstance(data, list) else data


def harmful(text: str) -> list[str]:
    """The parts of a text that would act on a terminal, with their context."""
    return [text[max(0, m.start() - 30) : m.end() + 10] for m in RAW.finditer(text)]


COMMANDS: tuple[tuple[str, ...], ...] = (
    ("show", "LOG"), ("show", "LOG", "--plain"), ("show", "LOG", "--debug"),
    ("show", "LOG", "--json"), ("replay", "LOG"), ("check", "LOG"), ("check", "LOG", "--json"),
    ("compare", "LOG", "OTHER"), ("compare", "LOG", "OTHER", "--plain"),
    ("compare", "LOG", "OTHER", "--json"), ("profile", "LOG"), ("profile", "LOG", "--plain"),
    ("profile", "LOG", "--json", "--report", "DIR/report.html"),
    ("runs", "--out", "DIR"), ("runs", "--out", "DIR", "--json"),
    ("runs", "--out", "DIR", "--tree", "~said x | ~raw x | ~tool | ~output"),
    ("export", "LOG", "--to", "vera", "--out", "DIR/vera"),
    ("export", "LOG", "--to", "oharness", "--out", "DIR/oharness"),
    ("export", "LOG", "--to", "rath", "--out", "DIR/rath"),
    ("export", "LOG", "--to", "hermes-trajectory", "--out", "DIR/hermes", "--json"),
    ("import", "DIR/vera", "--out", "DIR/from-vera"),
    ("import", "DIR/oharness", "--out", "DIR/from-oharness"),
    ("import", "DIR/rath", "--out", "DIR/from-rath"),
    ("import", "DIR/hermes", "--out", "DIR/from-hermes", "--json"),
    ("warm", "build", "w", "LOG", "--min-messages", "0", "--force"),
    ("compress-check", "LOG"), ("compress-check", "LOG", "--json"),
)  # fmt: skip


def run_all(convtui: Run, folder: Path, records: list[RecordDict], what: object) -> str:
    """The output of every command on a log, asserted to be harmless."""
    log = rich_log(folder / "run.jsonl", records)
    other = rich_log(folder / "other.jsonl")
    printed = ""
    for command in COMMANDS:
        names = {"LOG": str(log), "OTHER": str(other)}
        arguments = [names.get(word, word.replace("DIR", str(folder))) for word in command]
        code, out, err = convtui(*arguments)
        assert "this is a bug" not in err, (command, err, what)
        assert code in (0, 1, 2), (command, code)
        assert not harmful(out), (command, harmful(out), what)
        assert not harmful(err), (command, harmful(err), what)
        if "--json" in command and out:
            json.loads(out)
        printed += out + err
    return printed


@pytest.mark.parametrize("batch", range(len(LOGS)))
def test_no_field_of_a_log_reaches_the_terminal_as_it_is(
    convtui: Run, tmp_path: Path, batch: int
) -> None:
    paths, records = LOGS[batch]
    printed = run_all(convtui, tmp_path, records, paths)
    assert "evil" in printed


def test_no_name_in_a_log_reaches_the_terminal_as_it_is(convtui: Run, tmp_path: Path) -> None:
    run_all(convtui, tmp_path, with_names(rich_records()), "names")


@pytest.mark.parametrize("batch", range(0, len(LOGS), 3))
def test_only_our_own_colours_come_out(
    convtui: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setenv("CONVTUI_COLOR", "always")
    monkeypatch.delenv("NO_COLOR", raising=False)
    paths, records = LOGS[batch]
    log = rich_log(tmp_path / "run.jsonl", records)
    for command in (("show", log), ("compare", log, rich_log(tmp_path / "b.jsonl"))):
        _, out, err = convtui(*command)
        assert OUR_COLOURS.search(out)
        assert not harmful(OUR_COLOURS.sub("", out + err)), paths
        # Those of the payload would follow its marks directly.
        assert "x\x1b" not in out


def test_hooks_run_again_over_a_hostile_log_print_nothing_raw(convtui: Run, tmp_path: Path) -> None:
    path = rich_log(tmp_path / "run.jsonl", with_names(LOGS[0][1]))
    for more in (["--diff"], ["--json", "--junit", str(tmp_path / "junit.xml")]):
        code, out, err = convtui("rehook", path, "--provider", "demo", *more)
        assert code in (0, 1, 2)
        assert not harmful(out + err)
    ElementTree.parse(tmp_path / "junit.xml")


def test_what_programs_read_is_the_same_json(convtui: Run, tmp_path: Path) -> None:
    records = rich_records()
    committed = next(n for n, r in enumerate(records) if r["type"] == "turn.committed")
    path = rich_log(tmp_path / "run.jsonl", replaced(records, (committed, "text"), PAYLOAD))
    _, out, _ = convtui("show", path, "--json")
    assert not harmful(out)
    turns = [turn for session in json.loads(out)["sessions"] for turn in session["turns"]]
    assert PAYLOAD in [turn["text"] for turn in turns]
    assert "\\udb40\\udc41" in out


@pytest.mark.parametrize(
    "data",
    [PAYLOAD, {PAYLOAD: [PAYLOAD]}, "\ud800", "\U0001f468\u200d\U0001f469 é 渡", {"a": ["\x7f"]}],
)
def test_json_text_is_valid_visible_and_equal(data: Any) -> None:
    text = json_text(data)
    assert json.loads(text) == data
    assert not harmful(text)
    text.encode()


def test_json_text_has_no_words_that_json_does_not_know() -> None:
    text = json_text({"a": [float("nan"), {"b": float("-inf")}, 1.5]})
    assert json.loads(text, parse_constant=pytest.fail) == {"a": [None, {"b": None}, 1.5]}


def test_output_lets_nothing_through_but_its_own_codes() -> None:
    stream = io.StringIO()
    output = Output(stream, color=True)
    output.progress(f"half {PAYLOAD}")
    output.line(f"a{PAYLOAD}", (f"b{PAYLOAD}", "1;31"), ("c", "31m\x1b]0;x\x07"), (PAYLOAD, ""))
    output.json({PAYLOAD: PAYLOAD})
    output.clear()
    rest = OUR_COLOURS.sub("", stream.getvalue().replace("\r\x1b[K", "", 2))
    assert not harmful(rest)
    assert stream.getvalue().count("\x1b[1;31m") == 1


WRITERS = {"sys.stdout.write", "sys.stderr.write", "click.echo", "click.secho", "print"}


def calls(tree: ast.AST) -> Iterable[tuple[str, int]]:
    """The functions that are called, by their full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def test_there_is_no_other_way_to_the_terminal() -> None:
    writes = [
        f"{path}:{line}: {name}"
        for path, tree in source_trees().items()
        if path.startswith(("printing/", "cli/", "analysis/", "log/"))
        and path != "printing/output.py"
        for name, line in calls(tree)
        if name in WRITERS or (name.endswith(("stdout.write", "stderr.write", "err.write")))
    ]
    assert writes == []


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object")
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in ("meta", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_reports_are_valid_and_show_what_is_hidden(
    convtui: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = f"</td><script>x</script>{PAYLOAD}\ufffe\uffff"
    records = rich_records()
    for path in [path for path in texts(records) if path[-1] not in STRUCTURE]:
        if path[-1] in ("name", "persona", "model", "spec", "session_type", "error_kind"):
            records = replaced(records, path, hostile)
    log = rich_log(tmp_path / "run.jsonl", records)
    code, _, _ = convtui("profile", log, "--report", tmp_path / "page.html")
    assert code == 0
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(source)
    page.close()
    assert page.open == []
    assert "<U+202E>" in page.text
    assert not harmful(source)


def test_junit_is_xml_whatever_the_replies_are(tmp_path: Path) -> None:
    from convtui.analysis.report.junit import junit_text

    hostile = "".join(map(chr, range(0x120))) + PAYLOAD + "\ud800\ufffe\uffff\U0001ffff"
    element = ElementTree.Element("testcase", name=junit_text(hostile))
    element.text = junit_text(hostile)
    source = ElementTree.tostring(element, encoding="utf-8", xml_declaration=True)
    read = ElementTree.fromstring(source)
    assert not harmful((read.text or "").replace("\n", ""))
    assert "<U+202E>" in (read.text or "")


def test_errors_and_notes_of_the_command_line_are_shown(
    convtui: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (
        [f"no{PAYLOAD}"], ["show", f"no{PAYLOAD.replace(chr(0), '')}.jsonl"],
        ["show", f"--{PAYLOAD}"], ["runs", f"~nothing{PAYLOAD}"],
        ["check", "--kind", PAYLOAD, "x"], ["export", "x", "--to", PAYLOAD],
    ):  # fmt: skip
        code, out, err = convtui(*arguments)
        assert code == 2
        assert not harmful(out + err), (arguments, harmful(out + err))

    def broken(*_: object) -> None:
        raise RuntimeError(PAYLOAD)

    monkeypatch.setattr("convtui.scenario.starter.write_starter", broken)
    assert not harmful(convtui("init").err)
    monkeypatch.setenv("CONVTUI_TRACEBACK", "1")
    assert not harmful(convtui("init").err)
