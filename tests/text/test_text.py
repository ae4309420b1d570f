"""What is drawn never holds a character that acts; names never leave their folder."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.text.boundary import (
    harmless,
    near_empty,
    one_line,
    safe_name,
    visible,
    visible_length,
    visible_line,
    word_count,
)
from convtui.text.invisible import belongs

# Every code point, surrogates included, with what is dangerous drawn often.
ANY_TEXT = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Cs", "Mn", "Zl", "Zp"]),
        st.sampled_from(
            "\x1b\x9b\x9d\x07\x00\x7f\u200b\u202e\u2066\ufeff\ud800\U000e0041[]m\\\n\t"
            "\u200c\u200d\ufe0fی\u0651क\u094d\U0001f469\U0001f3fd"
        ),
    )
)
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u034f\u00ad"
JOINERS = "\u200c\u200d"
BIDI = "\u061c\u200e\u200f" + "".join(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]))


@given(ANY_TEXT)
def test_visible_text_holds_nothing_that_acts(text: str) -> None:
    shown = visible(text)
    for char in shown:
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp"), repr(
            char
        )
    assert not set(shown) & set(ZERO_WIDTH + BIDI) - set(JOINERS)
    assert all(belongs(shown, at) for at, char in enumerate(shown) if char in JOINERS)
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


WRITTEN_WITH_JOINERS = {
    "family": "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "eye in speech bubble": "\U0001f441\ufe0f\u200d\U0001f5e8\ufe0f",
    "astronaut with a colour of skin": "\U0001f9d1\U0001f3fd\u200d\U0001f680",
    "woman doctor": "\U0001f469\u200d\u2695\ufe0f",
    "heart as an emoji": "\u2764\ufe0f",
    "telephone as text": "\u260e\ufe0e",
    "copyright as an emoji": "\xa9\ufe0f",
    "keycap": "1\ufe0f\u20e3 #\ufe0f\u20e3",
    "flag of England": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "flag of Wales": "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
    "ideograph with a form of its own": "葛\U000e0100",
    "Persian": "می\u200cخواهم کتاب\u200cها",
    "Arabic with a mark": "مَّ\u200dم",
    "Hindi half form": "क\u094d\u200dष",
    "Hindi without a ligature": "क\u094d\u200cष",
    "Bengali ra before the virama": "র\u200d\u09cdয",
    "Tamil": "க\u0bcd\u200cஷ",
    "Telugu": "క\u0c4d\u200cష",
    "Malayalam chillu at the end of a word": "ന\u0d4d\u200d അ",
    "Sinhala": "ශ\u0dca\u200dර",
    "Mongolian": "ᠠ\u180b",
}


@pytest.mark.parametrize("text", WRITTEN_WITH_JOINERS.values(), ids=WRITTEN_WITH_JOINERS)
def test_what_belongs_to_the_writing_is_left_alone(text: str) -> None:
    assert visible(f"Hi {text}, ok") == f"Hi {text}, ok"
    assert visible_line(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay\u200cpal.com", "pay<U+200C>pal.com"),
        ("a\u200db", "a<U+200D>b"),
        ("б\u200cа", "б<U+200C>а"),
        ("日\u200d本", "日<U+200D>本"),
        ("\u200d", "<U+200D>"),
        ("می\u200c", "می<U+200C>"),
        ("\u200cمی", "<U+200C>می"),
        ("می\u200c خ", "می<U+200C> خ"),
        ("می\u200c\u200cخ", "می<U+200C><U+200C>خ"),
        ("می\u200cअ", "می<U+200C>अ"),
        ("می\u200c5", "می<U+200C>5"),
        ("क\u094d\u200d\u200dष", "क\u094d<U+200D><U+200D>ष"),
        ("\U0001f469\u200d", "\U0001f469<U+200D>"),
        ("\U0001f469\u200da", "\U0001f469<U+200D>a"),
        ("\U0001f469 \u200d\U0001f469", "\U0001f469 <U+200D>\U0001f469"),
        ("\U0001f469\u200d\u200d\U0001f469", "\U0001f469<U+200D><U+200D>\U0001f469"),
        ("\u2764\ufe0f\ufe0f", "\u2764\ufe0f<U+FE0F>"),
        ("a\ufe0f", "a<U+FE0F>"),
        ("1\ufe0f", "1<U+FE0F>"),
        ("葛\U000e0100\U000e0101", "葛\U000e0100<U+E0101>"),
        # A flag that nobody draws: its letters would be a text that nobody sees.
        ("\U0001f3f4\U000e0068\U000e0069\U000e007f", "\U0001f3f4<U+E0068><U+E0069><U+E007F>"),
        ("\U0001f3f4\U000e0067\U000e0062", "\U0001f3f4<U+E0067><U+E0062>"),
        ("می\u200bخ", "می<U+200B>خ"),
        ("م\u202eخ", "م<U+202E>خ"),
        ("م\u2060خ", "م<U+2060>خ"),
        ("क\u061cष", "क<U+061C>ष"),
    ],
)
def test_what_only_hides_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_joiners_do_not_help_marks_to_climb() -> None:
    shown = visible("م" + "\u064e\u200d" * 50 + "ن")
    assert max(len(run) for run in re.findall("[\u064e\u200d]+", shown)) <= 4


@given(ANY_TEXT, st.integers(0, 40))
def test_a_place_in_what_is_shown(text: str, end: int) -> None:
    text = text.replace("\r", "").replace("\u0651", "").replace("\u094d", "")
    text = "".join(char for char in text if not unicodedata.combining(char))
    end = min(end, len(text))
    assert visible(text)[visible_length(text, end) :].startswith(visible(text[end : end + 1])[:1])
    assert visible_length(text, 0) == 0
    assert visible_length(text, len(text)) == len(visible(text))


def test_a_place_inside_an_emoji() -> None:
    family = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
    assert [visible_length(family, end) for end in range(6)] == [0, 1, 2, 3, 4, 5]
    assert visible_length("a\u200d" + family, 3) == 10


def test_a_cut_leaves_no_joiner_behind() -> None:
    family = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
    assert visible_line(family * 3, 3) == "\U0001f469…"
    assert visible_line("می\u200cخواهم", 4) == "می…"


@given(ANY_TEXT)
def test_pieces_of_what_is_shown_are_drawn_as_they_are(text: str) -> None:
    shown = visible(text, lines=False)
    half = len(shown) // 2
    assert harmless(shown) == shown
    for piece in (shown[:half], shown[half:]):
        assert "<U+200" not in harmless(piece) or "<U+200" in shown
    for char in harmless(text):
        assert unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp"), repr(char)
    assert not set(harmless(text)) & set(BIDI)


@given(ANY_TEXT, st.integers(1, 60))
def test_safe_names(text: str, limit: int) -> None:
    name = safe_name(text, limit=limit, default="x")
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?", name)
    assert len(name) <= limit


@pytest.mark.parametrize("text", ["", ".", "..", "../../etc", "-rf", "CON:", "a/b", "日本", "\x00"])
def test_safe_names_of_hostile_text(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", safe_name(text))


def test_small_helpers() -> None:
    assert word_count(" a  b\nc ") == 3
    assert near_empty(" ...\n—")
    assert not near_empty("ok")
    assert one_line("a\n b   c") == "a b c"
    assert one_line("abcdef", 4) == "abc…"
