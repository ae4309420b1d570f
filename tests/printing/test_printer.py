"""The screen-less printer: turns, marks in words, stage lines, findings, JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from convtui.log.notes import Notes
from convtui.log.reader import open_log
from convtui.printing.logs import folded, print_log
from convtui.printing.printer import Printer
from convtui.printing.wording import describe, totals_line, wants_color
from convtui.records.models import (
    BudgetCrossed,
    BudgetRaised,
    ContextSeeded,
    ConversationEnded,
    DebugHeld,
    DebugOverrode,
    HistorySeeded,
    LlmFailed,
    LlmRequest,
    LlmResponse,
    LlmRetry,
    ParentRef,
    ProviderOutput,
    ProviderSetup,
    Record,
    ReflectionAdded,
    SessionEnded,
    SessionReset,
    ToolCalled,
    ToolDenied,
    ToolReturned,
    TurnCancelled,
    TurnDiscarded,
    TurnSkipped,
    TurnStarted,
    UserDecided,
    UserEnded,
    Warned,
)
from convtui.transcript.fold import Totals
from tests.builders.logs import (
    as_records,
    conversation,
    ending,
    header,
    sample,
    session,
    turn,
    write_log,
)


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def printed(records: list[Record], **options: Any) -> tuple[str, str]:
    """The output of a printer on its two streams."""
    out, err = io.StringIO(), io.StringIO()
    printer = Printer(out, err, **options)
    for record in as_records(records):
        printer.record(record)
    printer.finish()
    return out.getvalue(), err.getvalue()


def marks(*more: Record, **fields: Any) -> str:
    """The lines of a conversation with one provider turn."""
    reply = turn(2, "provider", fields.pop("text", "Hello"), more=more, **fields)
    return printed(conversation(session(1, "a", [reply], ending())))[0]


def test_the_whole_sample() -> None:
    out, err = printed(sample(), plain=True)
    assert out == (
        "Maya -> my_provider.py:Bot\n"
        "2026-03-04 05:06:07 UTC  a1b2c3  convtui 0.1.0, python 3.12.1\n"
        "\n"
        "session 1 of 2: intake (persona first, up to 20 turns)\n"
        "1:1 persona: Hello, my ferry was cancelled.\n"
        "1:2 provider: I am sorry.\n"
        "session 1 intake ended: turn limit reached at turn 2: the reason of max_turns\n"
        "\n"
        "session 2 of 2: refund (persona first, up to 20 turns)\n"
        "2:1 persona: I want my money back.\n"
        "2:2 provider: [[ERROR]] upstream failed\n"
        "    discarded: signal [[ERROR]] 0-9 by should_discard_response;"
        " skipped, the other side goes on\n"
        "    fault: provider, by rule discarded-signal:"
        " The turn was dropped for what its own speaker said.\n"
        "2:3 persona: Are you there?\n"
        "2:4 provider: Of course.\n"
        "    raw differs from shown\n"
        "    signal [[DONE]] 28-36\n"
        "session 2 refund ended: ended early by provider at turn 4:"
        " the reason of early_termination\n"
        "\n"
        "conversation ended: ended early by provider at turn 4:"
        " the reason of early_termination\n"
        "totals: provider 3 calls, 264 tokens, $0.0012, 1.5 s\n"
    )
    assert err == ""


def test_columns_wrap_at_the_width() -> None:
    out, _ = printed(
        conversation(session(1, "a", [turn(1, "persona", "word " * 30 + "end\n\nnext")])), width=50
    )
    lines = out.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("   1 persona    word"))
    assert all(len(line) <= 50 for line in lines[first:])
    assert lines[first + 1].startswith(" " * 16 + "word")
    assert "" in lines[first:]
    assert lines[-1].strip() == "next"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            LlmRetry(n=2, delay=1.5, error={"type": "RateLimited", "message": "slow down"}),
            "retry 2 after 1.5 s: RateLimited: slow down",
        ),
        (ToolCalled(id="1", name="find", arguments={"a": 1}), "tool find {'a': 1}"),
        (ToolReturned(id="1", name="find", ok=True, result=[1, 2]), "tool find returned [1, 2]"),
        (
            ToolReturned(id="1", name="find", ok=False, error_kind="exception", result="boom"),
            "tool find failed: exception: boom",
        ),
        (
            UserDecided(kind="reply", tool="responder_reply", arguments={"answer": "x"}),
            "decision reply",
        ),
        (
            UserDecided(kind="reply", arguments={"answer": "x"}, followup=2, max_followups=5),
            "decision reply, follow-up 2 of 5",
        ),
        (
            UserDecided(kind="reply", arguments={"answer": "x"}, for_record=True),
            "decision reply, for the record only, nothing was sent: x",
        ),
        (
            UserDecided(kind="stop", by="human", reason="enough", brief_edited=True),
            "decision stop, made by hand, with an edited brief: enough",
        ),
        (
            UserDecided(kind="error", valid=False, reason="no call"),
            "decision error: no call",
        ),
        (
            BudgetCrossed(scope="provider", what="tokens", limit=1000, used=1234),
            "budget of the provider crossed: 1,234 of 1,000 tokens",
        ),
        (
            BudgetRaised(what="cost", limit=0.5, before=0.25),
            "budget raised by hand to 0.5 cost",
        ),
        (
            ToolDenied(id="1", name="find", reason="too\nearly"),
            "tool find denied by hand: too early",
        ),
        (ProviderOutput(stream="stdout", text="a\nb\n"), "provider printed 2 lines"),
        (Warned(message="odd"), "warning: odd"),
        (DebugHeld(hold=1, reason="pause", stage="commit"), "held at commit: pause"),
    ],
)
def test_marks_say_in_words_what_happened(record: Record, expected: str) -> None:
    assert f"    {expected}" in marks(record).splitlines()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"empty": True, "text": "..."}, "empty reply"),
        ({"truncated": True}, "truncated: the tool rounds were used up"),
        ({"human": True}, "spoken by a human"),
        ({"edited": True}, "edited by hand"),
        ({"would_have": "end"}, "would have ended here"),
        ({"would_have": "discard"}, "would have been discarded"),
    ],
)
def test_what_is_special_about_a_committed_turn(fields: dict[str, Any], expected: str) -> None:
    assert f"    {expected}" in marks(**fields).splitlines()


def test_an_old_log_tells_of_a_cut_off_reply_by_its_finish_reason() -> None:
    at: dict[str, Any] = {"session": 1, "turn": 2, "side": "provider"}
    response = LlmResponse(**at, raw="Half a", finish_reason="length")
    records = conversation([*session(1, "a", []), TurnStarted(**at, speaker="provider"), response])
    out, _ = printed(records)
    assert "incomplete: cut off at the length limit" in out


def test_a_turn_that_says_nothing_at_all() -> None:
    assert "1:2 provider: (nothing)" in marks(text="")


def test_a_failed_turn_shows_the_developers_frames() -> None:
    frames = ['  File "my_provider.py", line 7, in respond\n', "    1 / 0\n"]
    error = {"type": "ZeroDivisionError", "message": "division by zero", "frames": frames}
    at: dict[str, Any] = {"session": 1, "turn": 2, "side": "provider"}
    records = conversation(
        [
            *session(1, "a", []),
            TurnStarted(**at, speaker="provider"),
            LlmFailed(**at, error=error, partial="I th"),
            SessionEnded(session=1, session_type="a", termination=ending("failed", "provider", 2)),
        ]
    )
    out, _ = printed(records)
    assert "1:2 provider: I th\n    error: ZeroDivisionError: division by zero\n" in out
    assert '      File "my_provider.py", line 7, in respond' in out
    assert "the turn was not finished" in out


def test_a_reply_whose_hook_failed_is_shown() -> None:
    at = {"session": 1, "turn": 1, "side": "provider", "attempt": 1}
    reply = LlmResponse(**at, call=1, raw="what the hook was given")
    started = [header(), *session(1, "s", [])[:1], TurnStarted(**at, speaker="provider"), reply]
    out, _ = printed([*started, SessionEnded(session=1, session_type="s", termination=ending())])
    assert "1:1 provider: what the hook was given\n    the turn was not finished\n" in out


def test_what_is_done_with_a_turn_that_was_said_stands_with_it() -> None:
    at: dict[str, Any] = {"session": 1, "turn": 1, "side": "provider"}
    held = DebugHeld(**at, hold=1, reason="ending", stage="terminate", detail="turn limit")
    overrode = DebugOverrode(**at, what="ending", before=ending())
    begun = [header(), *session(1, "s", [])[:2], *turn(1, "provider", "hello"), held, overrode]
    over = SessionEnded(session=1, session_type="s", termination=ending())
    later = "1:1 provider: held at terminate: ending turn limit\n    ending overridden by hand\n"
    out, _ = printed([*begun, *turn(2, "persona", "hi"), over])
    assert f"1:1 provider: hello\n{later}1:2 persona: hi\nsession 1 s ended" in out
    out, _ = printed([*begun, over])
    assert f"1:1 provider: hello\n{later}session 1 s ended" in out
    assert "not finished" not in out


def test_whoever_spoke_is_told_when_it_was_said() -> None:
    at: dict[str, Any] = {"session": 1, "turn": 1, "side": "persona"}
    begun = [header(), *session(1, "s", [])[:2]]
    taken_over = [*begun, *turn(1, "persona", "the simulator's")]
    taken_over = [
        record.model_copy(update={"human": True}) if isinstance(record, TurnStarted) else record
        for record in taken_over
    ]
    out, _ = printed(taken_over)
    assert "1:1 persona: the simulator's\n" in out
    assert "spoken by a human" not in out
    drop: dict[str, Any] = {"signals": [], "hook": "should_discard_response", "outcome": "skip"}
    gone = TurnDiscarded(**at, speaker="persona", text="x", raw="x", human=True, **drop)
    out, _ = printed([*begun, TurnStarted(**at, speaker="persona", human=True), gone])
    assert out.count("spoken by a human") == 1


def test_a_decision_without_words_is_one_line() -> None:
    at: dict[str, Any] = {"session": 1, "turn": 3, "side": "persona"}
    begun = [*session(1, "a", []), TurnStarted(**at, speaker="persona")]
    stop = UserDecided(**at, kind="stop", tool="responder_stop")
    over = SessionEnded(session=1, session_type="a", termination=ending("stopped", "responder", 2))
    out, _ = printed([header(), *begun, stop, over])
    assert "\n1:3 persona: decision stop\nsession 1 a ended: stopped" in out


def test_cancelled_and_skipped_turns() -> None:
    at: dict[str, Any] = {"session": 1, "turn": 2, "side": "provider"}
    out, _ = printed(
        conversation(
            [
                *session(1, "a", []),
                TurnStarted(**at, speaker="provider"),
                TurnCancelled(**at, partial="I was"),
                TurnSkipped(**at, reason="skipped by hand"),
            ]
        )
    )
    assert "1:2 provider: I was\n    cancelled by hand\n    turn skipped by hand\n" in out


def test_a_retried_discard_prints_both_attempts() -> None:
    out, _ = printed(
        conversation(
            session(
                1,
                "a",
                [
                    turn(1, "provider", "[[E]] no", signal="[[E]]", discard="retry"),
                    turn(1, "provider", "yes", attempt=2),
                ],
            )
        )
    )
    assert "1:1 provider: [[E]] no\n    discarded: signal [[E]] 0-5" in out
    fault = "fault: provider, by rule discarded-signal: "
    assert out.index("; asked again\n") < out.index(fault) < out.index("1:1 provider: yes\n")
    assert out.count(fault) == 1, "what the first attempt did is told once"


def test_the_simulators_end_with_and_without_words() -> None:
    at: dict[str, Any] = {"session": 1, "turn": 1, "side": "persona"}
    begun = [*session(1, "a", []), TurnStarted(**at, speaker="persona")]
    plain = UserEnded(**at, simulator="scripted", reason="the script is used up")
    assert "user simulator scripted: the script is used up" in printed([header(), *begun, plain])[0]
    ended = UserEnded(**at, simulator="llm", reason="said <end>", dropped_text="bye then")
    out, _ = printed([header(), *begun, ended])
    assert "not said: bye then" in out
    assert "the user simulator ended it: said <end>" in out


def test_skipped_sessions_failed_setup_and_parents() -> None:
    parent = {"id": "p1", "file": "old.jsonl", "seq": 9, "sha256": "0"}
    out, _ = printed(
        [
            header(parents=[parent], change={"kind": "rewind"}, origin="continue"),
            HistorySeeded(
                turns=[{"session": 1, "turn": 1, "speaker": "persona", "text": "before"}],
                sessions=["a"],
                current=1,
                counters={},
                messages={},
            ),
            ProviderSetup(
                duration=0.1,
                outcome="failed",
                error={"type": "HookError", "message": "setup() failed: x", "frames": ["here"]},
            ),
            SessionEnded(session=2, session_type="b", skipped="the setup failed"),
            ConversationEnded(termination=ending("failed", "provider", 0)),
        ]
    )
    assert "rewind of p1 after its record 9: old.jsonl" in out
    assert "1 turn taken over from the parent; what was dropped or skipped there is" in out
    assert "only in its log\n1:1 persona: before\n" in out
    assert "\nsetup() failed: x\n  here\n" in out
    assert "session 2 b skipped: the setup failed\n" in out
    assert "conversation ended: failed by provider: the reason of failed\n" in out
    assert "totals: no calls on record\n" in out


def test_another_attempt_names_the_one_before_and_what_it_taught() -> None:
    first = header()
    first.change = {"kind": "reflexion", "attempt": 2}
    first.parents = [ParentRef(id="1f3a", file="/runs/a.jsonl", seq=9, sha256="0")]
    taught = ReflectionAdded(side="reflection", text="Be brief.\n\x1b[31mAsk.", of=1, model="m")
    out, err = printed([first, taught, *sample()[1:]], debug=True)
    assert "attempt 2 at the conversation of 1f3a: /runs/a.jsonl\n" in out
    assert "after attempt 1: Be brief.\n    ␛[31mAsk.\n" in out
    assert "reflection reflection on attempt 1 (m)" in err


def test_unknown_is_not_zero() -> None:
    used = Totals()
    used.calls = 1
    assert totals_line({"provider": used}) == ("totals: provider 1 call, 0.0 s")
    assert describe(None) == "for a reason that is not on record"


def test_debug_prints_a_line_for_every_hook_and_call() -> None:
    records = sample()
    records.insert(3, ContextSeeded(template="w", messages=[]))
    records.insert(4, SessionReset(next_session_type="refund", duration=1.25))
    _, err = printed(records, debug=True)
    lines = [line[9:] for line in err.splitlines()]
    for expected in (
        "setup 20.0 ms",
        "prepare_sessions 1.0 ms: intake, refund",
        "finish_and_reset_session refund 1.25 s",
        "enter_session intake 10.0 ms",
        "1:2 provider request 1 message",
        "1:2 provider response 500.0 ms, first token 100.0 ms, 70 tokens in, 18 tokens out, stop",
        "2:2 provider extract_signals (default) 1.0 ms: [[ERROR]] 0-9",
        "2:4 provider post_process_response (your hook) 2.0 ms: changed",
        "2:2 provider should_discard_response: discarded, skip",
        "2:4 provider commit: 2 words",
        "terminate: early_termination by provider",
        "cleanup (provider) 1.0 ms",
    ):
        assert expected in lines


def test_progress_is_for_terminals_only_and_is_wiped_away() -> None:
    out, err = Terminal(), Terminal()
    printer = Printer(out, err, width=80)
    records = as_records(sample())
    for record in records[:8]:
        printer.record(record)
    assert "begins" in err.getvalue()
    for record in records[8:]:
        printer.record(record)
    printer.finish()
    assert err.getvalue().endswith("\r\x1b[K")
    assert printed(sample())[1] == ""


HOSTILE = "\x1b]0;owned\x07 \x9b31m \u202e abc [/] \x00 \ud800"


def test_nothing_foreign_reaches_the_terminal_raw() -> None:
    records = [
        header(persona=HOSTILE, provider={"spec": HOSTILE}),
        *session(
            1,
            HOSTILE,
            [
                turn(
                    1,
                    "provider",
                    HOSTILE,
                    signal="owned",
                    more=[
                        Warned(message=HOSTILE),
                        ToolCalled(id="1", name=HOSTILE, raw_arguments=HOSTILE),
                        LlmRetry(n=1, delay=0, error={"message": HOSTILE}),
                        LlmRequest(append=[], sha256="", model=HOSTILE),
                    ],
                )
            ],
            ending("failed", "provider", 1, detail={"error": {"frames": [HOSTILE]}}),
        ),
        Warned(message=HOSTILE),
        ConversationEnded(termination={**ending(), "reason": HOSTILE}),
    ]
    for options in ({"plain": True}, {"width": 60}, {"debug": True}):
        for text in printed(records, **options):
            assert not set("\x1b\x07\x9b\u202e\x00\ud800") & set(text)


def test_a_broken_record_does_not_stop_the_printer() -> None:
    printer = Printer(out := io.StringIO(), None, debug=True)
    for record in (
        {"type": "turn.discarded"},
        {"type": "session.started"},
        {"type": 7},
        {},
        {"type": "llm.failed", "error": None, "turn": 1},
    ):
        printer.record(record)
    printer.finish()
    assert "record that cannot be read" in out.getvalue()


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_color(Terminal())
    assert not wants_color(Terminal(), plain=True)
    assert not wants_color(io.StringIO())
    assert "\x1b[" in printed(sample(), color=True)[0]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_color(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_color(Terminal())


def test_colour_says_nothing_that_words_do_not() -> None:
    import re

    coloured, _ = printed(sample(), color=True, width=80)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == printed(sample(), width=80)[0]


def test_an_unfinished_log_says_so_and_names_its_findings(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.jsonl", sample()[:9], close=False)
    with path.open("ab") as file:
        file.write(b'{"seq": 9, "torn')
    out, err = io.StringIO(), io.StringIO()
    with open_log(path) as log:
        print_log(log, out, err)
    assert "conversation: crashed, or was killed, before it ended" in out.getvalue()
    assert "totals: " in out.getvalue()
    assert f"convtui: {path}: line 10: the last line is torn" in err.getvalue()
    assert "(no_trailer)" in err.getvalue()


def test_the_folded_transcript(tmp_path: Path) -> None:
    with open_log(write_log(tmp_path / "a.jsonl", sample())) as log:
        data = json.loads(json.dumps(folded(log)))
    assert data["id"] == "a1b2c3"
    assert [s["type"] for s in data["sessions"]] == ["intake", "refund"]
    dropped, last = data["sessions"][1]["turns"][1], data["sessions"][1]["turns"][3]
    assert dropped["status"] == "discarded"
    assert dropped["discarded"] is True
    assert dropped["signals"] == [
        {"signal": "[[ERROR]]", "matched": "[[ERROR]]", "start": 0, "end": 9}
    ]
    assert last["raw"] == "<think>hm</think>Of course. [[DONE]]"
    assert last["text"] == "Of course."
    assert last["changed"] is True
    assert last["flags"] == ["signal", "changed", "ended"]
    assert last["tokens"] == {"prompt": 70, "completion": 18}
    assert [s["stage"] for s in last["stages"]] == [
        "request",
        "response",
        "signals",
        "post_process",
        "commit",
    ]
    assert data["termination"]["kind"] == "early_termination"
    assert data["totals"]["provider"]["tokens"] == 264
    assert data["findings"] == []
    assert data["complete"] is True
    assert data["sessions"][0]["turns"][0]["latency"] is None


def test_what_the_heuristics_noticed_and_whose_fault_it_is() -> None:
    flags = [
        {"flag": "role", "rule": "other-label", "matched": "User\x1b[31m:", "start": 0, "end": 5},
        {"flag": "repeat", "rule": "same-words", "ago": 2},
        {"flag": "farewell", "rule": "only-goodbyes", "count": 7},
        {"flag": "label", "rule": "own-name", "matched": "Bot:", "start": 0, "end": 4},
        {"flag": "sentinel", "rule": "near-sentinel", "matched": "&lt;end&gt;"},
        {"flag": "echo", "rule": "same-as-other"},
    ]
    lines = marks(text="User: hello", flags=flags).splitlines()
    assert "    role inversion (other-label): User␛[31m:" in lines
    assert "    repetition (same-words): as said 2 of its turns ago" in lines
    assert "    farewell loop (only-goodbyes): 7 farewells in a row" in lines
    assert "    script label (own-name): Bot:" in lines
    assert "    unheard ending (near-sentinel): &lt;end&gt;" in lines
    assert "    echo (same-as-other)" in lines
    faults = [line.strip() for line in lines if "fault:" in line]
    assert [line.partition(": The")[0] for line in faults] == [
        "fault: provider, by rule role-inversion",
        "fault: provider, by rule script-label",
        "fault: provider, by rule repetition",
        "fault: provider, by rule echo",
    ]
    assert all(line.endswith(".") for line in faults)


def test_corrections_are_shown_in_place_of_what_the_rules_say(tmp_path: Path) -> None:
    flags = [{"flag": "role", "rule": "other-label"}]
    log = write_log(
        tmp_path / "run.jsonl",
        conversation(session(1, "a", [turn(1, "provider", "User: hello", flags=flags)])),
    )
    notes = Notes(log)
    notes.correct_flag(1, 1, "role", False)
    notes.correct_flag(1, 1, "leak", True)
    out = io.StringIO()
    with open_log(log) as opened:
        print_log(opened, out, io.StringIO())
        data = folded(opened)["sessions"][0]["turns"][0]
    assert "role inversion taken away by hand" in out.getvalue()
    assert "reasoning leak added by hand" in out.getvalue()
    assert "rule reasoning-leak" in out.getvalue()
    assert "rule role-inversion" not in out.getvalue()
    assert "leak" in data["flags"]
    assert "role" not in data["flags"]
    assert data["noticed"] == flags
    assert [(fault["side"], fault["rule"]) for fault in data["faults"]] == [
        ("provider", "reasoning-leak")
    ]
    assert data["corrected"] == {"role": False, "leak": True}
    notes.correct_fault(1, 1, "none")
    with open_log(log) as opened:
        data = folded(opened)["sessions"][0]["turns"][0]
    assert data["faults"] == []
    assert data["corrected"]["fault"] == "none"
