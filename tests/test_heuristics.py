"""What is noticed about a text for nothing: rules, spans, costs, and what is left alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.heuristics import FLAGS, RULES, Noticed, Noticer, notice_leak, notice_role
from convtui.log.formats.vera_text import parse

SAMPLES = Path("/work/shared/samples")


@pytest.mark.parametrize(
    ("text", "rule", "matched"),
    [
        ("Hi! How can I help you today?", "offers-help", "How can I help you today?"),
        ("How may I assist you with that booking?", "offers-help", "How may I assist you with"),
        ("Sure. Is there anything else I can help with?", "offers-help", "anything else I can"),
        ("I’m here to help you.", "offers-help", "I’m here to help you"),
        ("Please let me know if you have any further questions.", "offers-help", "let me know"),
        ("As an AI, I cannot travel.", "is-an-ai", "As an AI, I"),
        ("Well, I'm just an AI assistant.", "is-an-ai", "I'm just an AI assistant"),
        ("I am a large language model.", "is-an-ai", "I am a large language model"),
        ("Thank you for reaching out!", "thanks-for-contact", "Thank you for reaching out"),
        ("Could you please provide your booking number?", "asks-for-account", "Could you please"),
        ("We apologize for the delay.", "acts-for-service", "We apologize for the"),
        ("I've issued your refund.", "acts-for-service", "I've issued your refund"),
        ("Assistant: Hello!", "other-label", "Assistant:"),
        ("**Agent:** Hello!", "other-label", "**Agent:"),
        ("  <|im_start|>assistant\nHello", "other-label", "<|im_start|>assistant"),
        ("I need help.\nUser: now\nAssistant: of course", "both-sides", "Assistant:"),
    ],
)
def test_a_persona_that_speaks_as_the_assistant(text: str, rule: str, matched: str) -> None:
    found = notice_role("persona", text)
    assert found is not None
    assert (found["flag"], found["rule"]) == ("role", rule)
    assert found["matched"].startswith(matched)
    assert text[found["start"] : found["end"]] == found["matched"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("User: I want my money back", "other-label"),
        ("Human: hm", "other-label"),
        ("[Customer]: I want my money back", "other-label"),
        ("Of course.\n\nUser: thanks\nAssistant: Welcome", "both-sides"),
    ],
)
def test_a_provider_that_speaks_as_the_user(text: str, rule: str) -> None:
    found = notice_role("provider", text)
    assert found is not None
    assert found["rule"] == rule


@pytest.mark.parametrize(
    ("speaker", "text"),
    [
        ("persona", "Can you still help me with the cancellation?"),
        ("persona", "Is there anything else I can do to get my refund?"),
        ("persona", "Let me know if there's anything else I need to check on."),
        ("persona", "How can I help him when he hears voices?"),
        ("persona", 'They always say "how can I help you today?" and then nothing.'),
        ("persona", "Are you an AI? As an AI you would not understand."),
        ("persona", "You talk as if I'm here to help my son only."),
        ("persona", "Sorry for the inconvenience, my booking number is 4711."),
        ("persona", "User: I speak for myself"),
        ("provider", "How can I help you today?"),
        ("provider", "As an AI, I cannot travel."),
        ("provider", "Customer: Maya Lee\nOrder: 4711"),
        ("provider", "Assistant: I sign what I say"),
        ("provider", "Note: the user: field is optional."),
        ("provider", ""),
    ],
)
def test_what_is_no_role_inversion(speaker: str, text: str) -> None:
    assert notice_role(speaker, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "<think>they want money</think>Sure.",
        "Sure.</thinking>",
        "<Reasoning depth=2>hm",
        "◁think▷hm◁/think▷Sure.",
        "[THINK]hm[/THINK]",
        "<|channel|>analysis<|message|>hm",
        "<|begin_of_thought|>hm",
    ],
)
def test_reasoning_that_leaked(text: str) -> None:
    found = notice_leak(text)
    assert found is not None
    assert (found["flag"], found["rule"]) == ("leak", "reasoning-tag")
    assert text[found["start"] : found["end"]] == found["matched"]


@pytest.mark.parametrize(
    "text", ["I think that is right.", "Put it into `<think>` tags.", "a < b, I thought > c", ""]
)
def test_what_is_no_leak(text: str) -> None:
    assert notice_leak(text) is None


def said(*texts: str, speaker: str = "persona") -> list[Noticed]:
    noticer = Noticer()
    for text in texts[:-1]:
        noticer.notice(1, speaker, text)
    return [each for each in noticer.notice(1, speaker, texts[-1]) if each["flag"] == "repeat"]


LONG = "I would like to know when the evening ferry to the island leaves and what a cabin costs"


def test_the_same_words_again() -> None:
    assert said("Where is my refund?", "  where is my REFUND!") == [
        {"flag": "repeat", "rule": "same-words", "ago": 1}
    ]
    assert said(LONG, "Oh.", "Well.", LONG)[0]["ago"] == 3
    assert said("Not now", "Hm.", "Not now") == [], "two words come back by themselves"
    assert said("Yes, please.", "Yes please") == [], "an answer, not a repetition"
    assert said("", "") == []


def test_nearly_the_same_words_again() -> None:
    nearly = LONG.replace("leaves", "departs")
    assert said(LONG, "Oh.", nearly) == [{"flag": "repeat", "rule": "nearly-same-words", "ago": 2}]
    assert said(LONG + " on May 5", LONG + " on May 6") == [], "another day is another question"
    assert said(LONG, "What does a cabin cost on the evening ferry, and is there breakfast?") == []


def test_sides_and_sessions_are_apart_and_turns_are_restored() -> None:
    noticer = Noticer()
    noticer.restore([(1, "persona", LONG)])
    assert noticer.notice(1, "provider", LONG) == []
    assert noticer.notice(2, "persona", LONG) == []
    assert [each["flag"] for each in noticer.notice(1, "persona", LONG)] == ["repeat"]


def test_what_is_remembered_is_bounded() -> None:
    noticer = Noticer()
    for number in range(3_000):
        noticer.notice(1 + number // 300, "persona", f"{LONG} {number} times {number * 7}")
    held = [len(each._hashes) for each in noticer._said.values()]
    assert len(held) <= 8
    assert max(held) <= 512


@given(
    st.lists(
        st.tuples(st.integers(1, 2), st.sampled_from(["persona", "provider"]), st.text()),
        max_size=8,
    )
)
def test_any_text_is_taken_and_spans_are_those_of_the_text(
    turns: list[tuple[int, str, str]],
) -> None:
    noticer = Noticer()
    for session, speaker, text in turns:
        for found in noticer.notice(session, speaker, text):
            assert found["flag"] in FLAGS
            assert found["rule"] in RULES
            if "start" in found:
                assert text[found["start"] : found["end"]] == found["matched"]


def test_capitals_with_two_small_letters_do_not_shift_spans() -> None:
    text = "İİİ ẞ how can I help you today?"
    found = notice_role("persona", text)
    assert found is not None
    assert text[found["start"] : found["end"]] == "how can I help you today?"


@pytest.mark.parametrize(
    "piece",
    ["a", "how can i ", "user: ", "\n", "<think ", " \t", "[think", "* ", "i have now ", ":",
     "anything else i can help ", "\ud800", "<|im_start|> ", "_ user_"],
)  # fmt: skip
def test_a_megabyte_of_anything_costs_milliseconds(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))

    def cost() -> float:
        started = time.process_time()
        for speaker in ("persona", "provider"):
            Noticer().notice(1, speaker, text)
        return time.process_time() - started

    # The best of some: a machine that is busy with other things makes them slower, too.
    assert any(cost() < 0.1 for _ in range(5))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not here")
def test_real_conversations_are_seldom_flagged() -> None:
    turns: list[tuple[str, str, str]] = []
    for path in sorted((SAMPLES / "vera-mh").glob("*_run*.txt")):
        turns += [(path.name, block.speaker, block.text) for block in parse(path.read_text())]
    cases = json.loads((SAMPLES / "tau-bench" / "gpt-4o-airline.3of200.json").read_text())
    speakers = {"user": "persona", "assistant": "provider"}
    for number, case in enumerate(cases):
        turns += [
            (f"tau {number}", speakers[message["role"]], message.get("content") or "")
            for message in case["traj"]
            if message["role"] in speakers
        ]
    noticers: dict[str, Noticer] = {}
    found = [
        (name, entry["rule"], text[:28])
        for name, speaker, text in turns
        for entry in noticers.setdefault(name, Noticer()).notice(1, speaker, text)
    ]
    assert len(turns) > 100
    # Twice the simulated user thanks the chatbot for reaching out, as support would.
    maya = "001847_Maya_g4o_run4.txt"
    assert found == [(maya, "thanks-for-contact", "Hi, thanks for reaching out.")] * 2
