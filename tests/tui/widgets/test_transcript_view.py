"""The transcript widget: what it draws, where it scrolls, what it says."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from itertools import product

import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import Selection

from convtui.printing.turn_sign import turn_sign
from convtui.transcript.fold import Flag, Session, Transcript
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.palette import Palette, plain
from convtui.tui.drawing.strips import PlacedStrips
from convtui.tui.sources.break_marks import BreakMark
from convtui.tui.textual_compat import KeptLines
from convtui.tui.widgets.transcript.calls import call_spans
from convtui.tui.widgets.transcript.geometry import Geometry
from convtui.tui.widgets.transcript.marks import (
    TurnExtras,
    badges,
    extras_of,
    own_row_count,
    own_rows,
)
from convtui.tui.widgets.transcript.session_rows import Frame, head_rows, session_head
from convtui.tui.widgets.transcript.transcript_view import TranscriptView
from convtui.tui.widgets.transcript.turn_lines import TurnLines, measure_turn
from tests.builders.waiting import WITHIN
from tests.tui.harness.sources import Story, ferry, many, match


class Stage(App[None]):
    """An app with a transcript and nothing else."""

    CSS = "TranscriptView.-framed { border: round red; } .-framed:focus { border: round blue; }"

    def __init__(self, transcript: Transcript | None = None, empty: str = "") -> None:
        super().__init__()
        self.view = TranscriptView(empty_message=empty)
        self.wanted = transcript
        self.selected: list[int] = []
        self.opened: list[int] = []
        self.found: list[tuple[int, bool]] = []

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        if self.wanted is not None:
            self.view.set_transcript(self.wanted)
        self.view.focus()

    def on_transcript_view_turn_selected(self, event: TranscriptView.TurnSelected) -> None:
        self.selected.append(event.turn_index)

    def on_transcript_view_turn_opened(self, event: TranscriptView.TurnOpened) -> None:
        self.opened.append(event.turn_index)

    def on_transcript_view_search_progress(self, event: TranscriptView.SearchProgress) -> None:
        self.found.append((event.count, event.done))


def screen(view: TranscriptView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.view_height)]


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():
            await pilot.pause()


async def settled(pilot: Pilot[None], view: TranscriptView) -> None:
    await until(pilot, lambda: view.view_width > 0 and not view.measuring)


def consistent(view: TranscriptView) -> None:
    """What was counted is what is drawn."""
    for item in range(view.shown_items):
        if view.heights.is_exact(item):
            assert view.heights[item] == view.measure(item)
            assert view._lines(item).height == view.heights[item], view.turn_at(item)


@pytest.mark.parametrize("size", [(120, 36), (78, 24), (60, 16), (34, 12)])
async def test_everything_is_said_in_words(size: tuple[int, int]) -> None:
    story = ferry()
    app = Stage(story.transcript)
    app.view.extras_of = lambda turn: extras_of(story.detail(turn))
    async with app.run_test(size=size) as pilot:
        view = app.view
        await settled(pilot, view)
        consistent(view)
        seen = ""
        for index in range(view.shown_items):
            view.go_to(index)
            await pilot.pause()
            seen += "\n".join(screen(view)) + "\n"
        flat = " ".join(seen.split())
        for expected in (
            "raw differs",
            "! tool find_trip(",
            "failed",
            "retry",
            "printed",
            "human",
            "near-empty reply",
            "held at post_process",
            "discarded: signal [[ERROR]]" + " 0-9" * (size[0] > 40),
            "by should_discard_response",
            "session 2",
            "ended early by ",
        ):
            assert expected in flat, expected
        assert re.search(r"✗ +3 provider", flat)
        assert re.search(r"▸ +5 provider", flat)


def test_measured_heights_are_the_drawn_ones() -> None:
    story = ferry()
    for width in (30, 44, 60, 100):
        geometry = Geometry(width, 2, 1)
        for turn in story.transcript.turns:
            for extra in (None, extras_of(story.detail(turn))):
                lines = TurnLines(geometry, Palette())
                lines.update(turn, Frame(), extra, None, None)
                if turn.status != "open" and not (extra and extra.uses):
                    assert lines.height == measure_turn(turn, geometry)
                for row in range(lines.height):
                    assert lines.strip(row).cell_length <= width


def test_own_rows_are_counted() -> None:
    turn = Story()
    turn.begin()
    turn.reply("x", matches=[match("x", 0)], commit=False)
    subject = turn.transcript.turns[0]
    for flags in range(16):
        subject.flags = 2 | (flags & 1) * Flag.ERROR | (flags & 2) * 4096 | (flags & 4) * 2048
        for short, folded in product((False, True), repeat=2):
            rows = own_rows(subject, short=short, folded=folded)
            assert len(rows) == own_row_count(subject, short=short, folded=folded)


def test_signs() -> None:
    turn = ferry().transcript.turns[0]
    assert turn_sign(turn)[0] == "∙"
    for flag, sign in (
        (Flag.DISCARDED, "✗"),
        (Flag.HELD | Flag.DISCARDED, "▸"),
        (Flag.ERROR, "!"),
        (Flag.SKIPPED, "⊘"),
        (Flag.EDITED, "✎"),
        (Flag.SIGNAL, "◊"),
    ):
        turn.flags = flag
        assert turn_sign(turn)[0] == sign


def test_badges_cover_every_flag() -> None:
    turn = ferry().transcript.turns[0]
    silent = Flag.ENDED | Flag.DISCARDED | Flag.ERROR | Flag.SKIPPED | Flag.CANCELLED
    silent |= Flag.INTERIM  # lines before the text say it
    silent |= Flag.SEEDED  # said once, at the last one
    for flag in Flag:
        turn.flags = flag
        shown = bool(badges(turn)) or bool(own_rows(turn))
        assert shown or flag & silent, flag
    turn.flags = Flag.SEEDED
    turn.code("branch")
    assert plain(badges(turn)) == "the branch begins after this"
    turn.flags = Flag.DECISION
    assert plain(badges(turn, TurnExtras(decision="responder_reply answer=yes"))) == (
        "decision responder_reply answer=yes"
    )


async def test_an_empty_transcript_says_what_to_do() -> None:
    app = Stage(Transcript(), "Press space to begin.")
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: app.view.view_width > 0)
        assert any("Press space to begin." in line for line in screen(app.view))
        app.view.move(1)
        app.view.page(1)
        assert app.view.cursor == -1
        assert app.view.copy_text() == ""


async def test_lines_with_nothing_in_them_are_one_and_the_same() -> None:
    app = Stage(Transcript(), "Press space to begin.")
    async with app.run_test(size=(60, 16)) as pilot:
        view = app.view
        await until(pilot, lambda: view.view_width > 0)
        lines = [view.render_line(y) for y in range(16)]
        blank = [line for line in lines if not line.text.strip()]
        assert len(blank) == 15
        assert {id(line) for line in blank} == {id(blank[0])}
        width, base = view.scrollable_content_region.width, view.rich_style
        drawn = view.empty_row(0).apply_style(base).crop_extend(0, width, base)
        assert blank[0].simplify() == drawn.simplify()
        await pilot.resize_terminal(50, 16)
        await until(pilot, lambda: view.view_width < 50)
        assert view.render_line(0).cell_length == view.scrollable_content_region.width


async def test_a_session_without_turns() -> None:
    story = Story()
    story.begin("intake")
    app = Stage(story.transcript, "waits")
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: app.view.view_width > 0)
        assert "session 1 · intake" in screen(app.view)[0]
        story.reply("hello", speaker="persona")
        app.view.refresh_turns({0})
        await settled(pilot, app.view)
        assert "session 1 · intake" in screen(app.view)[0]
        story.end()
        story.skip("coaching", "session 1 failed")
        app.view.refresh_turns(set())
        await settled(pilot, app.view)
        text = "\n".join(screen(app.view))
        assert "ended: turn limit reached · 20 turns" in text
        assert "session 2 · coaching · skipped: session 1 failed" in text
        consistent(app.view)


async def test_moving_following_and_opening() -> None:
    transcript = many(300)
    app = Stage(transcript)
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.view
        await settled(pilot, view)
        assert view.follow
        assert view.cursor == 299
        assert "299 lorem" in " ".join(" ".join(screen(view)).split()) or view.max_scroll_y > 0
        await pilot.press("up")
        assert (view.cursor, view.follow) == (298, False)
        await pilot.press("home")
        assert view.cursor == 0
        assert round(view.scroll_y) == 0
        await pilot.press("pagedown")
        assert 0 < view.cursor < 20
        await pilot.press("end")
        assert view.follow
        assert round(view.scroll_y) == view.max_scroll_y
        view.scroll_lines(-3)
        assert (view.cursor, view.follow) == (299, False)
        view.scroll_lines(50)
        assert view.stick_to_end
        await pilot.press("enter")
        await until(pilot, lambda: app.opened == [299])
        assert app.selected[-1] == 299
        view.go_to(10)
        assert view.find_interesting() == 49
        view.go_to(49)
        assert view.find_interesting(-1) is None
        for row in (0, 5):
            view.go_to(150)
            view.scroll_to(y=view.heights.start(150) - row, animate=False)
            await pilot.pause()
            assert view.render_line(row).text.startswith("▌")


async def test_only_what_is_seen_is_measured_until_all_is_to_be() -> None:
    app = Stage(many(3000))
    app.view.measures_all = False
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.view
        await until(pilot, lambda: view.view_width > 0)
        for index in (2999, 0, 1500):
            view.go_to(index)
            await pilot.pause()
            assert f" {index + 1} " in "\n".join(screen(view))
        assert not view.measuring
        exact = [item for item in range(3000) if view.heights.is_exact(item)]
        assert 3 <= len(exact) < 200
        consistent(view)
        top = screen(view)
        view.measures_all = True
        await settled(pilot, view)
        assert view.heights.next_estimate() == -1
        assert screen(view) == top
        consistent(view)


async def test_another_width_measures_what_is_seen_first_and_in_the_end_all() -> None:
    app = Stage(many(3000))
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.view
        await settled(pilot, view)
        view.go_to(1500)
        await pilot.pause()
        for width in (50, 64, 120):
            await pilot.resize_terminal(width, 24)
            await until(pilot, lambda width=width: view.view_width > width - 8)  # type: ignore[misc]
            assert any(line.startswith("▌") for line in screen(view))
        await settled(pilot, view)
        assert view.heights.next_estimate() == -1
        consistent(view)
        assert any(line.startswith("▌") for line in screen(view))


async def test_the_end_stays_in_sight_while_turns_come() -> None:
    transcript = many(50)
    app = Stage(transcript)
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.view
        await settled(pilot, view)
        for number in range(51, 60):
            transcript.apply(
                {"type": "turn.committed", "session": 1, "turn": number, "speaker": "persona",
                 "text": f"text {number}", "words": 2}
            )  # fmt: skip
            view.refresh_turns({number - 1})
            await pilot.pause()
            assert view.cursor == number - 1
            assert any(f"text {number}" in line for line in screen(view))
        view.go_to(20)
        top = screen(view)
        transcript.apply({"type": "turn.committed", "session": 1, "turn": 60, "text": "x"})
        view.refresh_turns({59})
        await pilot.pause()
        assert screen(view) == top
        assert view.cursor == 20


@pytest.mark.parametrize("change", ["narrower", "wider", "another conversation", "measured again"])
async def test_no_rows_stay_empty_below_the_end_when_heights_change(change: str) -> None:
    app = Stage(many(300))
    async with app.run_test(size=(100, 40)) as pilot:
        view = app.view
        await settled(pilot, view)
        view.keep_room(0, 2)
        view.most_room = 20
        if change == "another conversation":
            view.set_transcript(many(200))
        elif change == "measured again":
            view.remeasure()
        else:
            await pilot.resize_terminal(40 if change == "narrower" else 160, 40)
        await settled(pilot, view)
        assert view.follow
        assert round(view.scroll_y) + view.view_height == view.line_count


async def test_room_below_the_end_is_given_up_when_it_is_too_much() -> None:
    app = Stage(many(50))
    async with app.run_test(size=(80, 30)) as pilot:
        view = app.view
        await settled(pilot, view)

        def room() -> int:
            return round(view.scroll_y) + view.view_height - view.line_count

        view.keep_room(0, 5)
        await pilot.resize_terminal(80, 33)
        await until(pilot, lambda: view.view_height == 33)
        await until(pilot, lambda: room() == 3)
        view.keep_room(0, 2)
        assert room() == 2
        view.keep_room(0, 0)
        assert room() == 0


async def test_resizing_keeps_the_selected_turn_in_place() -> None:
    app = Stage(many(5_000))
    async with app.run_test(size=(100, 30)) as pilot:
        view = app.view
        await settled(pilot, view)
        view.go_to(2_500)
        await pilot.pause()
        row = view.heights.start(2_500) - round(view.scroll_y)
        for width in (60, 120):
            await pilot.resize_terminal(width, 30)
            await until(pilot, lambda width=width: abs(view.view_width - width) < 3)  # type: ignore[misc]
            assert view.heights.start(2_500) - round(view.scroll_y) == row
            await settled(pilot, view)
            assert view.heights.start(2_500) - round(view.scroll_y) == row
            assert "2501" in view.render_line(row).text
            assert view.virtual_size.height == view.line_count
        consistent(view)


async def test_a_limit_hides_what_comes_after() -> None:
    story = ferry()
    app = Stage(story.transcript)
    async with app.run_test(size=(80, 60)) as pilot:
        view = app.view
        await settled(pilot, view)
        view.set_limit(3)
        text = "\n".join(screen(view))
        assert "ended early by " in text
        assert "Welcome back" not in text
        assert view.cursor == 3
        turn = Transcript()
        early = turn.apply({"type": "turn.started", "session": 1, "turn": 4, "speaker": "provider"})
        view.set_limit(3, early)
        text = "\n".join(screen(view))
        assert "ended" not in text
        assert "waiting for the reply" in text
        view.set_limit(None)
        await pilot.pause()
        assert "Welcome back" in "\n".join(screen(view))
        consistent(view)


async def test_raw_texts_are_asked_for_what_is_seen_only() -> None:
    app = Stage(many(2_000))
    requested: set[int] = set()

    def text_of(turn: object, mode: str) -> str:
        index = app.view.transcript.turns.index(turn)  # type: ignore[arg-type]
        requested.add(index)
        return f"{mode} of {index} " * 30

    app.view.text_of = text_of
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.view
        await settled(pilot, view)
        view.mode = "raw"
        await pilot.pause()
        assert "raw of 1999" in " ".join(screen(view))
        assert len(requested) < 60
        view.go_to(1_000)
        await pilot.pause()
        assert "raw of 1000" in " ".join(screen(view))
        view.mode = "shown"
        await settled(pilot, view)
        consistent(view)


async def test_search() -> None:
    app = Stage(many(1_000))
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.view
        await settled(pilot, view)
        view.search("500 ")
        await until(pilot, lambda: bool(app.found) and app.found[-1][1])
        assert view.search_count == 1
        assert view.find_match() == 500
        view.go_to(500)
        assert view.search_position == 1
        view.search(lambda turn: bool(turn.flags & Flag.EDITED))
        await until(pilot, lambda: app.found[-1] == (20, True))
        assert view.find_match(-1) == 499
        view.search(re.compile("lor.m"))
        await until(pilot, lambda: app.found[-1][1] and app.found[-1][0] > 900)
        view.search(None)
        assert view.search_count == 0
        assert view.find_match() is None


async def test_streaming_draws_the_tail() -> None:
    story = Story()
    story.begin()
    story.open()
    app = Stage(story.transcript)
    async with app.run_test(size=(60, 16)) as pilot:
        view = app.view
        await settled(pilot, view)
        assert "waiting for the reply" in " ".join(screen(view))
        for number in range(400):
            story.transcript.stream(1, 1, f"token{number} ")
            if number % 20 == 0:
                view.refresh_turns({0})
                await pilot.pause()
                assert f"token{number} ▌" in " ".join(screen(view))
        view.refresh_turns({0})
        consistent(view)
        story.reply("the end", speaker="persona")
        view.refresh_turns({0, 1})
        await settled(pilot, view)
        consistent(view)


def drawn(view: TranscriptView) -> list[list[Segment]]:
    return [list(strip) for strip in view.render_lines(view.outer_size.region)]


def drawn_anew(view: TranscriptView) -> list[list[Segment]]:
    """What is drawn where nothing was kept of earlier frames."""
    kept = (view._cache, view._strips, view._styles_cache)
    view._cache, view._strips, view._styles_cache = {}, PlacedStrips(), KeptLines()
    lines = drawn(view)
    view._cache, view._strips, view._styles_cache = kept
    return lines


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_kept_of_earlier_frames_is_what_would_be_drawn_anew(seed: int) -> None:
    chance = random.Random(seed)
    story = Story()
    story.begin()
    story.open()
    app = Stage(story.transcript)
    noted: set[int] = set()

    def stream() -> None:
        text = chance.choice(["word " * chance.randint(1, 40), "a\nb\n", "é👍🏽 ", "line\n\nnext "])
        story.transcript.stream(story.session, story.number, text)
        changed.add(len(story.transcript.turns) - 1)

    def finish() -> None:
        story.finish("as it was said in the end", commit=chance.random() < 0.7)
        changed.add(len(story.transcript.turns) - 1)
        story.open(chance.choice(["persona", "provider"]))

    def note() -> None:
        noted.symmetric_difference_update({chance.randrange(len(story.transcript.turns))})
        app.view.set_noted(frozenset(noted))

    changes: list[Callable[[], object]] = [
        *(stream, stream, stream, finish, finish, note),
        lambda: app.view.move(chance.choice([-1, 1])),
        lambda: setattr(app.view, "follow", not app.view.follow),
        lambda: app.view.page(chance.choice([-1, 1])),
        lambda: app.view.search(chance.choice(["word", "next", None])),
        lambda: app.view.toggle_class("-framed"),
        lambda: app.view.blur() if app.view.has_focus else app.view.focus(),
    ]
    async with app.run_test(size=(60, 24)) as pilot:
        view = app.view
        await settled(pilot, view)
        for _ in range(60):
            changed: set[int] = set()
            for _ in range(chance.randint(1, 4)):
                chance.choice(changes)()
            view.refresh_turns(changed)
            if chance.random() < 0.5:
                await pilot.pause()
            assert drawn(view) == drawn_anew(view)


def test_only_the_last_lines_of_a_long_text_are_kept_as_drawn() -> None:
    story = Story()
    story.begin()
    story.open()
    lines = TurnLines(Geometry(60, 2, 1), Palette())
    turn = story.transcript.turns[0]
    for number in range(1000):
        story.transcript.stream(1, 1, f"line {number}\n")
        lines.update(turn, Frame(), None, None, None)
        assert f"line {number}" in lines.strip(number).text
    assert len(lines._strips) <= 200
    assert "line 0" in lines.strip(0).text


def test_the_signs_of_a_turn_that_streams_change_with_its_state() -> None:
    story = Story()
    story.begin()
    story.open()
    turn = story.transcript.turns[0]
    story.transcript.stream(1, 1, "several words that need more than one line " * 4)
    lines = TurnLines(Geometry(60, 2, 1), Palette())

    def head(extra: TurnExtras | None = None) -> str:
        lines.update(turn, Frame(), extra, None, None)
        return lines.strip(0).text[1:3]

    assert head() == f"{glyphs.WORKING} "
    turn.flags |= Flag.HELD
    assert head() == f"{glyphs.HELD} "
    mark = BreakMark(1)
    assert head(TurnExtras(breakpoint=mark)) == f"{glyphs.HELD}{mark.sign[0]}"


async def test_a_huge_line_is_cut_and_says_so() -> None:
    story = Story()
    story.begin()
    story.reply("y" * 1_000_000)
    app = Stage(story.transcript)
    async with app.run_test(size=(60, 16)) as pilot:
        await settled(pilot, app.view)
        assert any("more characters in the inspector" in line for line in screen(app.view))


async def test_clicks_select_and_open() -> None:
    app = Stage(many(20))
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.view
        await settled(pilot, view)
        view.go_to(0)
        await pilot.pause()
        second = view.heights.start(1)
        await pilot.click(view, offset=(20, second))
        assert view.cursor == 1
        await pilot.click(view, offset=(20, second), times=2)
        await until(pilot, lambda: app.opened == [1])


async def test_copying() -> None:
    story = ferry()
    app = Stage(story.transcript)
    async with app.run_test(size=(60, 40)) as pilot:
        view = app.view
        await settled(pilot, view)
        view.go_to(0)
        assert view.copy_text() == "Hi, my ferry was cancelled and nobody told me."
        whole = view.copy_transcript()
        assert "7 provider" not in whole
        assert "[discarded: signal [[ERROR]] by should_discard_response]" in whole
        assert "session 2 · coaching" in whole
        start = view.heights.start(1)
        chosen = Selection(Offset(0, start), Offset(60, start + 2))
        selected = view.get_selection(chosen)
        assert selected is not None
        assert selected[0].startswith("I am sorry to hear that. Which trip was it, and when were")
        assert "\n" not in selected[0]
        everything = view.get_selection(Selection(None, None))
        assert everything == (whole, "\n")
        app.screen.selections = {view: chosen}
        view.selection_updated(chosen)
        await pilot.pause()
        assert "I am sorry" in view.render_line(start - round(view.scroll_y)).text


def test_the_head_of_a_warm_session_says_so() -> None:
    session = Session(1, "work")
    assert "warm" not in plain(session_head(session, 76))
    session.warm = ("desk\x1b[31m", 8)
    assert "· + warm desk␛[31m, 8 messages ─" in plain(session_head(session, 76))
    seeded = {"type": "context.seeded", "template": "desk", "messages": [{}] * 8}
    assert plain(call_spans(seeded)) == "+ warm desk (8)"


async def test_what_earlier_attempts_taught_stands_below_the_first_head() -> None:
    story = ferry()
    lesson = "Ask for the booking number before anything else. " * 3 + "\x1b[31mThen wait."
    story.transcript.sessions[0].reflections = ((1, lesson),)
    app = Stage(story.transcript)
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot, app.view)
        app.view.go_to(0)
        await settled(pilot, app.view)
        rows = [line.rstrip() for line in screen(app.view)]
        assert rows[0].startswith(" ── session 1")
        assert rows[1] == "    after attempt 1, to do otherwise:"
        assert rows[2] == "      Ask for the booking number before anything else. Ask"
        assert rows[4].endswith("␛[31mThen")
        assert rows[5] == "      wait."
        first = rows[6]
        assert first.lstrip("▌┃│ ").startswith("1 ")
        # The selection and the copied rows begin below it.
        style = app.view.row_style(0, 5), app.view.row_style(0, 6)
        assert style[0] is None
        assert style[1] is not None


def test_a_long_reflection_is_cut() -> None:
    session = Session(1, "work")
    session.reflections = ((1, "\n".join(map(str, range(30)))),)
    rows = [plain(row) for row in head_rows(session, 60)]
    assert rows[1:3] == ["   after attempt 1, to do otherwise:", "     0"]
    assert rows[-1] == "     … 20 more lines in the provider's request"
    assert len(rows) == 13
    assert plain(call_spans({"type": "reflection.added", "of": 1})) == "+ reflection"


async def test_a_long_reason_of_an_ending_folds() -> None:
    story = ferry()
    reason = "the responder has what it came for, and " * 4 + "nothing is left to ask"
    story.begin("last")
    story.reply("Bye.", speaker="persona")
    story.end("stopped", "responder", reason=reason)
    app = Stage(story.transcript)
    async with app.run_test(size=(60, 30)) as pilot:
        await settled(pilot, app.view)
        rows = [line.strip() for line in screen(app.view)]
        start = next(n for n, row in enumerate(rows) if row.startswith("── ended by responder ─"))
        assert " ".join(rows[start + 1 : start + 5]).strip().startswith(reason)
        assert not any("…" in row for row in rows[start:])
        consistent(app.view)
