"""The comparison of two runs: what differs, where first, and what they share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convtui.analysis.compare.comparison import Comparison, compare_logs
from convtui.analysis.compare.data import as_dict
from convtui.analysis.compare.report import ending_rows, usage_rows
from convtui.analysis.report.diffs import clipped
from convtui.errors import LogError
from convtui.log.reader import digest_until, open_log
from convtui.records.models import (
    HistorySeeded,
    ParentRef,
    Record,
    ToolCalled,
    ToolReturned,
    UserDecided,
)
from tests.builders.logs import USAGE, conversation, ending, header, session, turn, write_log

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a log of one session with these turns."""

    def written(name: str, *turns: list[Record], end: dict[str, Any] | None = None) -> Path:
        end = end or ending()
        records = conversation(session(1, "intake", turns, end), end=end)
        records[0] = header(id=name)
        return write_log(tmp_path / f"{name}.jsonl", records)

    return written


HELLO = turn(1, "persona", "Hello, my ferry was cancelled.")
SORRY = turn(2, "provider", "I am sorry about that.", usage=USAGE)
MONEY = turn(3, "persona", "I want my money back.")


def differences(comparison: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    return [(pair.where, pair.differences) for pair in comparison.pairs() if pair.differences]


def test_equal_runs_are_the_same_whatever_they_took(write: Write) -> None:
    slow = turn(2, "provider", "I am sorry about that.", usage={"prompt_tokens": 999})
    comparison = compare_logs(write("a", HELLO, SORRY, MONEY), write("b", HELLO, slow, MONEY))
    assert comparison.same
    assert comparison.first == (None, None)
    assert comparison.first_words() == ""
    rows = {name: (one, other) for name, one, other in usage_rows(comparison)}
    assert rows["provider tokens"] == ("88", "999")
    assert rows["provider cost"] == ("$0.0004", "-")
    assert ("-", "-") not in rows.values()


def test_the_first_divergence_is_named(write: Write) -> None:
    other = turn(2, "provider", "I am very sorry about this.")
    comparison = compare_logs(write("a", HELLO, SORRY, MONEY), write("b", HELLO, other, MONEY))
    assert differences(comparison) == [("1:2", ("text",))]
    assert comparison.first_words() == "turn 1:2, provider: text"
    session, pair = comparison.first
    assert session is not None
    assert pair is not None
    assert ("+", "very ") in pair.diff()
    assert comparison.count == 1


def test_a_discarded_turn_moves_nothing(write: Write) -> None:
    dropped = turn(2, "provider", "[[ERROR]] no", signal="[[ERROR]]", discard="skip")
    late = turn(3, "provider", "I am sorry about that.")
    comparison = compare_logs(
        write("a", HELLO, SORRY, MONEY),
        write("b", HELLO, dropped, late, turn(4, "persona", "I want my money back.")),
    )
    assert differences(comparison) == [("1:2", ("only in B",))]
    alone = next(pair for pair in comparison.pairs() if pair.differences)
    assert alone.alone() == "(discarded by should_discard_response) [[ERROR]] no"
    assert [pair.where for pair in comparison.pairs()] == ["1:1", "1:2", "1:2 | 1:3", "1:3 | 1:4"]


def test_a_turn_that_was_discarded_in_one_run_only_is_one_pair(write: Write) -> None:
    raw = "[[ERROR]] upstream"
    dropped = turn(2, "provider", raw, signal="[[ERROR]]", discard="skip")
    kept = turn(2, "provider", raw, signal="[[ERROR]]")
    comparison = compare_logs(write("a", HELLO, dropped, MONEY), write("b", HELLO, kept, MONEY))
    assert differences(comparison) == [("1:2", ("outcome",))]
    pair = next(pair for pair in comparison.pairs() if pair.differences)
    assert pair.notes() == [
        ("outcome", "discarded by should_discard_response", "committed"),
    ]


def test_raw_signals_tools_and_decisions_count(write: Write) -> None:
    def called(query: str, answer: str) -> list[Record]:
        return [
            ToolCalled(id="1", name="look_up", arguments={"q": query}),
            ToolReturned(id="1", name="look_up", ok=True, result=answer),
        ]

    def decided(kind: Any) -> list[Record]:
        return [UserDecided(kind=kind, tool=kind)]

    a = write(
        "a",
        turn(1, "persona", "Hello", more=decided("reply")),
        turn(2, "provider", "Yes", raw="<think>a</think>Yes", more=called("x", "1")),
        turn(3, "provider", "No [[X]]", signal="[[X]]", more=called("y", "1")),
    )
    b = write(
        "b",
        turn(1, "persona", "Hello", more=decided("stop")),
        turn(2, "provider", "Yes", raw="<think>b</think>Yes", more=called("x", "2")),
        turn(3, "provider", "No [[X]]", more=called("z", "1")),
    )
    comparison = compare_logs(a, b)
    assert differences(comparison) == [
        ("1:1", ("decision",)),
        ("1:2", ("raw", "tool results")),
        ("1:3", ("signals", "tools")),
    ]
    pairs = list(comparison.pairs())
    assert pairs[0].notes() == [("decision", "reply reply", "stop stop")]
    assert pairs[2].notes() == [
        ("signals", "[[X]]", "none"),
        ("tools", 'look_up({"q": "y"}) ok', 'look_up({"q": "z"}) ok'),
    ]
    assert [op for op, _ in pairs[1].diff()] == ["=", "-", "+", "="], "of the raw replies"


def test_endings_differ_by_kind_and_by_whom(write: Write) -> None:
    early = ending("early_termination", "provider", 2, signal="[[DONE]]")
    comparison = compare_logs(write("a", HELLO, SORRY), write("b", HELLO, SORRY, end=early))
    assert comparison.first_words() == "session 1: ending"
    assert comparison.count == 1, "the conversation ended as its session did: told once"
    assert ending_rows(comparison)[0][2].startswith("ended early by provider at turn 2")


def test_a_session_that_only_one_has(tmp_path: Path, write: Write) -> None:
    more = conversation(
        session(1, "intake", [HELLO, SORRY], ending()), session(2, "refund", [HELLO]), end=ending()
    )
    comparison = compare_logs(write("a", HELLO, SORRY), write_log(tmp_path / "m.jsonl", more))
    assert comparison.first_words() == "session 2: only in B"
    assert comparison.sessions[1].differences == ("session",)
    assert [pair.differences for pair in comparison.sessions[1].pairs] == [("only in B",)]


# --- lineage


def child(parent: Path, name: str, until: int, *turns: list[Record], text: str = "") -> Path:
    """A branch that inherits the first `until` committed turns."""
    with open_log(parent) as log:
        committed = [turn for turn in log.transcript.turns if turn.status == "committed"][:until]
        seq = log.transcript.records - 1
        parent_id = log.transcript.id
    sha256, _ = digest_until(parent, seq)
    records = conversation(session(1, "intake", turns, ending()), end=ending())
    records[0] = header(
        id=name,
        origin="continue",
        parents=[ParentRef(id=parent_id, file=str(parent), seq=seq, sha256=sha256)],
        change={"kind": "rewind", "session": 1, "turn": until + 1},
    )
    seeded = HistorySeeded(
        turns=[
            {"session": 1, "turn": turn.number, "speaker": turn.speaker, "text": text or turn.text}
            for turn in committed
        ],
        sessions=["intake"],
        current=1,
        counters={},
        messages={},
    )
    return write_log(parent.parent / f"{name}.jsonl", [records[0], seeded, *records[1:]])


def test_a_branch_shares_its_beginning_with_its_parent(write: Write) -> None:
    dropped = turn(2, "provider", "[[ERROR]] no", signal="[[ERROR]]", discard="skip")
    signal = turn(3, "provider", "I am sorry. [[X]]", signal="[[X]]", usage=USAGE)
    parent = write("p", HELLO, dropped, signal, turn(4, "persona", "I want money."))
    branch = child(parent, "c", 2, turn(4, "persona", "Thank you."))
    comparison = compare_logs(parent, branch)
    assert (comparison.kinship.kind, comparison.kinship.of, comparison.kinship.shared) == (
        "branch",
        "b",
        2,
    )
    assert [(pair.where, pair.shared, pair.differences) for pair in comparison.pairs()] == [
        ("1:1", True, ()),
        ("1:2", True, ()),
        ("1:3", True, ()),
        ("1:4", False, ("text",)),
    ], "what was dropped on the way is no difference, nor is evidence that the parent has"
    assert "B is a branch of A (rewind at 1:3): the first 2 turns are the same ones" in (
        comparison.kin_words()
    )
    assert compare_logs(branch, parent).kinship.of == "a"


@pytest.mark.parametrize("until", [2, 3])
def test_a_session_that_was_over_is_shared_with_all_that_happened_in_it(
    tmp_path: Path, until: int
) -> None:
    done = turn(3, "provider", "[[ERROR]]", signal="[[ERROR]]", discard="skip")
    records = conversation(
        session(1, "intake", [HELLO, SORRY, done], ending()),
        session(2, "refund", [HELLO, SORRY], ending()),
        end=ending(),
    )
    parent = write_log(tmp_path / "p.jsonl", records)
    with open_log(parent) as log:
        seq = log.transcript.records - 1
    sha256, _ = digest_until(parent, seq)
    ref = ParentRef(id="a1b2c3", file=str(parent), seq=seq, sha256=sha256)
    inherited = [(1, 1, "persona", HELLO), (1, 2, "provider", SORRY), (2, 1, "persona", HELLO)][
        :until
    ]
    seeded = HistorySeeded(
        turns=[
            {"session": s, "turn": n, "speaker": who, "text": turn_records[-1].payload()["text"]}
            for s, n, who, turn_records in inherited
        ],
        sessions=["intake", "refund"],
        current=2,
        counters={},
        messages={},
        ended=[{"session": 1, "session_type": "intake", "termination": ending()}],
    )
    own = [HELLO, SORRY] if until == 2 else [SORRY]
    second = session(2, "refund", own, ending())
    branch = conversation(second, end=ending())
    branch[0] = header(id="c", origin="continue", parents=[ref])
    comparison = compare_logs(
        parent, write_log(tmp_path / "c.jsonl", [branch[0], seeded, *branch[1:]])
    )
    assert comparison.same
    assert [pair.shared for pair in comparison.pairs()] == [True] * 3 + [until == 3, False]


def test_siblings_share_what_both_took_along(write: Write) -> None:
    parent = write("p", HELLO, SORRY, MONEY)
    one = child(parent, "one", 3, turn(4, "provider", "Of course."))
    other = child(parent, "other", 2, turn(3, "persona", "Never mind."))
    grandchild = child(one, "grand", 4, turn(5, "persona", "Thanks."))
    comparison = compare_logs(one, other)
    assert (comparison.kinship.kind, comparison.kinship.shared) == ("siblings", 2)
    assert comparison.first_words() == "turn 1:3, persona: text"
    assert compare_logs(grandchild, parent).kinship.shared == 3
    assert compare_logs(grandchild, one).kinship.shared == 4
    far = compare_logs(grandchild, other)
    assert (far.kinship.ancestor, far.kinship.shared) == ("p", 2)


def test_a_text_that_was_changed_on_the_way_is_not_shared(write: Write) -> None:
    parent = write("p", HELLO, SORRY)
    branch = child(parent, "c", 2, text="Something else.")
    comparison = compare_logs(parent, branch)
    assert [pair.shared for pair in comparison.pairs()] == [False, False]
    assert comparison.first_words() == "turn 1:1, persona: text"


def test_evidence_of_seeded_turns_comes_from_the_parent(write: Write) -> None:
    signal = turn(2, "provider", "Hm [[X]]", signal="[[X]]")
    parent = write("p", HELLO, signal)
    branch = child(parent, "c", 2)
    stranger = write("s", HELLO, signal)
    assert differences(compare_logs(branch, stranger)) == []
    parent.unlink()
    assert differences(compare_logs(branch, stranger)) == [], "unknown is no difference"


def test_a_log_and_itself_and_a_copy_of_it(write: Write, tmp_path: Path) -> None:
    log = write("a", HELLO, SORRY)
    assert compare_logs(log, log).kin_words() == "A and B are the same log"
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(log.read_bytes())
    assert compare_logs(log, copy).same


def test_plain_data(write: Write) -> None:
    other = turn(2, "provider", "I am glad.")
    data = as_dict(compare_logs(write("a", HELLO, SORRY), write("b", HELLO, other)))
    assert data["first"] == {"session": 1, "a": 2, "b": 2, "what": "turn 1:2, provider: text"}
    assert data["differences"] == 1
    assert data["a"]["used"]["provider"]["tokens"] == 88
    shown = data["sessions"][0]["turns"][1]
    assert shown["a"]["text"] == "I am sorry about that."
    assert "".join(text for op, text in shown["diff"] if op != "-") == "I am glad."


def test_equal_text_is_cut_to_what_is_around_a_difference() -> None:
    pieces = clipped([("=", "a" * 500), ("-", "x"), ("=", "b" * 500), ("+", "y"), ("=", "c")])
    assert [len(text) < 140 for _, text in pieces] == [True] * 5
    assert pieces[0][1].endswith("aaa")
    assert pieces[2][1].count("…") == 1


def test_a_missing_log_is_an_error(tmp_path: Path, write: Write) -> None:
    with pytest.raises(LogError, match="no such log"):
        compare_logs(write("a", HELLO), tmp_path / "none.jsonl")
