"""What is noticed about a text for nothing: rules, spans, costs, and what is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.text_checks import farewells, role
from convtui.text_checks.reading import Noticed, Reading, words
from convtui.text_checks.rules import FLAG_RULES, RULES
from convtui.text_checks.text_checks import TextChecks, notice_leak, notice_role


@pytest.mark.parametrize(
    ("text", "rule", "matched"),
    [
        ("Hi! How can I help you today?", "offers-help", "How can I help you today?"),
        ("How may I assist you with that booking?", "offers-help", "How may I assist you with"),
        ("Sure. Is there anything else I can help with?", "offers-help", "anything else I can"),
        ("I’m here to help you.", "offers-help", "I’m here to help you"),
        ("I'm here to help. Let me know if you have any further questions.", "offers-help", "I'm"),
        ("As an AI, I cannot travel.", "is-an-ai", "As an AI, I"),
        ("Well, I'm just an AI assistant.", "is-an-ai", "I'm just an AI assistant"),
        ("I am a large language model.", "is-an-ai", "I am a large language model"),
        ("Thank you for contacting us!", "thanks-for-contact", "Thank you for contacting us"),
        ("Could you please provide your booking number?", "asks-for-account", "Could you please"),
        ("We apologize for any delay this has caused.", "acts-for-service", "We apologize for any"),
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
    noticer = TextChecks()
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
    noticer = TextChecks()
    noticer.restore([(1, "persona", LONG)])
    assert [each["flag"] for each in noticer.notice(1, "provider", LONG)] == ["echo"]
    assert noticer.notice(2, "persona", LONG) == []
    assert [each["flag"] for each in noticer.notice(1, "persona", LONG)] == ["repeat"]


def test_what_is_remembered_is_bounded() -> None:
    noticer = TextChecks()
    for number in range(3_000):
        noticer.notice(1 + number // 300, "persona", f"{LONG} {number} times {number * 7}")
    held = [len(side.said._hashes) for side in noticer._sides.values()]
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
    noticer = TextChecks(
        sentinels=["<end>", "###STOP###"], names={"persona": "Ida", "provider": "Bot"}
    )
    for session, speaker, text in turns:
        for found in noticer.notice(session, speaker, text):
            assert found["flag"] in FLAG_RULES
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
     "anything else i can help ", "\ud800", "<|im_start|> ", "_ user_", "<end", "# stop #", "&lt;",
     "&amp;amp;amp;", "ida (", "bye ", "you don't ", "i am i am ", "as an ai ", "＜", "your order ",
     "i want to ", "thank you for ", "are you having "],
)  # fmt: skip
def test_a_megabyte_of_anything_costs_milliseconds(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))

    def cost() -> float:
        started = time.process_time()
        noticer = TextChecks(
            sentinels=["<end>", "###STOP###"], names={"persona": "Ida", "provider": "Bot"}
        )
        for speaker in ("persona", "provider"):
            noticer.notice(1, speaker, text)
        return time.process_time() - started

    # The best of some: a machine that is busy with other things makes them slower, too.
    assert any(cost() < 0.1 for _ in range(5))


# --- what is known beside the text


def noticed(noticer: TextChecks, speaker: str, text: str) -> list[tuple[str, str]]:
    return [(each["flag"], each["rule"]) for each in noticer.notice(1, speaker, text)]


def test_one_sign_is_enough_for_a_side_that_was_out_of_its_role() -> None:
    weak = "Thank you for reaching out!"
    noticer = TextChecks()
    assert noticed(noticer, "persona", weak) == []
    assert noticed(noticer, "persona", "How can I help you today?") == [("role", "offers-help")]
    noticer.notice(1, "persona", weak, remember=False)
    assert noticed(noticer, "persona", "I care about you.") == [("role", "counsels")]
    needs = "Thanks for reaching out, I lost my ticket."
    assert noticed(noticer, "persona", needs) == [], "it speaks for itself again"


def test_a_need_of_its_own_weighs_against_single_signs() -> None:
    signs = "Thank you for reaching out. I'm here for you."
    assert notice_role("persona", signs) is not None
    assert notice_role("persona", f"{signs} I lost my ticket.") is None
    assert notice_role("persona", "I am an AI language model. I lost my ticket.") is not None


def test_sentinels_are_those_in_force_and_only_the_persona_ends_with_them() -> None:
    text = "Thanks. &lt;done&gt;"
    assert noticed(TextChecks(sentinels=["<end>"]), "persona", text) == []
    assert noticed(TextChecks(), "persona", text) == []
    found = TextChecks(sentinels=["<done>"]).notice(1, "persona", text)
    assert [(each["flag"], each["matched"]) for each in found] == [("sentinel", "&lt;done&gt;")]
    assert text[found[0]["start"] : found[0]["end"]] == "&lt;done&gt;"
    assert noticed(TextChecks(sentinels=["<done>"]), "provider", text) == []


@pytest.mark.parametrize("sentinel", ["", "  ", "🛑", "###", "<>"])
def test_a_sentinel_without_words_is_not_looked_for(sentinel: str) -> None:
    assert noticed(TextChecks(sentinels=[sentinel]), "persona", "🛑 # ## < > &lt;&gt; bye") == []


@pytest.mark.parametrize(
    ("name", "text", "flagged"),
    [
        ("answer", "Answer: it leaves at nine.", False),
        ("openai/gpt-4o", "gpt-4o: It leaves at nine.", True),
        ("Bot", "Bot: It leaves at nine.", True),
        ("unknown", "Unknown: the gate.", False),
        ("my_file.py:Bot", "my: gate", False),
        ("", ": gate", False),
    ],
)
def test_a_function_is_no_name_of_a_provider(name: str, text: str, flagged: bool) -> None:
    noticer = TextChecks(names={"provider": name})
    assert [flag for flag, _ in noticed(noticer, "provider", text)] == ["label"] * flagged


def test_a_persona_without_a_name_has_no_label() -> None:
    for name in ("", "?", "user", "unknown user", "a", "(none)"):
        noticer = TextChecks(names={"persona": name})
        assert noticed(noticer, "persona", "Question: when does it leave?") == []


def test_farewells_are_counted_from_the_third_on_in_one_session() -> None:
    noticer = TextChecks()
    talk = ["Thanks, goodbye!", "You're welcome, bye!", "Take care!", "You too!"]
    counted = []
    for number, text in enumerate(talk):
        entries = noticer.notice(1, ("persona", "provider")[number % 2], text)
        counted.append([each["count"] for each in entries if each["flag"] == "farewell"])
    assert counted == [[], [], [3], [4]]
    assert noticed(noticer, "persona", "Wait, when does it leave?") == []
    assert noticed(noticer, "persona", "Bye!") == [], "it begins anew"
    assert noticer.notice(2, "provider", "Goodbye!") == [], "another session"


def test_one_side_alone_makes_no_farewell_loop() -> None:
    noticer = TextChecks()
    assert [noticed(noticer, "provider", text) for text in ("Bye!", "Goodbye!", "Take care!")] == [
        [], [], [],
    ]  # fmt: skip


def test_restored_turns_count_for_farewells_and_echoes() -> None:
    noticer = TextChecks()
    noticer.restore([(1, "persona", "Thanks, goodbye!"), (1, "provider", "You're welcome, bye!")])
    assert noticed(noticer, "persona", "Take care!") == [("farewell", "only-goodbyes")]
    noticer.restore([(1, "provider", LONG)])
    assert noticed(noticer, "persona", LONG) == [("echo", "same-as-other")]


def test_what_is_not_said_yet_leaves_no_trace() -> None:
    noticer = TextChecks()
    for _ in range(3):
        noticer.notice(1, "persona", "Thanks, bye!", remember=False)
        noticer.notice(1, "provider", "How can I help? Bye!", remember=False)
    assert noticed(noticer, "persona", "Thanks, bye!") == []


_SPOKEN = st.lists(
    st.sampled_from(
        ["thank you", "bye", "take care", "have a nice day", "i feel bad", "see you", "danke", "I",
         "will", "do", "ferry", "cabin", "7", "?", ".", "!", "...", "'", "so much", "Ana", "-"]
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=500)
@given(_SPOKEN)
def test_what_is_looked_at_first_changes_no_farewell(parts: list[str]) -> None:
    def is_parting(sentence: str) -> bool:
        spoken = [word for word in words(sentence) if any(map(str.isalnum, word))]
        others = sum(word not in farewells._WORDS for word in spoken)
        if farewells._PARTING.search(sentence) is None:
            return others == 0 and len(spoken) <= 12
        if farewells._OWN_MATTER.search(sentence) is not None:
            return False
        return others <= max(1, 0.2 * len(spoken))

    reading = Reading(" ".join(parts))
    text = reading.lowered
    expected = (
        farewells._PARTING.search(text) is not None
        and "?" not in text
        and not any(map(str.isdigit, text))
        and all(map(is_parting, farewells._SENTENCES.split(text)))
    )
    assert farewells.is_farewell(reading) is expected


@settings(max_examples=1000)
@given(st.from_regex(farewells._PARTING))
def test_a_needle_stands_in_every_text_that_parts(text: str) -> None:
    assert any(needle in text for needle in farewells._NEEDLES)


def test_every_rule_belongs_to_one_flag() -> None:
    assert sum(map(len, FLAG_RULES.values())) == len(RULES)


@given(
    st.lists(
        st.sampled_from([needle for sign in role._SIGNS for needle in sign.needles])
        | st.text("abeinorstuy ' -", max_size=6)
    )
)
def test_every_sign_is_looked_for_where_one_of_its_needles_stands(parts: list[str]) -> None:
    text = "".join(parts)
    expected = {
        number
        for number, sign in enumerate(role._SIGNS)
        if any(needle in text for needle in sign.needles)
    }
    assert role._signs_in(text) == expected
