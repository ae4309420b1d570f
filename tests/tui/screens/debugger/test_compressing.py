"""Summarising a history from the screen, and what stands in the place of the turns."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.client.link import ConversationLink
from convtui.errors import EngineError
from convtui.protocol import ContinueFrom, StartSpec
from convtui.transcript.fold import Transcript
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.sources.run import LiveRun
from convtui.tui.sources.source import LiveSource
from convtui.tui.widgets import status
from convtui.tui.widgets.statusline import StatusLine
from convtui.tui.widgets.transcript.summaries import summaries_of
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.sample import header, turn, until, write_log

SUMMARY = "Ida wants her money back.\n\nOpen: the postage."
BEGIN = {"type": "session.started", "session": 1, "session_type": "intake",
         "first_speaker": "persona", "max_turns": 20}  # fmt: skip
TURNS = [turn(n, "persona" if n % 2 else "provider", f"words of turn {n}") for n in range(1, 7)]
OPENING = [header(), BEGIN, *(record for each in TURNS for record in each)]
CHILD: list[dict[str, Any]] = [
    header(change={"kind": "compress", "session": 1, "turn": 5}),
    {"type": "history.seeded", "sessions": ["intake"], "current": 1, "counters": {},
     "turns": [{"session": 1, "turn": n, "speaker": "persona", "text": f"words of turn {n}"}
               for n in range(1, 5)], "messages": {}, "ended": []},
    BEGIN,
]  # fmt: skip
COMPRESSED = {"type": "context.compressed", "session": 1, "summary": SUMMARY, "upto": 4,
              "rows_in": 4}  # fmt: skip
AFTER = [record for each in TURNS[4:] for record in each]


class Compressed:
    """An app on a fake engine, whose next one begins with a summary when it is let to."""

    def __init__(self, folder: Path) -> None:
        log = write_log(folder / "a.jsonl", OPENING, closed=False)
        self.handle = FakeHandle(log)
        child = [*CHILD, COMPRESSED, *AFTER]
        self.next = FakeHandle(write_log(folder / "b.jsonl", child, closed=False))
        self.next.tell(*child)
        self.continued: list[ContinueFrom] = []
        self.done = asyncio.Event()
        self.fails = ""
        self.cancelled = False
        spec = StartSpec(scenario={"persona": {"name": "maya"}}, out_dir=str(folder))
        self.run = LiveRun(
            spec, make_handle=lambda: cast(EngineHandle, self.handle), continue_run=self._go_on
        )
        self.app = ConvtuiApp(
            lambda app: DebuggerScreen(app.keymap, LiveSource(self.run.handle), self.run),
            state_file=folder / "state.json",
        )
        self.app.runs.current = self.run

    async def _go_on(
        self, handle: ConversationLink, spec: StartSpec, parent: ContinueFrom
    ) -> EngineHandle:
        self.continued.append(replace(parent))
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.fails:
            raise EngineError(self.fails)
        self.handle.state = EngineState.CLOSED
        self.next.state = EngineState.RUNNING
        return cast(EngineHandle, self.next)

    @property
    def screen(self) -> DebuggerScreen:
        return next(s for s in self.app.screen_stack if isinstance(s, DebuggerScreen))

    def shown(self) -> str:
        view = self.screen.view
        return "\n".join(view.render_line(y).text for y in range(view.content_size.height))

    def notices(self) -> str:
        return " ".join(notice.message for notice in self.app._notifications)

    @property
    def ordered(self) -> list[str]:
        """What was asked of the engine; asking for its breakpoints changes nothing."""
        return [do for do, _ in self.handle.orders if do != "break_list"]

    async def begin(self, pilot: Any) -> None:
        await until(pilot, lambda: self.handle.state is EngineState.RUNNING)
        self.handle.tell(*OPENING)
        await until(pilot, lambda: self.screen.view.shown_items == 6)
        self.handle.held(("go", "go on"), reason="pause")
        await until(pilot, lambda: self.screen.hold_bar.display)

    async def summarise(self, pilot: Any) -> None:
        await pilot.press("C")
        assert not self.continued, "it asks for a second press"
        await pilot.press("C")
        await until(pilot, lambda: self.continued)


@pytest.fixture
def compressed(tmp_path: Path) -> Compressed:
    return Compressed(tmp_path)


async def test_a_history_is_summarised_and_gone_on_with_held(compressed: Compressed) -> None:
    async with compressed.app.run_test(size=(120, 26), notifications=True) as pilot:
        await compressed.begin(pilot)
        await compressed.summarise(pilot)
        parent = compressed.continued[0]
        assert (parent.kind, parent.held, parent.seq) == ("compress", True, None)
        top = compressed.screen.query_one("#top", StatusLine)
        await until(pilot, lambda: "summarising the history" in top.render_line(0).text)
        assert not compressed.screen.hold_bar.display, "nothing is to be answered now"
        await pilot.press("enter", "space", "w")
        assert compressed.ordered == []
        await until(pilot, lambda: "Not now: summarising the history" in compressed.notices())
        compressed.done.set()
        await until(pilot, lambda: compressed.screen.transcript is compressed.next.transcript)
        await until(pilot, lambda: "Turns 1 to 4 summarised" in compressed.notices())
        assert compressed.screen.conversation.busy_with == ""


async def test_failing_says_why_and_changes_nothing(compressed: Compressed) -> None:
    compressed.fails = "not compressed: the summary is empty"
    compressed.done.set()
    async with compressed.app.run_test(size=(120, 26), notifications=True) as pilot:
        await compressed.begin(pilot)
        await compressed.summarise(pilot)
        await until(pilot, lambda: "Not compressed: the summary is empty." in compressed.notices())
        assert "Nothing has changed" in compressed.notices()
        assert compressed.screen.transcript is compressed.handle.transcript
        await until(pilot, lambda: compressed.screen.hold_bar.display)


async def test_the_summary_can_be_cancelled(compressed: Compressed) -> None:
    async with compressed.app.run_test(size=(120, 26), notifications=True) as pilot:
        await compressed.begin(pilot)
        await compressed.summarise(pilot)
        await pilot.press("x")
        await until(pilot, lambda: compressed.cancelled)
        await until(pilot, lambda: "cancelled: nothing has changed" in compressed.notices())
        assert compressed.ordered == [], "no call of the old engine is cancelled"
        assert compressed.screen.conversation.cancel_busy is None


async def test_the_summary_is_shown_in_the_place_of_the_turns(compressed: Compressed) -> None:
    compressed.done.set()
    async with compressed.app.run_test(size=(120, 26)) as pilot:
        await compressed.begin(pilot)
        await compressed.summarise(pilot)
        screen, view = compressed.screen, compressed.screen.view
        await until(pilot, lambda: screen.transcript is compressed.next.transcript)
        await until(
            pilot, lambda: view.shown_items == 6 and "words of turn 2" in compressed.shown()
        )
        await pilot.press("v")
        await until(pilot, lambda: "= turns 1 to 4 summarised" in compressed.shown())
        shown = compressed.shown()
        assert "Ida wants her money back." in shown and "Open: the postage." in shown
        assert "words of turn 2" not in shown and "words of turn 5" in shown
        assert "showing the summary" in screen.status.notes()
        # It is one place among the turns.
        view.go_to(4)
        view.move(-1)
        assert view.cursor == 0
        view.move(1)
        assert view.cursor == 4
        # Whoever looks for a turn in it sees the turns again.
        view.go_to(2)
        assert view.summaries == [] and view.cursor == 2
        await until(pilot, lambda: "words of turn 3" in compressed.shown())
        await pilot.press("v")
        await until(pilot, lambda: view.summaries)
        assert view.cursor == 0
        await pilot.press("v")
        await until(pilot, lambda: "words of turn 2" in compressed.shown())


@pytest.mark.parametrize("size", [(120, 36), (60, 16), (34, 12)])
async def test_heights_are_what_is_drawn(compressed: Compressed, size: tuple[int, int]) -> None:
    async with compressed.app.run_test(size=size) as pilot:
        await compressed.begin(pilot)
        view = compressed.screen.view
        compressed.handle.tell({**COMPRESSED, "upto": 6})
        view.summaries = summaries_of(compressed.screen.transcript)
        await until(pilot, lambda: not view.measuring)
        assert [view.heights[n] for n in range(1, 6)] == [0] * 5
        assert view.heights[0] == view.line_count == view.measure(0)
        assert view.cursor == 0, "all of it is one summary"
        view.follow = True
        assert view.cursor == 0
        assert all(view.heights.find(line)[0] == 0 for line in range(view.line_count)), (
            "every line belongs to it"
        )


async def test_nothing_was_summarised(compressed: Compressed) -> None:
    async with compressed.app.run_test(size=(120, 26), notifications=True) as pilot:
        await compressed.begin(pilot)
        assert not compressed.screen.enabled("context.view")
        compressed.screen.perform("context.view")
        await until(pilot, lambda: "Nothing has been summarised" in compressed.notices())


def folded(*records: dict[str, Any]) -> Transcript:
    transcript = Transcript()
    for record in records:
        transcript.apply(record)
    return transcript


def test_the_last_summary_of_a_session_counts_and_an_inherited_one_holds() -> None:
    seeded = {**CHILD[1], "counters": {"compressed": {"1": {"summary": "old", "upto": 2}}}}
    (inherited,) = summaries_of(folded(CHILD[0], seeded, BEGIN))
    assert (inherited.first, inherited.last, inherited.text) == (0, 1, "old")
    assert inherited.title == "turns 1 to 2 summarised"
    (own,) = summaries_of(folded(CHILD[0], seeded, BEGIN, {**COMPRESSED, "upto": 3}))
    assert (own.last, own.text) == (2, SUMMARY)
    assert summaries_of(folded(CHILD[0], CHILD[1], BEGIN, {**COMPRESSED, "upto": 0})) == []
    broken = {**seeded, "counters": {"compressed": {"x": 1, "1": None, "7": {"upto": "3"}}}}
    assert summaries_of(folded(CHILD[0], broken, BEGIN)) == []


def test_a_branch_that_summarises_says_so() -> None:
    handle = FakeHandle()
    handle.state = EngineState.PAUSING
    handle.tell(*CHILD)
    shown = status.live_status(cast(EngineHandle, handle))
    assert (shown.state, shown.detail) == ("running", "summarising the history")
    handle.tell(COMPRESSED)
    assert status.live_status(cast(EngineHandle, handle)).state == "pausing"


async def test_nothing_moves_the_conversation_while_the_code_is_reloaded(
    compressed: Compressed,
) -> None:
    async with compressed.app.run_test(size=(120, 26), notifications=True) as pilot:
        await compressed.begin(pilot)
        await pilot.press("R")
        await until(pilot, lambda: compressed.continued)
        assert compressed.continued[0].kind == "reload"
        for key in ("s", "enter", "space", "t", "R"):
            await pilot.press(key)
        assert not await compressed.screen.parts.reply.release("say", {"text": "hello"})
        assert compressed.ordered == []
        await until(pilot, lambda: "Not now: reloading the provider." in compressed.notices())
        assert len(compressed.continued) == 1
        await pilot.press("K", "K")
        assert compressed.handle.state is not EngineState.RUNNING, "it can always be killed"
        compressed.done.set()
        await until(pilot, lambda: compressed.screen.conversation.busy_with == "")
        assert compressed.screen.transcript is compressed.next.transcript
