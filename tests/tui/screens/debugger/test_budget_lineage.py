"""What a log tells of its budget, and where it comes from, as the screen shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.log.reader import digest_until
from convtui.transcript.fold import Transcript, Turn
from convtui.transcript.past import totals_from
from convtui.transcript.usage import inherited_usage, used_by_side
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.sources.budget import UsedUpTo, current_limits, last_crossed, parse_limit
from convtui.tui.sources.lineage import look_for_parent, origin_of
from convtui.tui.sources.replay import ReplaySource
from convtui.tui.widgets import status
from convtui.tui.widgets.inspector.tabs import Context, build
from convtui.tui.widgets.statusline import Figures, SideBudget, figures_text
from tests.tui.harness.sample import header, refund, turn, until, write_log
from tests.tui.harness.sources import Story

BUDGET = {"tokens": 1000, "cost": 0.5, "persona": {"tokens": 300}, "provider": {"cost": 0.2}}


def story(spent: dict[str, Any] | None = None, **counters: Any) -> Transcript:
    transcript = Transcript()
    transcript.apply({"type": "header", "id": "x", "scenario": {"budget": BUDGET}})
    transcript.apply({"type": "history.seeded", "turns": [], "sessions": [], "counters": counters})
    for side in ("provider", "responder"):
        record = {"type": "llm.response", "session": 1, "turn": 1, "side": side, "raw": "x"}
        transcript.apply({**record, **({"usage": spent} if spent else {})})
    return transcript


def crossed(what: str, limit: float, used: float, turn: int = 2) -> dict[str, Any]:
    return {"type": "budget.crossed", "session": 1, "turn": turn, "scope": "conversation",
            "what": what, "limit": limit, "used": used}  # fmt: skip


def test_limits_count_what_was_used_before_and_by_the_responder() -> None:
    usage = {"prompt_tokens": 90, "completion_tokens": 10, "cost": 0.05}
    transcript = story(usage, usage={"persona": {"prompt_tokens": 50}, "provider": {"cost": 0.1}})
    assert inherited_usage(transcript)["provider"] == {"cost": 0.1}
    assert used_by_side(transcript)["provider"]["cost"] == pytest.approx(0.15)
    limits = {
        (limit.scope, limit.what): limit for limit in current_limits(transcript, {"budget": BUDGET})
    }
    assert limits["conversation", "tokens"].used == 250
    assert limits["persona", "tokens"].used == 150, "the responder's calls are the persona's"
    assert limits["provider", "cost"].used == pytest.approx(0.15)


@pytest.mark.parametrize(
    "usage",
    [
        "much",
        ["provider"],
        {"provider": "much"},
        {"provider": {"cost": "much", "prompt_tokens": [1], "completion_tokens": True}},
    ],
)
def test_usage_that_is_no_number_counts_as_unknown(usage: Any) -> None:
    transcript = story({"prompt_tokens": 90, "cost": 0.05}, usage=usage)
    assert used_by_side(transcript)["provider"] == {"prompt_tokens": 90, "cost": 0.05}
    (limit, *_) = current_limits(transcript, {"budget": BUDGET})
    assert limit.used == 180


def test_what_nobody_named_is_unknown() -> None:
    limits = current_limits(story(), {"budget": BUDGET})
    assert [limit.used for limit in limits] == [None] * 4
    assert current_limits(story(), {"budget": "no"}) == [] == current_limits(story(), {})


def test_a_limit_that_was_raised_here_or_before_is_the_one_in_force() -> None:
    before = [{"scope": "persona", "what": "tokens", "limit": 400}]
    transcript = story(budget=before)
    transcript.apply({"type": "budget.raised", "scope": "conversation", "what": "cost", "limit": 2})
    limits = {(limit.scope, limit.what): limit.limit for limit in current_limits(
        transcript, {"budget": BUDGET}
    )}  # fmt: skip
    assert limits["persona", "tokens"] == 400
    assert limits["conversation", "cost"] == 2
    assert limits["conversation", "tokens"] == 1000


def test_which_limit_is_held_for() -> None:
    transcript = story()
    assert last_crossed(transcript) is None
    transcript.apply(crossed("tokens", 1000, 1200))
    transcript.apply(crossed("cost", 0.5, 0.7))
    first = last_crossed(transcript)
    assert first is not None and first.what == "tokens", "the first of those of one reply"
    assert first.doubled() == "2000"
    transcript.apply({"type": "budget.raised", "what": "tokens", "limit": 1500})
    transcript.apply(crossed("tokens", 1500, 7000))
    again = last_crossed(transcript)
    assert again is not None and (again.limit, again.doubled()) == (1500, "12000")
    transcript.apply(crossed("cost", 0.5, 0.7, turn=4))
    cost = last_crossed(transcript)
    assert cost is not None and (cost.doubled(), cost.summary()) == (
        "1",
        "used $0.7000 of $0.5000",
    )
    assert parse_limit("$1.5", cost) == (1.5, None)
    assert "is not a number" in str(parse_limit("", cost)[1])


def test_the_status_line_shows_limits_and_shortens_them() -> None:
    sides = (
        SideBudget("provider", "tokens", 12_345, 40_000),
        SideBudget("persona", "cost", None, 1),
    )
    figures = Figures(turn=7, max_turns=20, tokens=61_000, max_tokens=60_000, cost=None,
                      max_cost=0.5, sides=sides)  # fmt: skip
    assert figures_text(figures, 200) == (
        "turn 7/20  ! 61,000/60,000 tok  cost unknown/$0.500  provider 12,345/40,000 tok"
        "  persona cost unknown/$1.00"
    )
    narrow = figures_text(figures, 60)
    assert narrow == "turn 7/20  ! 61k/60k tok  cost unknown/$0.500"
    assert "prov 12.3k/40k tok" in figures_text(figures, 78)
    assert figures_text(Figures(max_tokens=8000), 99) == "tok unknown/8,000"
    assert "1.5M" in figures_text(Figures(tokens=1_500_000, max_tokens=2_000_000), 20)


def test_the_figures_of_a_child_begin_with_what_its_parents_used() -> None:
    usage = {"prompt_tokens": 90, "completion_tokens": 10}
    transcript = story(usage, usage={"provider": {"prompt_tokens": 1000, "cost": 0.3}})
    figures = status.figures(transcript, scenario={"budget": BUDGET})
    assert (figures.tokens, figures.max_tokens) == (1200, 1000)
    assert (figures.cost, figures.max_cost) == (0.3, 0.5)
    assert [(side.side, side.what) for side in figures.sides] == [
        ("provider", "cost"), ("persona", "tokens"),
    ]  # fmt: skip


def test_what_was_used_by_a_turn_has_what_the_parents_used() -> None:
    usage = {"prompt_tokens": 90, "completion_tokens": 10}
    transcript = story(usage, usage={"provider": {"prompt_tokens": 1000, "cost": 0.3}})
    transcript.apply({
        "type": "llm.response", "session": 1, "turn": 2, "side": "provider", "raw": "x",
        "usage": usage,
    })  # fmt: skip
    used = UsedUpTo(transcript)
    assert used.at("tokens", 1) == 1000 + 300
    assert used.at("tokens", 0) == 1000 + 200
    assert used.at("tokens", 1, Turn(1, 1, 2, "provider", 1)) == 1200, "not answered yet"
    assert used.at("cost", 1) is None, "no turn named a cost"


def test_the_usage_tab_tells_expected_own_and_inherited_apart() -> None:
    builder = Story()
    builder.begin()
    builder.reply("Hello.")
    request = next(r for r in builder.records if r["type"] == "llm.request")
    request["estimate"] = {"prompt_tokens": 100}
    turn = builder.transcript.turns[0]
    context = Context(
        totals=builder.transcript.totals,
        inherited={"responder": totals_from({"prompt_tokens": 7, "cost": 0.25})},
        limits=current_limits(story({"prompt_tokens": 2000}), {"budget": BUDGET}),
    )
    text = str(build("Usage", builder.detail(turn), turn, context))
    assert f"call {request['seq']}, provider  expected -> used" in text
    assert "prompt         100 tok -> 120 tok" in text
    assert "completion     unknown -> 88 tok" in text
    assert "cost           unknown -> unknown" in text
    assert "tokens            ! 4,000 of 1,000 tok, used up" in text
    assert "provider cost     unknown of $0.200" in text
    assert "provider, so far" in text
    assert "responder, in this log\nno usage" in text
    assert (
        "responder, inherited  before this log\nprompt         7 tok\ncompletion     unknown"
        in text
    )


# --- lineage


def family(folder: Path, **change: Any) -> tuple[Path, Path]:
    """A log and a child of it."""
    parent = write_log(folder / "parent.jsonl", refund())
    sha256, seq = digest_until(parent, 9)
    named = {"id": "1f3a99", "file": str(parent), "seq": 9, "sha256": sha256}
    child = [
        header(parents=[named], change={"kind": "rewind", "session": 2, "turn": 7, **change}),
        *turn(1, "persona", "Hello."),
    ]
    assert seq
    return parent, write_log(folder / "child.jsonl", child)


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ({"change": {"kind": "rewind", "session": 2, "turn": 7}}, "rewind of 1f3a at 2:7"),
        ({"change": {"kind": "go_on", "turn": 3}}, "continued from 1f3a at 1:3"),
        ({"origin": "compress"}, "compress of 1f3a"),
        ({"change": {"kind": "reload"}}, "reload of 1f3a"),
        ({"change": {"kind": "reflexion", "attempt": 3}}, "attempt 3 instead of 1f3a"),
    ],
)
def test_where_a_log_comes_from_in_words(head: dict[str, Any], text: str) -> None:
    assert origin_of({"parents": [{"id": "1f3a99", "file": "/x/a.jsonl"}], **head}) == text
    assert origin_of(head) == ""


def test_what_became_of_the_parent(tmp_path: Path) -> None:
    parent, child = family(tmp_path)
    source = ReplaySource(child)
    source.reader.advance()
    head = source.transcript.header
    source.close()
    unmoved = look_for_parent(head, child)
    assert unmoved is not None and (unmoved.state, unmoved.path) == ("found", parent)
    (tmp_path / "other").mkdir()
    elsewhere = child.rename(tmp_path / "other" / "child.jsonl")
    moved_to = parent.rename(tmp_path / "other" / "parent.jsonl")
    moved = look_for_parent(head, elsewhere)
    assert moved is not None and moved.state == "moved" and str(moved_to) in moved.message
    moved_to.write_bytes(moved_to.read_bytes().replace(b"ferry", b"train"))
    altered = look_for_parent(head, elsewhere)
    assert altered is not None and altered.state == "altered" and altered.missing
    moved_to.unlink()
    gone = look_for_parent(head, elsewhere)
    assert gone is not None and gone.state == "gone" and "is not there" in gone.message
    assert look_for_parent({}, child) is None


@pytest.mark.parametrize("there", [True, False])
async def test_the_screen_says_where_a_log_comes_from(tmp_path: Path, there: bool) -> None:
    parent, child = family(tmp_path)
    if not there:
        parent.unlink()
    app = ConvtuiApp(
        lambda app: DebuggerScreen(app.keymap, ReplaySource(child)), state_file=tmp_path / "s.json"
    )
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        screen = next(s for s in app.screen_stack if isinstance(s, DebuggerScreen))
        outline = screen.outline
        state = "" if there else " parent log gone"

        def origin() -> str:
            rows = (outline.render_line(y).text.strip() for y in range(4))
            return " ".join(row for row in rows if row and not row.startswith(("▾", "∙")))

        await until(pilot, lambda: origin() == f"^ rewind of 1f3a at 2:7{state}")
        screen.inspector.tab = "Meta"
        await until(pilot, lambda: "rewind of 1f3a at 2:7" in screen.inspector.copy_text())

        def warned() -> bool:
            return any("cannot be shown" in n.message for n in app._notifications)

        if not there:
            await until(pilot, warned)
        assert warned() is not there
