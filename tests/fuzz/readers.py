"""Everything that reads a log or a foreign file, each called as the program calls it."""

from __future__ import annotations

import ast
import asyncio
import functools
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

import convtui.cli
from convtui.analysis.profile.reading import read_runs
from convtui.analysis.profile.reading_report import reading_report
from convtui.errors import ConvtuiError
from convtui.log.detail import read_turn, request_messages
from convtui.log.names import NOTES, TOOLS, WIRE
from convtui.log.notes import Notes
from convtui.log.reader import open_log
from convtui.log.tool_results import whole_result
from convtui.log.wire import read_wire
from convtui.records.codec import encode
from convtui.tui.app import ConvtuiApp
from convtui.tui.documents.report import plots_document, report_document
from convtui.tui.drawing.palette import Palette
from convtui.tui.drawing.word_diff import diff_spans
from convtui.tui.sources.budget import current_limits, last_crossed
from convtui.tui.sources.lineage import origin_of
from convtui.tui.widgets.inspector.context import DECIDING, Context
from convtui.tui.widgets.inspector.drift import drift_notes, drift_of, replaying
from convtui.tui.widgets.inspector.repro import repro
from convtui.tui.widgets.inspector.tabs import build, has_content
from convtui.tui.widgets.status import simulator_of
from convtui.tui.widgets.transcript.calls import call_spans
from convtui.tui.widgets.transcript.geometry import Geometry
from convtui.tui.widgets.transcript.marks import extras_of
from convtui.tui.widgets.transcript.session_rows import Frame
from convtui.tui.widgets.transcript.summaries import summaries_of
from convtui.tui.widgets.transcript.turn_lines import TurnLines
from tests.builders.rich_log import rich_records

Read = Callable[[Path, Path], None]
"""Of a file, and of a folder to write to."""


class Crash(Exception):  # noqa: N818 - what is looked for
    """A command ended in a bug of ours."""


@contextmanager
def bugs_are_raised() -> Iterator[None]:
    """What the command line would write to a crash file comes out instead."""

    def raised(error: Exception) -> int:
        raise Crash(str(error)[:200]) from error

    with patch.object(convtui.cli, "_crashed", raised):
        yield


def run(*arguments: str) -> tuple[int, str, str]:
    """The command line in this process: its exit code and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    with bugs_are_raised(), redirect_stdout(out), redirect_stderr(err):
        code = convtui.cli._run(arguments)
    if code not in (0, 1, 2):
        raise Crash(f"exit code {code} of {' '.join(arguments)}: {err.getvalue()[:200]}")
    if "Traceback" in err.getvalue():
        raise Crash(err.getvalue()[-300:])
    return code, out.getvalue(), err.getvalue()


def _command(*words: str) -> Read:
    def read(path: Path, folder: Path) -> None:
        names = {"LOG": str(path), "OTHER": str(_other(folder))}
        run(*(names.get(word, word.replace("DIR", str(folder))) for word in words))

    return read


def _other(folder: Path) -> Path:
    path = folder / "other.log" / "rich.jsonl"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        _sound(path)
    return path


@functools.cache
def _rich() -> bytes:
    return b"".join(map(encode, rich_records()))


def _sound(path: Path) -> Path:
    path.write_bytes(_rich())
    return path


def _runs(path: Path, folder: Path) -> None:
    """The library: list, index, filters, families."""
    runs = folder / "runs"
    runs.mkdir(exist_ok=True)
    copy = runs / "a.jsonl"
    copy.write_bytes(path.read_bytes())
    _sound(runs / "b.jsonl")
    for words in (
        (), ("--json",), ("--tree",),
        ("~said x | ~raw x | ~tool | ~output | ~signal | ~latency > 0 | ~tokens > 0",),
        ("~error | ~end failed | ~decision | ~role | ~fault provider | ~date > 2020-01-01",),
    ):  # fmt: skip
        run("runs", "--out", str(runs), *words)


def _recorded(path: Path, folder: Path) -> None:
    from convtui.providers.recorded import RecordedProvider

    RecordedProvider(path)


def _seed(path: Path, folder: Path) -> None:
    """What resuming and going on read of a log."""
    from convtui.engine.core.state import ConversationState
    from convtui.engine.resume.state import read_seed
    from convtui.protocol import ContinueFrom
    from convtui.scenario.scenario import Scenario

    for kind in ("resume", "go_on"):
        seed = read_seed(ContinueFrom(log=str(path), kind=kind))
        state = ConversationState(Scenario.from_data({"persona": "demo", "provider": "demo"}))
        seed.fill(state)
        seed.record(state)
        if seed.current:
            seed.restore_state(seed.current)


def _replies(path: Path, folder: Path) -> None:
    """What rehook reads of a log, and a provider's hooks run over it."""
    from convtui.engine.rehook.replayed_hooks import rules_of
    from convtui.log.replies import read_replies

    found = read_replies(path)
    rules = rules_of(found)
    for reply in found.replies:
        rules(reply)


def _documents(path: Path, folder: Path) -> None:
    """What the screens say about a log, without a screen."""
    with open_log(path) as log:
        transcript, file = log.transcript, log.reader.single
        header = transcript.header
        scenario = header["scenario"]
        origin_of(header)
        str([drift_notes(transcript), replaying(transcript), summaries_of(transcript)])
        crossed = last_crossed(transcript)
        if crossed is not None:
            str([crossed.title, crossed.doubled, crossed.summary])
        notes = Notes(path)
        for turn in transcript.turns[:80]:
            detail = read_turn(file, turn)
            context = Context(
                messages=lambda call: request_messages(file, call.request),
                totals=transcript.totals,
                inherited=transcript.inherited,
                limits=current_limits(transcript, scenario),
                hold=transcript.hold,
                hooks=next((r.get("hooks") or {} for r in transcript.lifecycle), {}),
                simulator=simulator_of(scenario),
                deciding=True,
                responder_detail=detail,
                correction=notes.on(turn.session, turn.number),
                noted=notes.on(turn.session, turn.number),
                drift=drift_of(transcript, turn),
                warm=transcript.warm,
                width=60,
            )
            for tab in DECIDING:
                has_content(tab, detail, context)
                str(build(tab, detail, turn, context))
            extra = extras_of(detail)
            extra.correction = notes.on(turn.session, turn.number)
            for width in (30, 100):
                lines = TurnLines(Geometry(width, 2, 1), Palette())
                lines.update(turn, Frame(), extra, None, re.compile("x"))
                for row in range(lines.height):
                    lines.strip(row)
                    lines.copy_row(row)
            diff_spans(detail.raw or "", detail.shown or turn.text)
            for call in detail.calls[:3]:
                with suppress(ValueError):
                    messages = request_messages(file, call.request)
                    ast.parse(repro("python", call.request, messages))
                    repro("curl", call.request, messages)
        for record in log.records():
            call_spans(record)
    report = reading_report(read_runs([path]))
    str(report_document(report))
    str(plots_document(report.plots, 80))


def _screen(path: Path, folder: Path) -> None:
    """The debugger itself on the log, on a screen that nobody sees."""

    async def look() -> None:
        state = folder / "state.json"
        app = ConvtuiApp(lambda app: app.runs.recording(path), state_file=state)
        async with app.run_test(size=(110, 34)) as pilot:
            for keys in ("g", "i", "r", "r", "right_square_bracket", "s", "1", "2", "4", "9", "G"):
                await pilot.press(keys)
            await pilot.pause()
        if app._exception is not None:
            raise app._exception

    asyncio.run(look())


def _warm(path: Path, folder: Path) -> None:
    run("warm", "build", "fuzzed", str(path), "--min-messages", "0", "--force")


def _import(path: Path, folder: Path) -> None:
    run("import", str(path), "--out", str(folder / "imported"))
    for log in sorted((folder / "imported").glob("*.jsonl"))[:2]:
        with open_log(log) as opened:
            # What an import writes is a whole log.
            if opened.findings:
                raise Crash(f"an imported log has findings: {opened.findings[:3]}")


def _notes(path: Path, folder: Path) -> None:
    """Marks, notes and corrections beside a sound log."""
    log = _sound(folder / "noted.jsonl")
    (folder / f"noted.jsonl{NOTES}").write_bytes(path.read_bytes())
    run("show", str(log))
    run("show", str(log), "--json")
    _documents(log, folder)
    run("runs", "--out", str(folder), "~note | ~mark | ~tag x")


def _wire(path: Path, folder: Path) -> None:
    """HTTP exchanges beside a sound log, as the inspector shows them."""
    log = _sound(folder / "wired.jsonl")
    beside = folder / f"wired.jsonl{WIRE}"
    beside.write_bytes(path.read_bytes())
    shown = [exchange.as_dict() for exchange in read_wire(beside, [])]
    with open_log(log) as opened:
        # The exchanges look the same at every turn.
        turn = opened.transcript.turns[0]
        detail = read_turn(opened.reader.single, turn)
        str(build("Wire", detail, turn, Context(wire=shown)))
        detail.wire = read_wire(beside)
        str(build("Wire", detail, turn, Context()))


def _results(path: Path, folder: Path) -> None:
    """Whole results of tools beside a sound log."""
    log = _sound(folder / "tools.jsonl")
    (folder / f"tools.jsonl{TOOLS}").write_bytes(path.read_bytes())
    for seq in range(40):
        whole_result(log, seq)


class Reader(NamedTuple):
    """One of them; `rare` ones take a second and are tried now and then."""

    name: str
    read: Read
    rare: bool = False


LOG_READERS: Final = (
    *(
        Reader(" ".join(words), _command(*words))
        for words in (
            ("show", "LOG"), ("show", "LOG", "--plain"), ("show", "LOG", "--debug"),
            ("show", "LOG", "--json"), ("check", "LOG"), ("check", "LOG", "--json"),
            ("compare", "LOG", "OTHER"), ("compare", "OTHER", "LOG", "--plain"),
            ("compare", "LOG", "LOG"), ("compare", "LOG", "OTHER", "--json"),
            ("profile", "LOG"), ("profile", "LOG", "--plain"),
            ("profile", "LOG", "--json", "--report", "DIR/report.html"),
            ("export", "LOG", "--to", "vera", "--out", "DIR/vera"),
            ("export", "LOG", "--to", "oharness", "--out", "DIR/oharness"),
            ("export", "LOG", "--to", "rath", "--out", "DIR/rath"),
            ("export", "LOG", "--to", "hermes-trajectory", "--out", "DIR/hermes"),
            ("compress-check", "LOG"), ("compress-check", "LOG", "--json"),
            ("import", "LOG", "--out", "DIR/imported"),
        )
    ),
    Reader("runs", _runs),
    Reader("warm build", _warm),
    Reader("recorded:", _recorded),
    Reader("resume", _seed),
    Reader("rehook", _replies),
    Reader("documents", _documents),
    Reader("screen", _screen, rare=True),
)  # fmt: skip
NOTE_READERS: Final = (Reader("notes", _notes),)
WIRE_READERS: Final = (Reader("wire", _wire),)
RESULT_READERS: Final = (Reader("tool results", _results),)
FILE_READERS: Final = (
    Reader("import FILE", _import),
    Reader("import FILE --list", _command("import", "LOG", "--list", "--json")),
    Reader("import FILE --strict", _command("import", "LOG", "--strict", "--out", "DIR/strict")),
    Reader("check FILE", _command("check", "LOG")),
)


def read(reader: Reader, path: Path, folder: Path) -> None:
    """Reads a file with one of them; an error of ours that says what is wrong is right."""
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            reader.read(path, folder)
    except ConvtuiError as error:
        if not str(error):
            raise Crash(f"{type(error).__name__} without words") from error
