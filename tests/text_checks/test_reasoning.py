"""What counts as reasoning in a text, and what is left when it is taken out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.text_checks.reasoning import (
    is_inside,
    reasoning_spans,
    split_reasoning,
    without_reasoning,
)


@pytest.mark.parametrize(
    ("text", "words", "reasoning"),
    [
        ("<think>a</think>Hi", "Hi", "a"),
        ("A <THINKING budget='1'>x</Thinking> B", "A B", "x"),
        ("<thought>x</thought>Saturday", "Saturday", "x"),
        ("<thoughts>x</thoughts>Saturday", "Saturday", "x"),
        ("<reasoning>x</reasoning>y", "y", "x"),
        ("<scratchpad>x</scratchpad>y", "y", "x"),
        ("<inner_monologue>x</inner_monologue>y", "y", "x"),
        ("<chain_of_thought>x</chain_of_thought>y", "y", "x"),
        ("<antThinking>x</antThinking>y", "y", "x"),
        ("<seed:think>x</seed:think>y", "y", "x"),
        ("< think >a< /think >b", "b", "a"),
        ("&lt;think&gt;x&lt;/think&gt;y", "y", "x"),
        ("[THINK]If <end>.[/THINK]Saturday please.", "Saturday please.", "If <end>."),
        ("◁think▷x◁/think▷y", "y", "x"),
        ("<|begin_of_thought|>x<|end_of_thought|>y", "y", "x"),
        ("<|START_THINKING|>x<|END_THINKING|><|START_RESPONSE|>y<|END_RESPONSE|>", "y", "x"),
        ("<|inner_prefix|>x<|inner_suffix|>y", "y", "x"),
        ("<unused94>thought\nx<unused95>y", "y", "x"),
        ("<|channel>thought\nx<channel|>y", "y", "x"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>"
            "Gate 4<|return|>",
            "Gate 4",
            "hm",
        ),
        ("<|channel|>final<|message|>Gate 4.", "Gate 4.", ""),
        ("Here is my thought process:\nx\nHere is my response:\ny", "y", None),
        ("analysisThe user asks.assistantfinalGate 4.", "Gate 4.", None),
        ("<think>a <think>b</think> c</think>d", "d", "a <think>b</think> c"),
        ("<think>x</reasoning>y", "y", "x"),
        ("<think>a</think>b<think>c</think>d", "bd", "a\n\nc"),
        ("[REASONING]x[/REASONING]y", "y", "x"),
        ("[thoughts]x[/thoughts]y", "y", "x"),
        ("<think_start>x<think_end>y", "y", "x"),
        ("<begin_thinking>x<end_thinking>y", "y", "x"),
        ("<begin_of_thought>x<end_of_thought>y", "y", "x"),
        ("<|thinking_start|>x<|thinking_end|>y", "y", "x"),
        ("<｜begin▁of▁thinking｜>x<｜end▁of▁thinking｜>y", "y", "x"),
        ("＜think＞x＜/think＞y", "y", "x"),
        ("\\<think\\>x\\</think\\>y", "y", "x"),
        ('<details type="reasoning" done="true">x</details>\ny', "y", "x"),
        ("<details>\n<summary>Thought for 3 s</summary>x</details>\ny", "y", None),
        ("<analysis>x</analysis>\ny", "y", "x"),
        ("<rationale>x</rationale><think>z</think>y", "y", "x\n\nz"),
        (
            "<|begin_of_thought|>x<|end_of_thought|><|begin_of_solution|>y<|end_of_solution|>",
            "y",
            "x",
        ),
        (
            "<|start|>assistant<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>"
            "final<|message|>y<|return|>",
            "y",
            "x",
        ),
    ],
)
def test_every_form_of_tag_is_taken_out(text: str, words: str, reasoning: str | None) -> None:
    split = split_reasoning(text)
    assert split.text == words
    if reasoning is not None:
        assert split.reasoning == reasoning


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("They want the gate.\n</think>\n\nGate 4.", "Gate 4."),
        ("They want the gate. [/THINK] Gate 4.", "Gate 4."),
        ("<think>a</think>b</think>c", "c"),
    ],
)
def test_a_closing_tag_alone_ends_what_was_thought_before_it(text: str, words: str) -> None:
    split = split_reasoning(text)
    assert split.text == words
    assert split.spans[-1].rule == "close"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<think>They want the gate. Let me recall", ""),
        ("Sure. <think>Let me", "Sure."),
        ("Sure\n<thinking>\nLet me", "Sure"),
        ("[THINK]Let me", ""),
        ("Saturday, <think>they want", "Saturday,"),
    ],
)
def test_an_opening_tag_alone_begins_what_was_cut_off(text: str, words: str) -> None:
    split = split_reasoning(text)
    assert split.text == words
    assert split.spans[-1].rule == "open"


@pytest.mark.parametrize(
    "text",
    [
        "How do I write a <think> tag?",
        'I wrote "<think>" there.',
        "Use `<think>` and `</think>` for it.",
        "```\n<think>\nx\n</think>\n```",
        "~~~xml\n<think>x</think>\n~~~\nThat is how.",
        "```\n<think>never closed, and neither is the fence",
        "[thinking] Well, Saturday then.",
        "I think so, for a reason.",
        "<thinker>x</thinker>",
        "<think/>Hi",
        "Close it with the </think> tag.",
        "Please write </think> at the end.",
        "The tags are <think> and </think>.",
        "Tags: <think>...</think> are what DeepSeek writes.",
        "<analysis>Everything is in here.</analysis>",
        "We give it back, see <analysis>x</analysis> above.",
        "<details><summary>Timetable</summary>10:30</details>Anything else?",
        "a < b > c",
        "",
    ],
)
def test_words_about_tags_are_left_alone(text: str) -> None:
    assert reasoning_spans(text) == ()
    assert split_reasoning(text).text is text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<think>```\nx</think>Answer:\n```py\ny\n```", "Answer:\n```py\ny\n```"),
        ("<think>\n```\n</think>\n```\nx</think>Hi", "Hi"),
        ("<think>a ` b</think>Hi ` there", "Hi ` there"),
    ],
)
def test_code_within_reasoning_does_not_hide_its_end(text: str, words: str) -> None:
    assert without_reasoning(text) == words


def test_what_lies_inside_is_told_from_what_only_touches() -> None:
    text = "<think>write <end></think><end>"
    spans = reasoning_spans(text)
    assert is_inside(spans, 13, 18)
    assert not is_inside(spans, 26, 31)


_PIECES = st.sampled_from(
    ["<think>", "</think>", "[THINK]", "[/THINK]", "```\n", "`", "\n", "x", " ", "<|channel|>final"]
)


@given(st.lists(_PIECES, max_size=20).map("".join))
def test_spans_are_in_order_and_within_the_text(text: str) -> None:
    end = 0
    for span in reasoning_spans(text):
        assert end <= span.start <= span.inner[0] <= span.inner[1] <= span.end <= len(text)
        end = span.end
    split_reasoning(text)
