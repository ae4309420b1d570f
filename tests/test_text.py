"""What is drawn never holds a character that acts; names never leave their folder."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.text import (
    REDACTED,
    Redactor,
    is_secret_name,
    near_empty,
    one_line,
    redact,
    safe_name,
    secret_values,
    visible,
    visible_line,
    word_count,
)

# Every code point, surrogates included, with what is dangerous drawn often.
ANY_TEXT = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Cs", "Mn", "Zl", "Zp"]),
        st.sampled_from(
            "\x1b\x9b\x9d\x07\x00\x7f\u200b\u202e\u2066\ufeff\ud800\U000e0041[]m\\\n\t"
        ),
    )
)
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u034f\u00ad"
BIDI = "\u061c\u200e\u200f" + "".join(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]))


@given(ANY_TEXT)
def test_visible_text_holds_nothing_that_acts(text: str) -> None:
    shown = visible(text)
    for char in shown:
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp"), repr(
            char
        )
    assert not set(shown) & set(ZERO_WIDTH + BIDI)
    shown.encode()


@given(ANY_TEXT)
def test_visible_text_on_one_line_is_one_line(text: str) -> None:
    assert "\n" not in visible(text, lines=False)
    assert len(visible(text, lines=False).splitlines()) <= 1


@given(ANY_TEXT)
def test_what_is_visible_stays_so(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(ANY_TEXT, st.integers(1, 30))
def test_visible_line_keeps_its_limit(text: str, limit: int) -> None:
    assert len(visible_line(text, limit)) <= limit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [b]", "plain [b]"),
        ("\x1b[31m", "␛[31m"),
        ("a\x9bb", "a<9B>b"),
        ("a\r\nb", "a\nb"),
        ("a\rb", "a␍b"),
        ("a\tb", "a    b"),
        ("a\u202eb", "a<U+202E>b"),
        ("\ud800", "<U+D800>"),
        ("é日本", "é日本"),
    ],
)
def test_visible_examples(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_runs_of_marks_are_cut() -> None:
    shown = visible("a" + "\u0301" * 50 + "b")
    assert shown == "a" + "\u0301" * 4 + "<+46 marks>b"
    assert visible("e\u0301") == "e\u0301"


@given(ANY_TEXT, st.integers(1, 60))
def test_safe_names(text: str, limit: int) -> None:
    name = safe_name(text, limit=limit, default="x")
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?", name)
    assert len(name) <= limit


@pytest.mark.parametrize("text", ["", ".", "..", "../../etc", "-rf", "CON:", "a/b", "日本", "\x00"])
def test_safe_names_of_hostile_text(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", safe_name(text))


KEY = "sk-" + "a1B2" * 6


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} here",
        f"Authorization: Bearer {KEY}",
        f'{{"authorization": "Basic {KEY}"}}',
        f"https://user:{KEY}@example.org/path",
        f"https://example.org/?api_key={KEY}&x=1",
        f"x-api-key: {KEY}",
    ],
)
def test_keys_are_taken_out(text: str) -> None:
    assert KEY not in redact(text)
    assert REDACTED in redact(text)


@given(ANY_TEXT, ANY_TEXT)
def test_known_secrets_are_taken_out_anywhere(before: str, after: str) -> None:
    assert "hunter2hunter2" not in Redactor(["hunter2hunter2"]).text(
        f"{before}hunter2hunter2{after}"
    )


def test_data_is_redacted_by_value_and_by_name() -> None:
    redactor = Redactor()
    redactor.add("longsecret", "short")
    data = {
        "a": ["xlongsecretx", 1, None],
        "api_key": "k",
        "b": {"Authorization": "z"},
        "short": "short",
    }
    assert redactor.data(data) == {
        "a": [f"x{REDACTED}x", 1, None],
        "api_key": REDACTED,
        "b": {"Authorization": REDACTED},
        "short": "short",
    }
    text = "nothing in here"
    assert redactor.text(text) is text


def test_secrets_of_an_environment() -> None:
    environ = {
        "OPENAI_API_KEY": "abcdefgh1",
        "SOME_TOKEN": "abcdefgh12",
        "API_KEY": "short",
        "KEY_PATH": "/a/long/path",
        "MAX_TOKENS": "100000000",
        "HOME": "/home/somebody",
    }
    assert secret_values(environ) == ("abcdefgh12", "abcdefgh1")
    assert is_secret_name("X-Api-Key")
    assert not is_secret_name("api_base")


def test_small_helpers() -> None:
    assert word_count(" a  b\nc ") == 3
    assert near_empty(" ...\n—")
    assert not near_empty("ok")
    assert one_line("a\n b   c") == "a b c"
    assert one_line("abcdef", 4) == "abc…"
