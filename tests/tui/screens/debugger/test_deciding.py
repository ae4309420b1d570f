"""Decisions by hand, and asked again with an edited brief: the keys, on a fake engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.client.link import ConversationLink
from convtui.log.reader import open_log
from convtui.protocol import ContinueFrom, StartSpec
from convtui.transcript.fold import Transcript
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.questions import Ask, Edit
from convtui.tui.sources.run import LiveRun
from convtui.tui.sources.source import LiveSource
from convtui.tui.widgets.safe_area import SafeTextArea
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.sample import header, turn, until, write_log

SCENARIO = {
    "persona": {
        "name": "Ida",
        "simulator": "responder",
        "responder": {"instructions": "Order 17.", "max_followups": 5},
    }
}
ANSWER = "Order 17, the 9:40."
REASON = "the brief does not tell the ferry from the train"


def decision_records(number: int) -> list[dict[str, Any]]:
    """The records of a turn that a responder decided."""
    at = {"session": 1, "turn": number}
    records = turn(number, "persona", ANSWER)
    for record in records:
        if record["type"].startswith("llm."):
            record["side"] = "responder"
    decision = {"type": "user.decided", **at, "side": "responder", "kind": "reply",
                "tool": "responder_reply", "arguments": {"answer": ANSWER}}  # fmt: skip
    return [*records[:3], decision, *records[3:]]


OPENING = [
    header(scenario=SCENARIO, persona="Ida"),
    {"type": "session.entered", "session": 1, "session_type": "intake", "duration": 0.1},
    {"type": "session.started", "session": 1, "session_type": "intake",
     "first_speaker": "provider", "max_turns": 20},
    *turn(1, "provider", "Which order?"),
    *decision_records(2),
]  # fmt: skip
CHOICES = (("go", "go on"), ("reply", "reply by hand"), ("stop", "stop by hand"),
           ("abstain", "abstain by hand"), ("again", "ask again"), ("skip", "skip"))  # fmt: skip


def drafts(kind: str, text: str) -> list[dict[str, Any]]:
    decision = {"kind": kind, "tool": f"responder_{kind}", "valid": True}
    key = "answer" if kind == "reply" else "reason"
    decision |= {"arguments": {key: text}, "reason": text if key == "reason" else None}
    return [{"field": "decision", "label": "decision", "text": kind, "decision": decision},
            {"field": "raw", "label": "answer", "text": text}]  # fmt: skip


class Deciding:
    """An app on a fake engine whose user decides."""

    def __init__(self, folder: Path) -> None:
        self.log = write_log(folder / "a.jsonl", OPENING, closed=False)
        self.handle = FakeHandle(self.log)
        self.next = FakeHandle(self.log)
        self.continued: list[ContinueFrom] = []
        spec = StartSpec(scenario={**SCENARIO, "provider": "demo"}, out_dir=str(folder))
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
        self.handle.state = EngineState.CLOSED
        self.next.transcript = self.fold()
        self.next.held(*CHOICES, reason="pause", stage="response", side="persona",
                       drafts=drafts("reply", ANSWER))  # fmt: skip
        return cast(EngineHandle, self.next)

    @property
    def screen(self) -> DebuggerScreen:
        return next(s for s in self.app.screen_stack if isinstance(s, DebuggerScreen))

    async def begin(self, pilot: Any) -> None:
        await until(pilot, lambda: self.handle.state is EngineState.RUNNING)
        self.handle.transcript = self.fold()
        self.handle.notify()
        await until(pilot, lambda: self.screen.view.shown_items == 2)

    def fold(self) -> Transcript:
        with open_log(self.log) as log:
            return log.transcript

    async def hold(self, pilot: Any, kind: str = "reply", text: str = ANSWER) -> None:
        self.handle.held(*CHOICES, stage="response", side="persona", drafts=drafts(kind, text))
        await until(pilot, lambda: self.screen.hold_bar.display)

    @property
    def last(self) -> tuple[str, dict[str, Any]]:
        return self.handle.orders[-1]


@pytest.fixture
def deciding(tmp_path: Path) -> Deciding:
    return Deciding(tmp_path)


async def test_a_held_decision_is_told_and_can_be_replaced(deciding: Deciding) -> None:
    async with deciding.app.run_test(size=(120, 26)) as pilot:
        await deciding.begin(pilot)
        await deciding.hold(pilot)
        bar = deciding.screen.hold_bar
        assert "+ reply (responder_reply): Order 17" in str(
            bar.query_one("#hold-decision").render()
        )
        assert "A edit the brief" in str(bar.query_one("#hold-choices").render())
        await pilot.press("e")
        await until(pilot, lambda: isinstance(deciding.app.screen, Edit))
        area = deciding.app.screen.query_one(SafeTextArea)
        assert area.text == ANSWER
        area.text = "Order 18."
        await pilot.press("ctrl+s")
        await until(pilot, lambda: deciding.handle.orders)
        assert deciding.last == ("release", {"choice": "reply", "edits": {"raw": "Order 18."}})


async def test_an_answer_in_place_of_an_abstention_begins_empty(deciding: Deciding) -> None:
    async with deciding.app.run_test(size=(120, 26)) as pilot:
        await deciding.begin(pilot)
        await deciding.hold(pilot, "abstain", REASON)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(deciding.app.screen, Edit))
        area = deciding.app.screen.query_one(SafeTextArea)
        assert area.text == ""
        area.text = "  "
        await pilot.press("ctrl+s")
        await until(pilot, lambda: any("cannot be empty" in n.message
                                       for n in deciding.app._notifications))  # fmt: skip
        assert not deciding.handle.orders


async def test_stopping_at_once_and_abstaining_with_a_reason(deciding: Deciding) -> None:
    async with deciding.app.run_test(size=(120, 26)) as pilot:
        await deciding.begin(pilot)
        await deciding.hold(pilot)
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(deciding.app.screen, Ask))
        await pilot.press("enter")
        assert isinstance(deciding.app.screen, Ask)
        await pilot.press(*"why", "enter")
        await until(pilot, lambda: deciding.handle.orders)
        assert deciding.last == ("release", {"choice": "abstain", "edits": {"reason": "why"}})
        await deciding.hold(pilot)
        await pilot.press("S")
        assert deciding.last == ("release", {"choice": "stop", "edits": {}})


async def test_a_held_decision_is_asked_again_with_another_brief(deciding: Deciding) -> None:
    async with deciding.app.run_test(size=(120, 26)) as pilot:
        await deciding.begin(pilot)
        await deciding.hold(pilot)
        await pilot.press("A")
        await until(pilot, lambda: isinstance(deciding.app.screen, Edit))
        area = deciding.app.screen.query_one(SafeTextArea)
        assert area.text == "Order 17."
        area.text = "Order 17 and 18."
        await pilot.press("ctrl+s")
        await until(pilot, lambda: deciding.handle.orders)
        edits = {"instructions": "Order 17 and 18."}
        assert deciding.last == ("release", {"choice": "again", "edits": edits})
        assert deciding.screen.parts.briefs.brief == "Order 17 and 18."
        assert deciding.screen.inspector.tab == "Decision"


async def test_a_decision_gone_by_is_asked_again_in_a_branch(deciding: Deciding) -> None:
    async with deciding.app.run_test(size=(120, 26)) as pilot:
        await deciding.begin(pilot)
        await pilot.press("A")
        assert any("Press A again" in n.message for n in deciding.app._notifications)
        await pilot.press("A")
        await until(pilot, lambda: isinstance(deciding.app.screen, Edit))
        deciding.app.screen.query_one(SafeTextArea).text = "Order 18."
        deciding.handle.held(("go", "go on"), reason="pause")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: deciding.continued)
        # Up to the reply that the old decision came of: that is held again without a call.
        reply = next(n for n, r in enumerate(OPENING)
                     if r["type"] == "llm.response" and r.get("side") == "responder")  # fmt: skip
        assert deciding.continued[-1].seq == reply
        assert deciding.continued[-1].held
        await until(pilot, lambda: deciding.next.orders)
        edits = {"instructions": "Order 18."}
        assert deciding.next.orders[0] == ("release", {"choice": "again", "edits": edits})
        deciding.next.held(("go", "go on"), stage="request", hold=99)
        await until(pilot, lambda: len(deciding.next.orders) > 1)
        assert deciding.next.orders[1][0] == "step_stage"


async def test_a_recorded_decision_is_asked_again_in_a_run_of_its_own(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", OPENING)
    started: list[tuple[StartSpec, Any]] = []

    async def start(spec: StartSpec, *, python: str | None = None, again: Any = None) -> None:
        started.append((spec, again))

    app = ConvtuiApp(lambda app: app.runs.recording(log))
    app.runs.start = start  # type: ignore[method-assign]
    async with app.run_test(size=(120, 26)) as pilot:
        screen = cast(DebuggerScreen, app.screen)
        await until(pilot, lambda: screen.view.shown_items == 2)
        await until(pilot, lambda: screen.parts.briefs.brief and screen.view.cursor >= 0)
        screen.view.go_to(1)
        await pilot.press("A", "A")
        await until(pilot, lambda: isinstance(app.screen, Edit))
        app.screen.query_one(SafeTextArea).text = "Order 18."
        await pilot.press("ctrl+s")
        await until(pilot, lambda: started)
    spec, again = started[0]
    assert again == ("Order 18.", (1, 2))
    assert spec.continue_from is not None
    assert spec.continue_from.held
    assert not spec.vouched and not spec.trust, "the engine asks what the log may run"
    assert spec.scenario["persona"]["name"] == "Ida"


async def test_d_opens_the_decision_then_the_responders_conversation(deciding: Deciding) -> None:
    async with deciding.app.run_test(size=(80, 24)) as pilot:
        await deciding.begin(pilot)
        await pilot.press("d")
        screen = deciding.screen
        assert screen.inspecting
        assert screen.inspector.tab == "Decision"
        await until(pilot, lambda: "responder_reply" in screen.inspector.copy_text())
        await pilot.press("d")
        await until(pilot, lambda: "responder's conversation" in screen.inspector.copy_text())
        screen.view.go_to(0)
        await until(pilot, lambda: "not been called" in screen.inspector.copy_text())
