"""The filter language: atoms, three-valued logic, error texts, printing and parsing again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.errors import FilterError
from convtui.filters.atoms import ATOMS
from convtui.filters.filter import decide, parse
from convtui.filters.tree import And, Atom, Node, Not, Or
from convtui.log.notes import TurnNote
from convtui.records.models import (
    DebugEdited,
    DebugInjected,
    LlmRequest,
    LlmResponse,
    LlmRetry,
    ProviderOutput,
    Record,
    RecordDict,
    ToolCalled,
    ToolReturned,
    UserDecided,
)
from convtui.transcript.fold import Transcript, Turn, take_noticed
from tests.builders.logs import (
    USAGE,
    as_records,
    conversation,
    ending,
    fold,
    header,
    sample,
    session,
    turn,
)


class Everything:
    """A lookup over records in memory."""

    def __init__(
        self, records: Sequence[Record], corrected: Mapping[str, TurnNote] | None = None
    ) -> None:
        self._records = as_records(records)
        self.corrected = corrected or {}

    def raw(self, turn: Turn) -> str | None:
        raws = [r["raw"] for r in self.records(turn) if r["type"] == "llm.response"]
        return raws[-1] if raws else None

    def records(self, turn: Turn) -> list[RecordDict]:
        here = (turn.session, turn.number)
        return [r for r in self._records if (r.get("session"), r.get("turn")) == here]

    def marked(self, turn: Turn) -> bool:
        return turn.number == 2

    def noted(self, turn: Turn) -> bool:
        return turn.number == 3

    def correction(self, turn: Turn) -> TurnNote | None:
        return self.corrected.get(turn.address)


RICH = conversation(
    session(
        1,
        "intake",
        [
            turn(1, "persona", "Hello there", human=True),
            turn(
                2,
                "provider",
                "See you",
                raw="<b>See</b> you",
                usage=USAGE,
                more=[
                    LlmRetry(n=1, delay=0.1, error={"message": "429"}),
                    ToolCalled(id="1", name="find_trip"),
                    ToolReturned(id="1", name="find_trip", ok=False, error_kind="boom"),
                    ProviderOutput(stream="stdout", text="loading the index\n"),
                ],
            ),
            turn(
                3,
                "persona",
                "How can I help you today?",
                more=[
                    UserDecided(kind="error", valid=False, reason="two calls"),
                    UserDecided(kind="reply", by="human"),
                ],
                flags=[
                    {"flag": "role", "rule": "offers-help"},
                    {"flag": "label", "rule": "own-name"},
                    {"flag": "sentinel", "rule": "near-sentinel"},
                ],
            ),
            turn(4, "provider", "...", more=[DebugInjected(fault="empty")], empty=True),
            turn(5, "persona", "  HELLO there "),
            turn(
                6,
                "provider",
                "User: See you",
                flags=[{"flag": "role", "rule": "other-label"}],
                more=[DebugEdited(field="raw", before="", after="x")],
            ),
            turn(
                7,
                "persona",
                "hello there",
                flags=[
                    {"flag": "repeat", "rule": "same-words"},
                    {"flag": "echo", "rule": "part-of-other"},
                    {"flag": "farewell", "rule": "only-goodbyes", "count": 3},
                    {"flag": "leak", "rule": "reasoning-tag"},
                ],
            ),
            turn(8, "provider", "[[ERROR]] no", signal="[[ERROR]]", discard="end"),
        ],
        ending("discarded", "provider", 8),
    ),
    session(2, "refund", [turn(1, "persona", "Again")]),
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("~signal", "1:8"),
        ("~signal error", "1:8"),
        ('~signal "[[ERROR]]"', "1:8"),
        ("~signal other", ""),
        ("~discard", "1:8"),
        ("~inactive", ""),
        ("~changed", "1:2"),
        ("~raw <b>see", "1:2"),
        ('~said "^hello there$"', "1:1 1:7"),
        ("see", "1:2 1:6"),
        ("~speaker provider & ~turn < 5", "1:2 1:4"),
        ("~session refund", "2:1"),
        ("~session 2", "2:1"),
        ("~turn = 3", "1:3"),
        ("~turn >= 7", "1:7 1:8"),
        ("~turn <= 1", "1:1 2:1"),
        ("~turn > 7", "1:8"),
        ("~decision", "1:3"),
        ("~decision reply", "1:3"),
        ("~decision error", "1:3"),
        ("~decision stop", ""),
        ("~tool", "1:2"),
        ("~tool find_trip", "1:2"),
        ("~tool pay", ""),
        ("~toolerror", "1:2"),
        ("~error", ""),
        ("~retry", "1:2"),
        ("~empty", "1:4"),
        ("~repeat", "1:7"),
        ("~repeat same-words", "1:7"),
        ("~repeat nearly-same-words", ""),
        ("~role", "1:3 1:6"),
        ("~role offers-help", "1:3"),
        ("~role OTHER-LABEL", "1:6"),
        ("~role other-label & ~speaker persona", ""),
        ("!~role offers-help & ~turn > 5", "1:6 1:7 1:8"),
        ("~label", "1:3"),
        ("~label own-name", "1:3"),
        ("~label own-label", ""),
        ("~sentinel", "1:3"),
        ("~echo", "1:7"),
        ("~echo part-of-other", "1:7"),
        ("~farewell", "1:7"),
        ("~leak", "1:7"),
        ("~leak reasoning-words", ""),
        ("~edited", "1:6"),
        ("~human", "1:1"),
        ("~end", "1:8"),
        ("~end discarded", "1:8"),
        ("~end failed", ""),
        ("~latency > 0.4 & ~turn < 3", "1:2"),
        ("~latency > 0.6", ""),
        ("~tokens > 80", "1:2"),
        ("~tokens > 90", ""),
        ("~cost < 0.001", "1:2"),
        ("~output", "1:2"),
        ('~output "the index"', "1:2"),
        ("~output nothing", ""),
        ("~fault", "1:2 1:3 1:4 1:7 1:8"),
        ("~fault simulator", "1:3 1:7"),
        ("~fault provider", "1:2 1:8"),
        ("~fault harness", "1:4"),
        ("~note", "1:3"),
        ("~mark & ~session intake", "1:2"),
        ("~stage commit & ~turn = 1", "1:1 2:1"),
        ("~persona maya & ~turn = 2", "1:2"),
        ("~provider bot & ~turn = 2", "1:2"),
        ("~persona tom", ""),
        ("~tag x", ""),
        ("~date >= 2026-03-01 & ~date < 2026-04-01 & ~turn = 2", "1:2"),
        ("!~speaker persona & !~turn > 2", "1:2"),
        ("~turn = 1 & ~session refund | ~changed", "1:2 2:1"),
        ("~turn = 1 & (~session refund | ~changed)", "2:1"),
    ],
)
def test_atoms_on_turns(expression: str, expected: str) -> None:
    transcript = fold(RICH)
    lookup = Everything(RICH)
    asked = parse(expression)
    found = [t.address for t in transcript.turns if decide(asked.on_turn(t, transcript, lookup))]
    assert " ".join(found) == expected


ROUNDS = conversation(
    session(
        1,
        "ferry",
        [
            turn(1, "persona", "Which gate?"),
            turn(
                2,
                "provider",
                "Gate",
                raw="I hand you over.",
                more=[
                    ToolCalled(id="1", name="find_trip"),
                    ToolReturned(id="1", name="find_trip", ok=True),
                    LlmRequest(round=2, append=[], sha256=""),
                    LlmResponse(round=2, raw="Gate", finish_reason="length", incomplete="length"),
                ],
                incomplete="length",
            ),
            turn(3, "persona", "What?"),
            turn(4, "provider", "Error: no boat", error_text="Error: no boat"),
        ],
    ),
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("~interim", "1:2"),
        ('~said "hand you"', "1:2"),
        ("~incomplete", "1:2"),
        ("~incomplete length", "1:2"),
        ("~incomplete LENGTH", "1:2"),
        ("~incomplete refusal", ""),
        ("~error", "1:4"),
        ("~fault provider", "1:2 1:4"),
    ],
)
def test_atoms_on_rounds_and_odd_replies(expression: str, expected: str) -> None:
    transcript = fold(ROUNDS)
    asked = parse(expression)
    matches = [t.address for t in transcript.turns if decide(asked.on_turn(t, transcript, None))]
    assert " ".join(matches) == expected


def test_every_atom_has_a_test() -> None:
    written = {
        atom.name
        for test in (test_atoms_on_turns, test_atoms_on_rounds_and_odd_replies)
        for mark in test.pytestmark  # type: ignore[attr-defined]
        for expression, _ in mark.args[1]
        for atom in parse(expression).atoms()
    }
    assert set(ATOMS) - written == {"model"}


RUN = SimpleNamespace(
    persona="Maya",
    provider="openai/gpt-4o",
    model="gpt-4o-mini",
    created_at=datetime(2026, 3, 4, 12, tzinfo=UTC),
    tags=["nightly", "refund"],
)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("~persona may", True),
        ("~persona tom", False),
        ("~provider openai", True),
        ("~model MINI", True),
        ("~tag refund", True),
        ("~tag weekly", False),
        ("~date = 2026-03-04", True),
        ("~date < 2026-03-04", False),
        ("~date <= today", True),
        ("~signal", None),
        ("~persona may & ~signal", None),
        ("~persona tom & ~signal", False),
        ("~persona may | ~signal", True),
        ("!~persona may", False),
        ("!~signal", None),
    ],
)
def test_atoms_on_runs(expression: str, answer: bool | None) -> None:
    assert parse(expression).on_run(RUN) is answer


def test_a_run_that_does_not_say_is_unknown() -> None:
    assert parse("~model x").on_run(SimpleNamespace(persona="Maya")) is None
    assert parse("~date = today").on_run(SimpleNamespace(created_at="yesterday-ish")) is None


def test_the_header_answers_for_a_run() -> None:
    records = [header(provider={"spec": "openai/gpt-4o", "model": "gpt-4o"})]
    assert parse("~model gpt").on_header(fold(records)) is True
    assert parse("~signal").on_header(fold(records)) is None


# --- unknown until the stage has run


def answers(expression: str, records: Sequence[Record]) -> list[bool | None]:
    """The answer after each record of the last turn."""
    transcript = Transcript()
    asked = parse(expression)
    found = []
    for record in as_records(records):
        changed = transcript.apply(record)
        if changed is not None:
            found.append(asked.on_turn(changed, transcript, Everything(records)))
    return found


REPLY = [
    header(),
    *session(1, "a", [turn(2, "provider", "ok", raw="ok [[E]]", signal="[[E]]", discard="end")]),
]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # turn.started, llm.request, llm.response, signals, processed, discarded
        ("~turn = 2", [True] * 6),
        ("~speaker provider", [True] * 6),
        ("~session a", [True] * 6),
        ("~raw ok", [None, None, True, True, True, True]),
        ("~latency > 9", [None, None, False, False, False, False]),
        ("~signal", [None, None, None, True, True, True]),
        ("~signal nope", [None, None, None, False, False, False]),
        ("~changed", [None, None, None, None, True, True]),
        ("~said ok", [None, None, None, None, True, True]),
        ("~empty", [None, None, None, None, False, False]),
        ("~discard", [None, None, None, None, None, True]),
        ("~retry", [None, None, None, None, None, False]),
        ("~stage signals", [False, False, False, True, True, True]),
        ("~signal & ~turn > 3", [False] * 6),
        ("~signal | ~turn < 3", [True] * 6),
        ("~role", [None, None, None, None, None, False]),
        ("~repeat", [None, None, None, None, None, False]),
        ("~role offers-help", [None, None, None, None, None, False]),
        ("~farewell", [None, None, None, None, None, False]),
        ("~fault", [None, None, None, None, None, True]),
        ("~fault harness", [None, None, None, None, None, False]),
        ("~decision stop", [None, None, None, None, None, False]),
        ("!~signal", [None, None, None, False, False, False]),
    ],
)
def test_unknown_until_the_stage_has_run(expression: str, expected: list[bool | None]) -> None:
    assert answers(expression, REPLY) == expected


def test_what_was_noticed_is_unknown_before_commit() -> None:
    """As a breakpoint asks: at the gate the stage is reached, the record is not written yet."""
    now = turn(3, "persona", "How may I assist you today?")[:-1]
    transcript = fold([header(), *session(1, "a", [now])])
    current = transcript.turns[-1]
    asked = {each: parse(each) for each in ("~role", "~repeat", "~fault", "~fault provider")}
    assert [each.on_turn(current, transcript) for each in asked.values()] == [None] * 4
    current.stage = "commit"
    take_noticed(current, [{"flag": "role", "rule": "offers-help"}])
    assert [each.on_turn(current, transcript) for each in asked.values()] == [
        True, False, True, None,
    ], "what else goes wrong in it is not known yet"  # fmt: skip


def test_corrections_count_in_place_of_what_the_log_says() -> None:
    transcript = fold(RICH)
    lookup = Everything(
        RICH,
        {
            "1:3": TurnNote(flags={"role": False}, fault="harness"),
            "1:5": TurnNote(flags={"role": True}),
            "1:7": TurnNote(fault="none"),
        },
    )

    def found(expression: str) -> str:
        asked = parse(expression)
        turns = transcript.turns
        return " ".join(t.address for t in turns if decide(asked.on_turn(t, transcript, lookup)))

    assert found("~role") == "1:5 1:6"
    assert found("~role offers-help") == "", "what is added by hand has no rule"
    assert found("~repeat") == "1:7"
    assert found("~fault simulator") == "1:5"
    assert found("~fault harness") == "1:3 1:4"


def test_faults_of_a_long_log_are_found_at_a_hundred_thousand_turns_a_second() -> None:
    transcript = fold(RICH)
    turns = transcript.turns * 1_112
    asked = parse("~role | ~repeat | ~fault provider")

    def cost() -> float:
        started = time.process_time()
        count = sum(decide(asked.on_turn(each, transcript)) for each in turns)
        assert count == 1_112 * 5
        return time.process_time() - started

    # The best of some: a machine that is busy with other things makes them slower, too.
    assert any(cost() < len(turns) / 100_000 for _ in range(5))


def test_a_second_attempt_does_not_inherit_the_discard() -> None:
    again = [
        header(),
        *session(
            1,
            "a",
            [
                turn(1, "provider", "[[E]]", signal="[[E]]", discard="retry"),
                turn(1, "provider", "fine", attempt=2),
            ],
        ),
    ]
    assert answers("~discard", again)[5:11] == [True, None, None, None, None, None]
    assert decide(answers("~discard", again)[-1]), "a search still finds that one was dropped"


def test_without_a_lookup_raw_is_unknown() -> None:
    transcript = fold(sample())
    assert parse("~raw x").on_turn(transcript.turns[1], transcript) is None
    assert parse("~mark").on_turn(transcript.turns[1], transcript) is None
    assert not decide(None)


TRUTH = {"t": "~turn > 0", "f": "~turn < 0", "u": "~raw x"}


@pytest.mark.parametrize(
    ("a", "b", "both", "either"),
    [
        ("t", "t", True, True),
        ("t", "f", False, True),
        ("t", "u", None, True),
        ("f", "f", False, False),
        ("f", "u", False, None),
        ("u", "u", None, None),
    ],
)
def test_three_valued_logic(a: str, b: str, both: bool | None, either: bool | None) -> None:
    transcript = fold(sample())
    for one, other in ((a, b), (b, a)):
        for operator, expected in (("&", both), ("|", either)):
            expression = f"{TRUTH[one]} {operator} {TRUTH[other]}"
            assert parse(expression).on_turn(transcript.turns[0], transcript) is expected
    opposite = {"t": False, "f": True, "u": None}[a]
    assert parse(f"!({TRUTH[a]})").on_turn(transcript.turns[0], transcript) is opposite


def test_what_needs_a_lookup() -> None:
    assert parse("a | !~raw b").needs_raw
    assert parse("~tool find").needs_raw
    assert not parse("~tool & ~signal & a").needs_raw
    assert parse("~persona a & ~signal").about_turns
    assert not parse("~persona a").about_turns


# --- errors


@pytest.mark.parametrize(
    ("expression", "message", "column"),
    [
        ("", "the filter is empty: expected an atom", 0),
        ("~signl", "unknown atom ~signl, did you mean '~signal'?", 0),
        ("~turn > 3 & ~discrad", "unknown atom ~discrad, did you mean '~discard'?", 12),
        ("~zzzzz", "unknown atom ~zzzzz", 0),
        ("~turn", "expected one of < <= = >= > after ~turn, found the end", 5),
        ("~turn 3", "expected one of < <= = >= > after ~turn, found 3", 6),
        ("~turn >", "expected a number after ~turn >, found the end", 7),
        ("~turn > x", "~turn: expected a number, not 'x'", 8),
        ("~turn > nan", "~turn: expected a number, not 'nan'", 8),
        ("~latency > 3s", "~latency: expected a number, not '3s'", 11),
        ("~date > soon", "~date: expected a day (2026-01-31, today or yesterday), not 'soon'", 8),
        ("~raw", "expected REGEX after ~raw, found the end", 4),
        ("~raw a[b", "~raw: not a regular expression: unterminated character set", 6),
        ('~said "a(b"', "~said: not a regular expression: missing )", 8),
        ("*", "~said: not a regular expression: nothing to repeat", 0),
        ("~said " + "x" * 501, "~said: a regular expression of more than 500 characters", 506),
        ("~speaker bot", "~speaker: unknown speaker 'bot': expected one of persona provider", 9),
        ("~end discarde", "~end: unknown ending 'discarde', did you mean 'discarded'?", 5),
        ("~stage singals", "~stage: unknown stage 'singals', did you mean 'signals'?", 7),
        ("~fault me", "~fault: unknown side 'me'", 7),
        ("~fault provder", "~fault: unknown side 'provder', did you mean 'provider'?", 7),
        ("~decision stp", "~decision: unknown decision 'stp', did you mean 'stop'?", 10),
        ("~role offer-help", "~role: unknown rule 'offer-help', did you mean 'offers-help'?", 6),
        ("~leak x", "~leak: unknown rule 'x': expected one of reasoning-tag reasoning-words", 6),
        ("~farewell x", "expected & or | or the end, found x", 10),
        ("(a", "expected & or | or ), found the end", 2),
        ("a)", "expected & or | or the end, found )", 1),
        ("a &", "expected an atom such as ~signal, a word, ! or (, found the end", 3),
        ("| a", "expected an atom such as ~signal, a word, ! or (, found |", 0),
        ("one two", 'found two (words that belong together are written "in quotes")', 4),
        ('a & "b', 'this quote is not closed: expected "', 4),
        ("a" * 4001, "a filter of more than 4000 characters", 4000),
        ("!" * 200 + "a", "a filter nested more than 60 deep", 0),
    ],
)
def test_errors_say_what_and_where(expression: str, message: str, column: int) -> None:
    with pytest.raises(FilterError) as caught:
        parse(expression)
    assert message in str(caught.value)
    assert caught.value.column == column
    assert caught.value.expression == expression
    assert caught.value.exit_code == 2


def test_an_error_has_a_caret_under_its_place() -> None:
    with pytest.raises(FilterError) as caught:
        parse("~turn > 3 & ~discrad | a")
    line, caret = str(caught.value).splitlines()[1:]
    assert line == "  ~turn > 3 & ~discrad | a"
    assert caret == "  " + " " * 12 + "^"


def test_a_caret_in_a_long_or_hostile_expression() -> None:
    with pytest.raises(FilterError) as caught:
        parse("\x1b[31m & " + "a | " * 100 + "~nope")
    line, caret = str(caught.value).splitlines()[1:]
    assert line[caret.index("^") :] == "~nope"
    with pytest.raises(FilterError) as caught:
        parse("\x1b]0;x & ~nope")
    assert "\x1b" not in str(caught.value)


def test_notes_and_marks_are_no_breakpoints() -> None:
    assert parse("~mark").node == Atom("mark")
    with pytest.raises(FilterError, match="~mark cannot be a breakpoint"):
        parse("~signal & ~mark", breakpoint=True)


# --- printing and parsing again

words = st.text(min_size=1, max_size=12).map(lambda text: text.strip()).filter(bool)
atoms = st.one_of(
    st.sampled_from(["discard", "changed", "error", "repeat", "note"]).map(Atom),
    st.sampled_from(["signal", "tool", "decision"]).map(Atom),
    st.builds(Atom, st.sampled_from(["signal", "session", "tool", "persona", "tag"]), words),
    st.builds(Atom, st.just("speaker"), st.sampled_from(["persona", "provider"])),
    st.builds(
        Atom,
        st.sampled_from(["turn", "tokens", "latency", "cost"]),
        st.integers(0, 10**6).map(str),
        st.sampled_from(["<", "<=", "=", ">=", ">"]),
    ),
)


def combined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    some = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, inner), st.builds(And, some), st.builds(Or, some))


nodes: st.SearchStrategy[Any] = st.recursive(atoms, combined, max_leaves=12)


@given(nodes)
def test_a_printed_tree_parses_to_the_same_tree(node: Node) -> None:
    assert parse(str(node)).node == node


@given(st.text(max_size=40))
def test_any_text_parses_or_is_refused_with_a_place(text: str) -> None:
    try:
        again = parse(text)
    except FilterError as error:
        assert error.column is not None
        assert 0 <= error.column <= len(text)
    else:
        assert parse(str(again)).node == again.node
