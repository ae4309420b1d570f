"""The pipeline bare: stages, their order, the decision table, edits and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.engine.turn.pipeline import (
    PipelineResult,
    PlainHooks,
    Rules,
    StageResult,
    has_global_signal,
    pipeline,
)
from convtui.errors import HookError
from convtui.providers.base import SignalMatch, match_signals
from convtui.records.models import Termination

END = "<END OF CONVERSATION>"
Edit = Callable[[StageResult], None]


class Hooks(PlainHooks):
    """Hooks that count how often they are asked."""

    def __init__(
        self,
        signals: Sequence[str] = ("[END]",),
        *,
        drop: bool = False,
        process: Callable[[str], str] = str,
        failing: Sequence[str] = (),
    ) -> None:
        super().__init__(signals)
        self.drop = drop
        self.process = process
        self.failing = list(failing)
        self.asked: list[str] = []

    def _ask(self, hook: str) -> None:
        self.asked.append(hook)
        if hook in self.failing:
            self.failing.remove(hook)
            raise HookError(f"{hook} failed", hook=hook)

    def extract_signals(self, raw: str) -> list[SignalMatch]:
        self._ask("signals")
        return super().extract_signals(raw)

    def post_process(self, raw: str) -> str:
        self._ask("post_process")
        return self.process(raw)

    def should_discard(self, matches: Sequence[SignalMatch]) -> bool:
        self._ask("discard")
        return self.drop

    def owner(self, hook: str) -> str:
        return "yours"

    def metadata(self) -> dict[str, Any]:
        return {"asked": len(self.asked)}


def drive(
    raw: str,
    hooks: Hooks | None = None,
    edits: Sequence[tuple[str, Edit]] = (),
    **rules: Any,
) -> tuple[PipelineResult, list[StageResult], list[str]]:
    """Runs the pipeline; each edit is made once, at the first draft of its stage."""
    waiting = list(edits)
    seen: list[StageResult] = []
    stages: list[str] = []
    run = pipeline(raw, hooks or Hooks(), Rules(**{"speaker": "provider", "at_turn": 4, **rules}))
    draft = next(run)
    while True:
        seen.append(draft)
        stages.append(draft.stage)
        if waiting and waiting[0][0] == draft.stage:
            waiting.pop(0)[1](draft)
        try:
            draft = run.send(draft)
        except StopIteration as stop:
            outcome: PipelineResult = stop.value
            return outcome, seen, stages


def test_stages_run_in_order_and_only_where_they_apply() -> None:
    assert drive("plain")[2] == ["signals", "post_process", "commit"]
    assert drive("x [END]")[2] == ["signals", "post_process", "discard", "commit", "terminate"]
    assert drive("x [END]", Hooks(drop=True))[2] == [
        "signals",
        "post_process",
        "discard",
        "terminate",
    ]


def test_signals_are_sought_in_the_raw_reply_before_it_is_processed() -> None:
    hooks = Hooks(process=lambda raw: raw.replace("[END]", "").strip())
    outcome, _, _ = drive("bye [END]", hooks)
    assert outcome.text == "bye"
    assert outcome.raw == "bye [END]"
    assert [match.as_dict() for match in outcome.matches] == [
        {"signal": "[END]", "matched": "[END]", "start": 4, "end": 9}
    ]
    assert hooks.asked == ["signals", "post_process", "discard"]


def test_post_processing_runs_exactly_once() -> None:
    hooks = Hooks(process=lambda raw: raw + "!")
    assert drive("a", hooks)[0].text == "a!"
    assert hooks.asked.count("post_process") == 1


def test_metadata_is_read_after_post_processing() -> None:
    _, drafts, _ = drive("a")
    assert drafts[1].metadata == {"asked": 2}


@pytest.mark.parametrize(
    ("on_signal", "drop", "on_discard", "retries", "skips", "result", "kind"),
    [
        ("end", False, "end", 0, 1, "commit", "early_termination"),
        ("end", True, "end", 0, 1, "end", "discarded"),
        ("end", True, "retry", 2, 1, "retry", None),
        ("end", True, "retry", 0, 1, "end", "discarded"),
        ("end", True, "skip", 0, 1, "skip", None),
        ("end", True, "skip", 0, 0, "end", "discarded"),
        ("pause", True, "retry", 1, 1, "retry", None),
        ("pause", True, "skip", 0, 1, "skip", None),
        ("pause", True, "end", 0, 1, "end", "discarded"),
        ("pause", False, "end", 0, 1, "commit", "early_termination"),
        ("ignore", True, "end", 0, 1, "commit", None),
        ("ignore", False, "retry", 3, 1, "commit", None),
    ],
)
@pytest.mark.parametrize("speaker", ["persona", "provider"])
def test_decision_table(
    on_signal: Literal["end", "pause", "ignore"],
    drop: bool,
    on_discard: Literal["end", "retry", "skip"],
    retries: int,
    skips: int,
    result: str,
    kind: str | None,
    speaker: str,
) -> None:
    hooks = Hooks(drop=drop)
    outcome, _, stages = drive(
        "oh [end]",
        hooks,
        speaker=speaker,
        on_signal={"[END]": on_signal},
        on_discard=on_discard,
        retries_left=retries,
        skips_left=skips,
    )
    assert outcome.result == result
    assert (outcome.termination.kind if outcome.termination else None) == kind
    if outcome.termination is not None:
        assert outcome.termination.by == speaker
        assert outcome.termination.signal == "[END]"
        assert outcome.termination.at_turn == 4
    if on_signal == "ignore":
        assert "discard" not in hooks.asked
        assert "discard" not in stages
        assert outcome.would_have == "end"


def test_ignoring_is_case_insensitive_and_per_signal() -> None:
    hooks = Hooks(["[A]", "[B]"])
    outcome, _, _ = drive("[a] [b]", hooks, on_signal={"[a]": "ignore"})
    assert outcome.termination is not None
    assert outcome.termination.signal == "[B]"


def test_a_signal_that_ends_outranks_one_that_pauses() -> None:
    hooks = Hooks(["[P]", "[E]"])
    outcome, _, _ = drive("[P] then [E]", hooks, on_signal={"[P]": "pause"})
    assert outcome.termination is not None
    assert outcome.termination.signal == "[E]"


def test_the_global_signal_counts_in_the_personas_shown_text_only() -> None:
    text = f"bye {END.lower()} now"
    ended = drive(text, speaker="persona", global_signal=END)[0].termination
    assert ended is not None
    assert (ended.kind, ended.by, ended.signal) == ("early_termination", "persona", END)
    assert drive(text, global_signal=END)[0].termination is None
    hidden = Hooks(process=lambda raw: raw.split("<")[0])
    assert drive(text, hidden, speaker="persona", global_signal=END)[0].termination is None


def test_the_global_signal_is_no_pattern() -> None:
    assert has_global_signal("a.c", "xa.Cx")
    assert not has_global_signal("a.c", "abc")
    assert not has_global_signal("", "anything")


def test_an_ignored_global_signal_is_kept_on_record() -> None:
    outcome, _, _ = drive(
        f"bye {END}", speaker="persona", global_signal=END, on_signal={END: "ignore"}
    )
    assert outcome.termination is None
    assert outcome.would_have == "end"


@given(st.text(), st.text())
def test_text_around_the_global_signal_is_never_lost(before: str, after: str) -> None:
    outcome, _, _ = drive(before + END + after, speaker="persona", global_signal=END)
    assert outcome.text == before + END + after
    assert outcome.result == "commit"
    assert outcome.termination is not None


def test_own_signals_come_before_the_global_one_and_before_the_caps() -> None:
    cap = Termination(kind="max_turns", by="harness", reason="full", at_turn=4)
    hooks = Hooks()
    outcome, _, _ = drive(
        f"{END} [END]", hooks, speaker="persona", global_signal=END, caps=lambda: cap
    )
    assert outcome.termination is not None
    assert outcome.termination.signal == "[END]"
    outcome, _, _ = drive(END, hooks, speaker="persona", global_signal=END, caps=lambda: cap)
    assert outcome.termination is not None
    assert outcome.termination.signal == END
    assert drive("x", hooks, caps=lambda: cap)[0].termination is cap


def test_caps_are_asked_after_the_commit_was_sent_back() -> None:
    committed: list[str] = []

    def caps() -> None:
        assert committed == ["x"]

    drive("x", edits=[("commit", lambda draft: committed.append(draft.text or ""))], caps=caps)
    assert committed == ["x"]


# --- edits


def raw(text: str) -> Edit:
    def edit(draft: StageResult) -> None:
        draft.raw = text

    return edit


@pytest.mark.parametrize("stage", ["signals", "post_process", "commit"])
def test_editing_the_raw_reply_runs_the_stages_again_up_to_that_one(stage: str) -> None:
    hooks = Hooks(process=str.upper)
    outcome, drafts, stages = drive("a", hooks, [(stage, raw("b"))])
    assert outcome.text == "B"
    assert outcome.revision == 2
    assert stages.count("signals") == 2
    again = drafts[stages.index(stage) + 1 :]
    assert all(draft.revision == 2 for draft in again)
    held = [draft.stage for draft in again if not draft.rerun]
    assert held[0] == stage
    assert [d.stage for d in again if d.rerun] == stages[: stages.index(stage)]


def test_an_edit_that_takes_the_signal_away_commits() -> None:
    outcome, drafts, stages = drive("x [END]", Hooks(drop=True), [("discard", raw("x"))])
    assert outcome.result == "commit"
    assert stages[-1] == "commit"
    assert not drafts[-1].rerun, "the commit stands where the discard was held"


def test_an_edit_that_brings_a_signal_in_stops_at_the_discard() -> None:
    outcome, drafts, stages = drive("x", Hooks(drop=True), [("commit", raw("x [END]"))])
    assert outcome.result == "end"
    assert stages[-2:] == ["discard", "terminate"]
    assert not drafts[-2].rerun
    assert not drafts[-1].rerun


def test_an_edit_that_keeps_the_reply_passes_by_the_discard() -> None:
    _, drafts, stages = drive("x", Hooks(), [("commit", raw("x [END]"))])
    by_stage = dict(zip(stages, drafts, strict=True))
    assert by_stage["discard"].rerun
    assert not by_stage["commit"].rerun


def test_the_last_revision_counts() -> None:
    outcome, _, stages = drive("a", edits=[("commit", raw("b")), ("commit", raw("c"))])
    assert outcome.text == "c"
    assert outcome.revision == 3
    assert stages.count("commit") == 3


def test_editing_the_shown_text_runs_nothing_again() -> None:
    def shown(draft: StageResult) -> None:
        draft.text = "said"

    hooks = Hooks()
    outcome, _, _ = drive("a", hooks, [("commit", shown)])
    assert (outcome.text, outcome.raw, outcome.revision) == ("said", "a", 1)
    assert hooks.asked == ["signals", "post_process"]


def test_a_discard_can_be_overridden_either_way() -> None:
    def flip(draft: StageResult) -> None:
        draft.discard = not draft.discard

    kept, _, _ = drive("[END]", Hooks(drop=True), [("discard", flip)])
    assert kept.result == "commit"
    assert kept.would_have == "discard"
    dropped, _, _ = drive("[END]", Hooks(), [("discard", flip)])
    assert dropped.result == "end"
    assert dropped.termination is not None
    assert dropped.termination.kind == "discarded"


def test_an_ending_can_be_overridden() -> None:
    def clear(draft: StageResult) -> None:
        draft.termination = None

    outcome, _, _ = drive("[END]", edits=[("terminate", clear)])
    assert (outcome.result, outcome.termination, outcome.would_have) == ("commit", None, "end")
    outcome, _, _ = drive("[END]", Hooks(drop=True), [("terminate", clear)])
    assert (outcome.result, outcome.termination) == ("skip", None)


# --- failures


@pytest.mark.parametrize("stage", ["signals", "post_process", "discard"])
def test_a_failing_hook_is_a_draft_with_the_error_and_can_be_run_again(stage: str) -> None:
    def again(draft: StageResult) -> None:
        assert draft.error is not None
        assert draft.error.hook == stage
        draft.again = True

    hooks = Hooks(failing=[stage])
    outcome, drafts, _ = drive("x [END]", hooks, [(stage, again)])
    assert hooks.asked.count(stage) == 2
    assert outcome.result == "commit"
    assert drafts[-1].error is None


def test_what_a_failing_hook_should_have_given_can_be_supplied() -> None:
    def supply(draft: StageResult) -> None:
        draft.error = None
        draft.text = "by hand"

    outcome, _, _ = drive("x", Hooks(failing=["post_process"]), [("post_process", supply)])
    assert outcome.text == "by hand"


def test_a_supplied_discard_is_no_override() -> None:
    def supply(draft: StageResult) -> None:
        draft.error = None
        draft.discard = False

    outcome, _, _ = drive("[END]", Hooks(failing=["discard"]), [("discard", supply)])
    assert outcome.result == "commit"
    assert outcome.would_have is None


# --- properties


@given(
    raw=st.text(st.sampled_from("aA [END]<>\nß\u0130\ud800"), max_size=40),
    declared=st.lists(
        st.sampled_from(["[END]", "a", "ss", "i\u0307"]), unique=True, max_size=3
    ),
    action=st.sampled_from(["end", "pause", "ignore"]),
    drop=st.booleans(),
    on_discard=st.sampled_from(["end", "retry", "skip"]),
    left=st.integers(0, 1),
)  # fmt: skip
def test_every_reply_comes_out_somewhere(
    raw: str,
    declared: list[str],
    action: Literal["end", "pause", "ignore"],
    drop: bool,
    on_discard: Literal["end", "retry", "skip"],
    left: int,
) -> None:
    hooks = Hooks(declared, drop=drop)
    outcome, drafts, stages = drive(
        raw,
        hooks,
        on_signal=dict.fromkeys(declared, action),
        on_discard=on_discard,
        retries_left=left,
        skips_left=left,
    )
    assert outcome.raw == raw
    assert hooks.asked.count("post_process") == 1
    assert (outcome.result == "commit") == ("commit" in stages)
    assert (outcome.termination is not None) == ("terminate" in stages)
    found = bool(match_signals(raw, declared))
    assert bool(outcome.matches) == found
    if not found:
        assert outcome.result == "commit"
    assert all(draft.revision == 1 and not draft.rerun for draft in drafts)


@given(st.text(), st.lists(st.text(min_size=1), max_size=4))
def test_spans_are_exact_in_the_raw_reply(raw: str, declared: list[str]) -> None:
    for match in match_signals(raw, declared):
        assert raw[match.start : match.end] == match.matched
        assert match.signal in declared


def test_signals_are_returned_as_declared_in_order_of_place() -> None:
    found = match_signals("[b] [A] [a]", ["[a]", "[B]"])
    assert [(m.signal, m.matched) for m in found] == [
        ("[B]", "[b]"),
        ("[a]", "[A]"),
        ("[a]", "[a]"),
    ]
