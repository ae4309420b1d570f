"""How often every rule fires, and how often it is wrong, on conversations and on lines of our own.

A hit on a real conversation that nobody has judged fails here and says what to do.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest

from convtui.log.reader import open_log
from convtui.text_checks.rules import FLAG_RULES
from tests.builders.sample_turns import Conversation, sample_conversations
from tests.places import RUNS
from tests.text_checks.cases import (
    FOLDER,
    Measured,
    cases,
    copied_conversations,
    digest_of,
    measure,
    table,
)

JUDGED: dict[str, bool] = json.loads((FOLDER / "judged.json").read_text(encoding="utf-8"))
CASES = list(cases())


@pytest.mark.parametrize("flag", FLAG_RULES)
def test_every_line_of_the_corpus(flag: str) -> None:
    wrong = []
    for case in CASES:
        if case.flag == flag:
            rules = [entry["rule"] for entry in case.noticed() if entry["flag"] == flag]
            if rules != ([] if case.rule is None else [case.rule]):
                wrong.append(f"{case}: {rules}: {case.turns[-1][1]}")
    assert wrong == []


def test_the_corpus_has_enough_of_every_flag_and_a_line_for_every_rule() -> None:
    counted = Counter(case.flag for case in CASES)
    assert set(counted) == set(FLAG_RULES)
    assert all(count >= 60 for flag, count in counted.items() if flag != "leak"), counted
    written = {(case.flag, case.rule) for case in CASES if case.rule is not None}
    assert written == {(flag, rule) for flag, rules in FLAG_RULES.items() for rule in rules}
    # Where a rule can be wrong there are lines that it must leave alone.
    assert all(
        any(case.flag == flag and case.rule is None for case in CASES) for flag in FLAG_RULES
    )


def test_no_other_flag_is_raised_on_lines_of_the_corpus() -> None:
    """What one file says nothing about is quiet, too: lines that no rule has to do with."""
    raised = Counter(
        (case.flag, entry["flag"])
        for case in CASES
        if case.rule is None
        for entry in case.noticed()
        if entry["flag"] != case.flag and entry["flag"] in ("role", "sentinel", "leak")
    )
    assert raised.total() <= 3, raised


def own_runs() -> list[Conversation]:
    """The conversations of the sample runs of this program."""
    found = []
    for path in sorted(RUNS.glob("*.jsonl")):
        if path.name.endswith(".wire.jsonl"):
            continue
        with open_log(path) as log:
            turns = [
                (turn.session, turn.speaker, turn.text)
                for turn in log.transcript.turns
                if turn.status == "committed"
            ]
            found.append(Conversation(path.name, turns=turns))
    return found


def check(measured: Measured, title: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the figures and asserts that every hit is judged and few are wrong."""
    with capsys.disabled():
        print(f"\n{title}\n{table(measured)}")
    assert not measured.unjudged, "\n".join(measured.unjudged)
    for rule, figures in measured.rules.items():
        assert figures.wrong * 5 <= figures.hits, f"{rule}: {figures}"


def test_real_conversations_that_are_in_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    measured = measure([*copied_conversations(), *own_runs()], JUDGED)
    assert measured.persona > 30
    assert measured.provider > 30
    check(measured, "copied conversations and our own sample runs", capsys)


def test_real_conversations_of_the_samples(capsys: pytest.CaptureFixture[str]) -> None:
    conversations = sample_conversations()
    kinds = {conversation.name.partition("/")[0] for conversation in conversations}
    assert kinds >= {
        *("vera-mh", "waza", "hermes", "rath", "oharness", "tau-bench", "promptfoo"),
        *("openai", "claude-code", "inspect"),
    }
    check(measure(conversations, JUDGED), "conversations of the samples", capsys)


def test_a_hit_that_nobody_has_judged_says_what_to_do() -> None:
    text = "Hi! How can I help you today?"
    talk = Conversation("made-up", turns=[(1, "persona", text)])
    measured = measure([talk], {})
    (told,) = measured.unjudged
    key = f"{digest_of(text)} role:offers-help"
    assert f'"{key}": true' in told
    assert "judged.json" in told
    judged = measure([talk], {key: False})
    assert judged.unjudged == []
    assert judged.rules["role:offers-help"].wrong == 1
    assert "role:offers-help" in table(judged)
