"""Holds that ask for more than a choice: tool calls, budgets; approval switched as it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList, Static

from convtui.tui.screens import external_editor
from convtui.tui.screens.debugger import hold_drafts
from convtui.tui.screens.dialogs.questions import Ask, Choose, Edit
from convtui.tui.widgets.safe_area import SafeTextArea
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import header, turn, until

SCENARIO: dict[str, Any] = {"persona": {"name": "maya"}, "budget": {"tokens": 100}}
OPENING = [
    header(scenario=SCENARIO),
    {"type": "session.started", "session": 1, "session_type": "intake",
     "first_speaker": "persona", "max_turns": 20},
    *turn(1, "persona", "Hello there."),
    {"type": "turn.started", "session": 1, "turn": 2, "side": "provider", "speaker": "provider"},
]  # fmt: skip
TOOLS = (("go", "go on"), ("deny", "deny"), ("edit", "edit"))
PAY = '{"amount": 5}'


def draft(name: str, tool: str, text: str) -> dict[str, Any]:
    return {"field": name, "label": f"call of {tool}", "text": text, "tool": tool, "round": 1,
            "max_rounds": 64}  # fmt: skip


ONE = [draft("c1", "pay", PAY)]
THREE = [*ONE, draft("c2", "pay", '{"amount": 7}'), draft("c3", "look", "")]


class Held(LiveApp):
    """An app on a fake engine that holds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, OPENING, SCENARIO)

    def shown(self, part: str) -> str:
        return str(self.screen.hold_bar.query_one(f"#hold-{part}").render())

    async def tools(self, pilot: Any, drafts: list[dict[str, Any]], **more: Any) -> None:
        more.setdefault("reason", "tool_approval")
        self.handle.held(*TOOLS, stage="tools", side="provider", drafts=drafts, **more)
        await until(pilot, lambda: self.screen.hold_bar.display)

    async def budget(self, pilot: Any) -> None:
        crossed = {"type": "budget.crossed", "session": 1, "turn": 2, "side": "provider"}
        self.handle.tell({**crossed, "what": "tokens", "limit": 100, "used": 250})
        field = {"field": "limit", "label": "the new budget", "text": ""}
        choices = (("raise", "raise the budget"), ("go", "go on"), ("end", "let it end"))
        self.handle.held(*choices, reason="budget", stage="response", drafts=[field])
        await until(pilot, lambda: self.screen.hold_bar.display)

    async def opened(self, pilot: Any, kind: type[Any]) -> Any:
        await until(pilot, lambda: isinstance(self.app.screen, kind))
        await pilot.pause()
        return self.app.screen


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


async def test_enter_approves_all_calls(held: Held) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        await held.tools(pilot, THREE)
        calls = held.shown("calls")
        assert calls == "1 pay(amount: 5)\n2 pay(amount: 7)\n3 look()"
        assert "enter approve all 3" in held.shown("choices")
        assert "deny one or all" in held.shown("choices")
        await pilot.press("enter")
        assert held.last == ("release", {"choice": "go", "edits": {}})


@pytest.mark.parametrize("size", [(120, 36), (60, 16)])
async def test_the_calls_are_in_the_transcript_while_they_wait(
    held: Held, size: tuple[int, int]
) -> None:
    async with held.app.run_test(size=size) as pilot:
        await held.begin(pilot)
        await held.tools(pilot, THREE, reason="step")
        view = held.screen.view
        await until(
            pilot,
            lambda: (
                "waiting for you"
                in "\n".join(view.render_line(y).text for y in range(view.content_size.height))
            ),
        )
        assert "run all 3" in held.shown("choices"), "nobody's approval is asked for in a step"
        assert held.shown("calls").count("\n") == (2 if size[1] == 36 else 1)
        detail = "round 1 of 64: pay, look may not run without approval"
        await held.tools(pilot, THREE, hold=9, detail=detail)
        await until(pilot, lambda: held.shown("reason").endswith("approval: round 1 of 64"))


async def test_one_call_is_edited_as_json(held: Held) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        await held.tools(pilot, ONE)
        await pilot.press("e")
        dialog = await held.opened(pilot, Edit)
        area = dialog.query_one(SafeTextArea)
        assert area.text == '{\n  "amount": 5\n}', "indented"
        area.text = '{"amount": '
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "no JSON" in str(dialog.query_one(".label", Static).render()))
        assert held.handle.orders == []
        assert area.text == '{"amount": ', "nothing is lost"
        area.text = '{"amount": 1}'
        await pilot.press("ctrl+s")
        await until(pilot, lambda: held.handle.orders)
        assert held.last == ("release", {"choice": "edit", "edits": {"c1": '{"amount": 1}'}})


async def test_an_edit_that_changes_nothing_answers_nothing(held: Held) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        await held.tools(pilot, ONE)
        await pilot.press("e")
        await held.opened(pilot, Edit)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: held.app.screen is held.screen)
        assert held.handle.orders == []


async def test_of_several_calls_one_is_chosen_for_editing(held: Held) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        await held.tools(pilot, THREE)
        await pilot.press("e")
        chooser = await held.opened(pilot, Choose)
        labels = [str(o.prompt) for o in chooser.query_one(OptionList).options]
        assert labels == ["1 pay(amount: 5)", "2 pay(amount: 7)", "3 look()", "all of them"]
        await pilot.press("down", "enter")
        dialog = await held.opened(pilot, Edit)
        assert "the other 2 calls unchanged" in str(dialog.query_one(".label", Static).render())
        dialog.query_one(SafeTextArea).text = '{"amount": 6}'
        await pilot.press("ctrl+s")
        await until(pilot, lambda: held.handle.orders)
        assert held.last[1]["edits"] == {"c2": '{"amount": 6}'}


@pytest.mark.parametrize(
    ("keys", "edits"),
    [
        (("down", "enter"), {"reason": "too much", "deny": ["c2"]}),
        (("down", "down", "down", "enter"), {"reason": "too much"}),
    ],
)
async def test_one_call_or_all_are_denied_with_a_reason(
    held: Held, keys: tuple[str, ...], edits: dict[str, Any]
) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        await held.tools(pilot, THREE)
        await pilot.press("D")
        await held.opened(pilot, Choose)
        await pilot.press(*keys)
        dialog = await held.opened(pilot, Ask)
        dialog.query_one(Input).value = " too much "
        await pilot.press("enter")
        await until(pilot, lambda: held.handle.orders)
        assert held.last == ("release", {"choice": "deny", "edits": edits})


async def test_leaving_the_question_denies_nothing(held: Held) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        await held.tools(pilot, ONE)
        await pilot.press("D")
        await held.opened(pilot, Ask)
        await pilot.press("escape")
        await until(pilot, lambda: held.app.screen is held.screen)
        assert held.handle.orders == []


async def test_json_that_is_wrong_comes_back_from_the_editor_to_be_put_right(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def edit_outside(app: object, command: object, text: str, *, name: str) -> str:
        assert json.loads(text) == {"amount": 5}
        return "{oops"

    monkeypatch.setattr(external_editor, "edit_outside", edit_outside)
    monkeypatch.setattr(external_editor, "editor_command", lambda configured: ["vi"])
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        await held.tools(pilot, ONE)
        await pilot.press("E")
        dialog = await held.opened(pilot, Edit)
        assert dialog.query_one(SafeTextArea).text == "{oops"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "no JSON" in str(dialog.query_one(".label", Static).render()))
        dialog.query_one(SafeTextArea).text = "{}"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: held.handle.orders)
        assert held.last[1]["edits"] == {"c1": "{}"}


async def test_approval_is_switched_on_and_off(held: Held) -> None:
    async with held.app.run_test(size=(120, 26), notifications=True) as pilot:
        await held.begin(pilot)
        await pilot.press("H")
        await until(pilot, lambda: held.handle.orders)
        assert held.last == ("approve_tools", {"on": True})
        await until(pilot, lambda: "Every tool call now waits" in held.notices())
        held.handle.approve_tools = True
        held.handle.notify()
        await until(pilot, lambda: "tools wait for approval" in held.screen.status.notes())
        await pilot.press("H")
        await until(pilot, lambda: len(held.handle.orders) == 2)
        assert held.last == ("approve_tools", {"on": False})


async def test_the_tools_that_a_scenario_names_are_switched_on_again(held: Held) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        held.handle.transcript.header["scenario"] = {**SCENARIO, "approve_tools": ["pay"]}
        assert held.screen.parts.tools.approving == ["pay"]
        held.handle.approve_tools = False
        await held.screen.parts.tools.toggle()
        assert held.last == ("approve_tools", {"on": ["pay"]})


async def test_a_budget_is_raised_to_a_number(held: Held) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        await held.budget(pilot)
        assert "enter raise the budget" in held.shown("choices")
        await pilot.press("enter")
        dialog = await held.opened(pilot, Ask)
        box, hint = dialog.query_one(Input), dialog.query_one(Static)
        assert box.value == "400", "doubled until it is above what was used"
        for wrong, why in (("many", "is not a number"), ("250", "not above what was used (250)"),
                           ("inf", "not above")):  # fmt: skip
            box.value = wrong
            await pilot.press("enter")
            await until(pilot, lambda why=why: why in str(hint.render()))  # type: ignore[misc]
        assert held.handle.orders == []
        box.value = "1,000"
        await pilot.press("enter")
        await until(pilot, lambda: held.handle.orders)
        assert held.last == ("release", {"choice": "raise", "edits": {"limit": 1000.0}})


@pytest.mark.parametrize(("key", "choice"), [("c", "go"), ("X", "end")])
async def test_over_budget_it_can_go_on_or_end(held: Held, key: str, choice: str) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        await held.budget(pilot)
        await pilot.press(key)
        await until(pilot, lambda: held.handle.orders)
        assert held.last == ("release", {"choice": choice, "edits": {}})


async def test_what_a_call_may_use_is_read_before_it_is_made(held: Held) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        usage = "about 104 tokens, price unknown for this call"
        held.handle.held(("go", "go on"), ("edit", "edit"), stage="request", side="provider",
                         drafts=[{"field": "messages", "label": "m", "text": "user: hi"},
                                 {"field": "estimate", "label": "e", "text": usage}])  # fmt: skip
        await until(pilot, lambda: held.screen.hold_bar.display)
        assert held.shown("estimate") == usage
        assert [field for field, _, _ in hold_drafts.drafts_of(held.handle.hold or {})] == [
            "messages"
        ]


@pytest.mark.parametrize(
    ("choice", "text", "sent"),
    [
        ("supply", "what had arrived", {"raw": "what had arrived"}),
        ("supply", "  ", None),
        ("edit", "what had arrived", None),
    ],
)
async def test_what_is_offered_for_a_failed_call_or_hook_may_be_taken_as_it_is(
    held: Held, choice: str, text: str, sent: dict[str, str] | None
) -> None:
    async with held.app.run_test(size=(120, 26)) as pilot:
        await held.begin(pilot)
        drafts = [{"field": "raw", "label": "what had arrived", "text": text}]
        held.handle.held((choice, "write it by hand"), stage="response", drafts=drafts)
        await until(pilot, lambda: held.screen.hold_bar.display)
        await pilot.press("e")
        await held.opened(pilot, Edit)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not isinstance(held.app.screen, Edit))
        if sent is not None:
            await until(pilot, lambda: held.handle.orders)
        released = [order for order in held.handle.orders if order[0] == "release"]
        assert released == ([("release", {"choice": choice, "edits": sent})] if sent else [])
