"""Outline, inspector, status line, text pane, and hostile text in all of them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from convtui.log.detail import TurnDetail
from convtui.transcript.fold import Transcript
from convtui.transcript.past import totals_from
from convtui.tui.drawing.glyphs import HELD
from convtui.tui.drawing.palette import DARK, Palette, plain
from convtui.tui.sources.budget import Limit
from convtui.tui.widgets.inspector.inspector import Inspector, TabBar
from convtui.tui.widgets.inspector.repro import repro
from convtui.tui.widgets.inspector.tabs import TABS, Context, build, has_content, match_position
from convtui.tui.widgets.statusline import (
    Figures,
    Status,
    StatusLine,
    figures_text,
    state_text,
    title_spans,
)
from convtui.tui.widgets.text_pane import Document, TextPane
from convtui.tui.widgets.transcript.calls import seconds
from convtui.tui.widgets.transcript.marks import extras_of
from convtui.tui.widgets.transcript.outline import Outline
from convtui.tui.widgets.transcript.summaries import Summary
from convtui.tui.widgets.transcript.transcript_view import TranscriptView
from tests.tui.harness.sources import Story, ferry, many, match

HOSTILE = (
    "\x1b]52;c;AAAA\x07 \x1b[2J \x1b]8;;http://x\x1b\\ \x9b31m \x7f\x00 \u202eevil\u202c \u200b"
    " [/] [b [$error] [@click=app.quit]x[/] \ud800 e" + "\u0301" * 40 + " 渡し\r\nnext\tx\x85\x0b"
)
FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]")


class Bench(App[None]):
    """An app with some widgets."""

    CSS = "LineView, Inspector { height: 40; max-height: 100%; }"

    def __init__(self, *widgets: Widget) -> None:
        super().__init__()
        self.widgets = widgets
        self.chosen: list[int] = []

    def compose(self) -> ComposeResult:
        yield from self.widgets

    def on_outline_turn_selected(self, event: Outline.TurnSelected) -> None:
        self.chosen.append(event.turn_index)


def lines(widget: Widget) -> list[Strip]:
    return [widget.render_line(y) for y in range(widget.content_size.height)]


def text(widget: Widget) -> str:
    return "\n".join(strip.text.rstrip() for strip in lines(widget))


# --- outline


async def test_the_outline_shows_sessions_turns_and_calls() -> None:
    outline = Outline()
    app = Bench(outline)
    async with app.run_test(size=(24, 30)) as pilot:
        story = ferry()
        outline.set_transcript(story.transcript)
        await pilot.pause()
        shown = text(outline)
        assert "setup ok" not in shown, "it was fast and went well"
        assert "▾ 1 intake  ∆ 1" in shown
        assert "∙ 1 ∙ 2 ∙ 3 ∆ 4" in shown
        assert "2 coaching  ✗ 1" in shown
        assert "∙ 1 ✎ 2 ✗ 3 ∆ 4 ▸ 5" in shown
        assert "✗ dropped" in shown, "the legend"
        assert outline.toggle_hooks()
        await pilot.pause()
        assert "setup ok 20ms" in text(outline)
        assert "enter_session 100ms" in text(outline)
        assert not outline.toggle_hooks()
        await pilot.pause()
        outline.cursor = 6
        row = shown.splitlines().index(next(line for line in shown.splitlines() if "✗ 3" in line))
        await pilot.click(outline, offset=(shown.splitlines()[row].index("✗ 3"), row))
        assert app.chosen == [6]
        outline.set_limit(4)
        await pilot.pause()
        assert "✗ 3" not in text(outline)
        outline.set_limit(None)
        story.reply("more", speaker="persona")
        story.end()
        story.skip("third", "budget")
        outline.refresh_turns({9})
        await pilot.pause()
        assert "⋯ 5" not in text(outline)
        assert "skipped: budget" in text(outline)


async def test_a_long_outline() -> None:
    outline = Outline()
    app = Bench(outline)
    async with app.run_test(size=(30, 20)) as pilot:
        transcript = many(20_000, words=2, per_session=5_000)
        outline.set_transcript(transcript)
        await pilot.pause()
        outline.cursor = 17_777
        await pilot.pause()
        assert "2778" in text(outline)
        line = next(y for y, s in enumerate(lines(outline)) if " 2778" in s.text)
        x = outline.render_line(line).text.index("2778")
        assert outline.turn_under(x, round(outline.scroll_y) + line) == 17_777
        assert outline.turn_under(0, 0) is None
        assert outline.turn_under(5, 10**7) is None


async def test_an_empty_outline() -> None:
    outline = Outline(empty_message="no session yet")
    app = Bench(outline)
    async with app.run_test(size=(24, 10)) as pilot:
        outline.set_transcript(Transcript())
        await pilot.pause()
        assert "no session yet" in text(outline)


@pytest.mark.parametrize(("value", "shown"), [(0.0123, "12 ms"), (3.44, "3.4 s"), (125.0, "2:05")])
def test_seconds(value: float, shown: str) -> None:
    assert seconds(value) == shown


# --- text pane


async def test_a_pane_of_ten_megabytes() -> None:
    pane = TextPane()
    app = Bench(pane)
    async with app.run_test(size=(60, 16)) as pilot:
        big = "word " * 2_000_000
        pane.show(Document().head("raw").text(big))
        await pilot.pause()
        assert "word word" in text(pane)
        pane.scroll_end(animate=False)
        await pilot.pause()
        assert "word word" in text(pane)
        assert len(pane.all_text()) > len(big)


async def test_a_pane_is_copied_without_soft_ends() -> None:
    pane = TextPane()
    app = Bench(pane)
    async with app.run_test(size=(20, 16)) as pilot:
        pane.show(Document().text("one two three four five six seven\neight", indent=2))
        await pilot.pause()
        selected = pane.get_selection(Selection(Offset(0, 0), Offset(40, 9)))
        assert selected == ("one two three four five six seven\neight", "\n")


def test_pieces_join_to_the_text() -> None:
    for sample in ("a\n" * 20_000, "x" * 50_000, "ab " * 20_000, "", "one\n"):
        doc = Document().text(sample, marks=[(10, 30_000, "signal")])
        assert str(doc) == sample + "\n"


async def test_a_row_of_turns_that_just_fits_is_not_cut() -> None:
    outline = Outline()
    app = Bench(outline)
    async with app.run_test(size=(14, 30)) as pilot:
        outline.set_transcript(ferry().transcript)
        await pilot.pause()
        assert outline.view_width == 13
        assert "  ∙ 1 ✎ 2 ✗ 3" in text(outline).splitlines()


# --- inspector


def everything() -> list[tuple[TurnDetail | None, int]]:
    story = ferry()
    return [(story.detail(turn), index) for index, turn in enumerate(story.transcript.turns)]


def test_every_tab_of_every_turn() -> None:
    story = ferry()
    for turn in story.transcript.turns:
        detail = story.detail(turn)
        context = Context(totals=story.transcript.totals, hold=story.transcript.hold)
        for tab in TABS:
            doc = str(build(tab, detail, turn, context))
            assert doc.strip()
            if not has_content(tab, detail, context):
                assert doc.startswith("nothing here\n"), tab
        assert "Reading the records" in str(build("Raw", None, turn, context))
        empty = TurnDetail(1, 1, "persona", [])
        assert "no records" in str(build("Raw", empty, turn, context))


def test_stages_in_words() -> None:
    story = ferry()
    discarded = story.transcript.turns[6]
    doc = str(build("Stages", story.detail(discarded), discarded, Context()))
    for expected in (
        "request",
        "1 message",
        "88 tok, first token 210 ms  512 ms",
        "[[ERROR]] 0-9 inside a sentence",
        "dropped by should_discard_response, then skip",
    ):
        assert expected in doc, expected
    held = story.transcript.turns[8]
    doc = str(build("Stages", story.detail(held), held, Context(hold=story.transcript.hold)))
    assert f"{HELD} post_process" in doc
    assert "held here" in doc
    story.open("persona")
    asked = story.transcript.turns[-1]
    for stage in ("request", "response", "discard"):
        hold = Context(hold={"stage": stage})
        doc = str(build("Stages", story.detail(asked), asked, hold))
        assert doc.count("held here") == 1, stage
    story.records.pop()
    doc = str(build("Stages", story.detail(asked), asked, Context(hold={"stage": "request"})))
    assert doc == f"{HELD} request      held here\n"
    tools = story.transcript.turns[3]
    doc = str(build("Stages", story.detail(tools), tools, Context()))
    assert "1 call, 1 failed" in doc
    assert "retry 1: 429, retried after 700 ms" in doc


def test_the_request_that_is_held_comes_after_the_tools_whose_results_it_has() -> None:
    story = Story()
    story.begin()
    story.on("turn.started", speaker="provider")
    story.on("llm.request", side="provider", append=[{"role": "user"}], sha256="")
    called = {"id": "c", "name": "look", "arguments": "{}"}
    story.on("llm.response", call=len(story.records) - 1, raw="", tool_calls=[called])
    story.on("tool.called", id="c", name="look", arguments={})
    story.on("tool.returned", id="c", name="look", ok=True, result=1)
    turn = story.transcript.turns[0]
    lines = str(
        build("Stages", story.detail(turn), turn, Context(hold={"stage": "request"}))
    ).splitlines()
    assert [" ".join(line.split()) for line in lines if "request" in line or "tools" in line] == [
        "∙ request 1 message", "∙ tools 1 call", f"{HELD} request round 2, held here"
    ]  # fmt: skip


def test_attempts_and_revisions() -> None:
    story = Story()
    story.begin()
    story.reply("bad", matches=[match("bad", 0)], commit=False)
    story.on("turn.started", speaker="provider", attempt=2)
    story.on("llm.request", side="provider", attempt=2, append=[], sha256="")
    story.on("llm.failed", attempt=2, call=len(story.records) - 1, error={"message": "503 gone"})
    turn = story.transcript.turns[0]
    doc = str(build("Stages", story.detail(turn), turn, Context()))
    assert "attempt 1 of 2" in doc
    assert "failed: 503 gone" in doc


@pytest.mark.parametrize(
    ("raw", "start", "end", "where"),
    [
        (" [X] ", 1, 4, "stands alone"),
        ("I'm done being", 4, 8, "inside a sentence"),
        ("abandoned", 4, 8, "inside a word"),
        ("hello\n[X]\nbye", 6, 9, "on a line of its own"),
        ("You are welcome. Goodbye!", 17, 24, "a sentence of its own"),
        ("Goodbye. See you", 0, 7, "a sentence of its own"),
        ("Say goodbye!", 4, 11, "inside a sentence"),
    ],
)
def test_where_a_match_stands(raw: str, start: int, end: int, where: str) -> None:
    assert match_position(raw, start, end) == where


def test_unknown_figures_are_never_zero() -> None:
    story = ferry()
    turn = story.transcript.turns[8]
    doc = str(build("Usage", story.detail(turn), turn, Context(totals=story.transcript.totals)))
    assert "prompt         unknown\n" in doc
    assert " 0 tok" not in doc


def test_the_wire_tab_is_tolerant() -> None:
    story = ferry()
    turn = story.transcript.turns[1]
    exchange = {
        "method": "POST",
        "url": "http://127.0.0.1/v1",
        "status": 500,
        "request_headers": {"Authorization": "[redacted]"},
        "request_body": '{"a": 1}',
        "response_headers": [["x-id", "7"]],
        "response_body": "no json",
        "error": {"message": "boom"},
        "cut_off": True,
        "duration": 0.2,
    }
    doc = str(build("Wire", story.detail(turn), turn, Context(wire=[exchange, {}])))
    for expected in (
        "POST 500",
        "Authorization: [redacted]",
        "x-id: 7",
        "boom",
        '"a": 1',
        "? no response",
    ):
        assert expected in doc, expected


def test_repros_run_and_hold_no_key() -> None:
    messages = [{"role": "user", "content": "it's \"7\" $(rm) `x` \\ é\n'''"}]
    request = {
        "model": "openai/gpt-4o",
        "params": {
            "temperature": 0.2,
            "api_key": "sk-abcdefghijklmnopqrstuv",
            "api_base": "http://127.0.0.1:8000/v1",
        },
    }
    code = repro("python", request, messages)
    tree = ast.parse(code)
    assert "os.environ['OPENAI_API_KEY']" in code
    assert "sk-abc" not in code
    literal = next(n.value for n in tree.body if isinstance(n, ast.Assign))
    assert ast.literal_eval(literal) == messages
    line = repro("curl", request, messages)
    arguments = shlex.split(line.replace("\\\n", " "))
    assert arguments[:3] == ["curl", "-sS", "http://127.0.0.1:8000/v1/chat/completions"]
    assert "Authorization: Bearer $OPENAI_API_KEY" in arguments
    assert "sk-abc" not in line
    body = __import__("json").loads(arguments[arguments.index("-d") + 1])
    assert body == {"model": "gpt-4o", "messages": messages, "temperature": 0.2}


def test_repros_hold_nothing_invisible() -> None:
    url = f"http://127.0.0.1:8000/{HOSTILE}"
    messages = [{"role": "user", "content": HOSTILE, HOSTILE: HOSTILE}]
    request = {
        "model": f"openai/{HOSTILE}",
        "params": {"api_base": url, "stop": [HOSTILE], "extra_headers": {"X-A": HOSTILE}},
    }
    code, line = repro("python", request, messages), repro("curl", request, messages)
    for snippet in (code, line):
        assert not FORBIDDEN.search(snippet.replace("\n", ""))
    assignment = next(n.value for n in ast.parse(code).body if isinstance(n, ast.Assign))
    assert ast.literal_eval(assignment) == messages
    arguments = shlex.split(line.replace("\\\n", " "))
    body = __import__("json").loads(arguments[arguments.index("-d") + 1])
    assert body["messages"] == messages
    assert body["stop"] == [HOSTILE]
    # As an HTTP client sends it, whichever library that is.
    sent = unquote_to_bytes(arguments[2].removesuffix("/chat/completions"))
    assert sent.decode("utf-8", "surrogatepass") == url


async def test_the_inspector_changes_tabs() -> None:
    inspector = Inspector()
    app = Bench(inspector)
    async with app.run_test(size=(44, 24)) as pilot:
        await pilot.pause()
        assert "Select a turn" in text(inspector.pane)
        story = ferry()
        turn = story.transcript.turns[1]
        inspector.show(story.detail(turn), turn, Context(messages=lambda call: [{"role": "user"}]))
        await pilot.pause()
        assert "request" in text(inspector.pane)
        inspector.show_tab(3)
        await pilot.pause()
        assert inspector.tab == "Diff"
        struck = {part.text for strip in lines(inspector.pane) for part in strip
                  if part.style is not None and part.style.strike}  # fmt: skip
        assert struck == {"removed", "<think>refund policy</think>"}
        assert "[-" not in text(inspector.pane)
        inspector.next_tab(-1)
        assert inspector.tab == "Raw"
        inspector.show_tab(99)
        assert inspector.tab == "Raw"
        assert "raw reply" in inspector.copy_text()
        await pilot.click(inspector.query_one(TabBar), offset=(1, 0))
        assert inspector.tab == "Stages"


# --- status line


@pytest.mark.parametrize(
    ("status", "word", "beside"),
    [
        (Status("running"), "RUNNING", ""),
        (Status("pausing"), "PAUSING", "waiting for the call"),
        (
            Status("held", address="2:7", stage="post_process", reason="step"),
            "HELD at 2:7",
            "",
        ),
        (Status("held", reason="error", detail="no module"), "HELD", "no module"),
        (Status("your_turn"), "YOUR TURN", ""),
        (Status("not_responding", seconds=3.2), "NOT RESPONDING 3 s", "K kills"),
        (Status("dead", detail="exit code 1"), "ENGINE DIED", "exit code 1"),
        (
            Status("ended", kind="max_turns", by="harness", reason="20 turns"),
            "ENDED turn limit reached",
            "20 turns",
        ),
        (Status("ended", kind="interrupted", by="human", reason="ctrl+c"), "INTERRUPTED", "ctrl+c"),
        (Status("replay", position=3, turns=9), "REPLAY 3/9 1x", ""),
        (Status("playing", position=3, turns=9, speed=0.5), "PLAYING 3/9 0.5x", ""),
        (Status("loading", percent=41.6), "LOADING 42%", ""),
        (Status(), "STARTING", ""),
    ],
)
def test_states(status: Status, word: str, beside: str) -> None:
    assert state_text(status) == (word, beside)
    for width in (20, 60, 120):
        shown = plain(title_spans("maya", "my_provider.py:Bot", status, width))
        assert len(shown) <= width
        if len(word) + 4 < width:
            assert word in shown


def test_figures() -> None:
    figures = Figures(7, 20, 2, 2, 1240, 8000, 0.004, None, 31)
    assert figures_text(figures, 80) == ("turn 7/20  session 2/2  1,240/8,000 tok  $0.004  00:31")
    held = figures._replace(held=12.4)
    assert figures_text(held, 80).endswith("  00:31 (+00:12 held)")
    assert figures_text(figures, 30) == "turn 7/20  session 2/2"
    assert figures_text(Figures(1), 80) == "turn 1", "what no call reported is left out"
    assert figures_text(Figures(1, max_tokens=90), 80) == "turn 1  tok unknown/90"


async def test_the_status_line() -> None:
    top, bottom = StatusLine("top"), StatusLine("bottom")
    app = Bench(top, bottom)
    async with app.run_test(size=(80, 6)) as pilot:
        top.show_status(Status("running"), persona="maya", provider="Bot")
        bottom.show_figures(Figures(1, notes=("follow",)))
        await pilot.pause()
        assert "maya -> Bot" in text(top)
        assert " RUNNING" in text(top)
        assert text(bottom).endswith("follow")


# --- palette


def test_palettes() -> None:
    palette = Palette({"signal": "#ff0000", "error": "no colour"})
    assert palette.style("signal").color is not None
    assert palette.roles["error"] == DARK["error"]
    assert palette.style("mark:signal").bgcolor is not None
    mono = Palette(monochrome=True)
    for role in DARK:
        for name in (role, f"mark:{role}", f"on:{role}", f"{role} struck"):
            style = mono.style(name)
            assert style.color is None
            assert style.bgcolor is None
    assert mono.style("mark:held").reverse
    assert mono.style("discard struck").strike


# --- hostile text


async def test_no_control_character_reaches_a_strip() -> None:
    story = Story()
    story.tell("header", id=HOSTILE, persona=HOSTILE, provider={"name": HOSTILE})
    story.tell("provider.setup", duration=0.1, outcome="ok", error={"message": HOSTILE})
    story.begin(HOSTILE)
    story.reply(HOSTILE, HOSTILE + "!", matches=[match(HOSTILE, 0)], metadata={HOSTILE: HOSTILE})
    story.reply(HOSTILE, matches=[match(HOSTILE, 3, 9)], commit=False)
    call = story.open()
    story.on("tool.called", id="1", name=HOSTILE, arguments={HOSTILE: HOSTILE})
    story.on("tool.returned", id="1", name=HOSTILE, ok=False, result=HOSTILE, error_kind=HOSTILE)
    story.on("tool.denied", id="2", name=HOSTILE, raw_arguments=HOSTILE, reason=HOSTILE)
    story.on("debug.edited", field="3", before=HOSTILE, after=HOSTILE)
    story.on("tool.called", id="3", name=HOSTILE, raw_arguments=HOSTILE)
    story.on("tool.returned", id="3", name=HOSTILE, ok=True, result=HOSTILE, truncated=True)
    seq = len(story.records) - 1
    story.on("user.decided", kind=HOSTILE, tool=HOSTILE, reason=HOSTILE, valid=False)
    story.on("provider.output", stream="stderr", text=HOSTILE)
    story.on("llm.retry", call=call, n=1, delay=1.0, error={"message": HOSTILE}, partial=HOSTILE)
    story.on("llm.failed", call=call, error={"message": HOSTILE}, partial=HOSTILE)
    story.on("turn.skipped", reason=HOSTILE)
    story.end("failed", HOSTILE, reason=HOSTILE, signal=HOSTILE)
    story.skip(HOSTILE, HOSTILE)
    view = TranscriptView(empty_message=HOSTILE)
    outline, inspector, top = Outline(empty_message=HOSTILE), Inspector(), StatusLine()
    app = Bench(top, view, outline, inspector)
    async with app.run_test(size=(70, 130)) as pilot:

        def check() -> None:
            for widget in (view, outline, inspector.pane, inspector.query_one(TabBar), top):
                for strip in lines(widget):
                    assert not FORBIDDEN.search(strip.text), (widget, strip.text)
                    assert (
                        strip.cell_length in (view.view_width, widget.content_size.width)
                        or widget is not view
                    )

        await pilot.pause()
        check()
        view.set_transcript(story.transcript)
        outline.set_transcript(story.transcript)
        outline.set_origin(HOSTILE, HOSTILE, "warning")
        view.extras_of = lambda turn: extras_of(story.detail(turn))
        view.summaries = [Summary(0, 1, HOSTILE, HOSTILE)]
        await pilot.pause()
        check()
        view.summaries = []
        status = Status("held", HOSTILE, HOSTILE, HOSTILE, HOSTILE)
        top.show_status(status, persona=HOSTILE, provider=HOSTILE)
        await pilot.pause()
        check()
        wire = [{"url": HOSTILE, "method": HOSTILE, "request_headers": {HOSTILE: HOSTILE}}]
        messages: Callable[[object], list[object]] = lambda call: [  # noqa: E731
            {"role": HOSTILE, "content": HOSTILE, HOSTILE: HOSTILE},
            HOSTILE,
        ]
        for turn in story.transcript.turns:
            detail = story.detail(turn)
            context = Context(
                messages, wire, story.transcript.totals, HOSTILE, HOSTILE,
                inherited={HOSTILE: totals_from({"cost": 1.0})},
                limits=[Limit(HOSTILE, "tokens", 1, 2)],
                lineage=[(HOSTILE, HOSTILE, "text")], whole={seq: ("", HOSTILE)},
                whole_key=HOSTILE,
            )  # fmt: skip
            for tab in TABS:
                inspector.show(detail, turn, context)
                inspector.tab = tab
                await pilot.pause()
                check()
        figures = figures_text(Figures(notes=(HOSTILE,)), 500)
        assert not FORBIDDEN.search(figures)
