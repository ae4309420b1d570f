"""What is remembered of texts never lets a secret through."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.log.writer import LogWriter
from convtui.records.codec import decode, encode, fast_encoder
from convtui.records.models import Warned
from convtui.secrets.harmless import HarmlessTexts
from convtui.secrets.redactor import CarefulRedactor, Redactor

SECRET = 'opaque "värde" 1\\2'


class Text(str):
    __slots__ = ()


class Word(StrEnum):
    SAY = "say"


TEXTS = st.sampled_from(
    ["Hello there", "seq", "prompt_tokens", "token", "://", "@", "a@b", "password", "hunter22x",
     "password: hunter22x", f"it is {SECRET}", json.dumps(SECRET), "sk-abcdefghijklmnopqrstuv",
     "https://me:pa55@host/", "Bearer abcdefgh12345678", "é\u2028\x00\ud800", "key",
     "authorization", "0" * 64, "-----BEGIN PRIVATE KEY-----", "x" * 300]
)  # fmt: skip
DATA: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.integers() | st.floats() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(DATA, max_size=8))
def test_what_is_let_through_is_what_the_redactor_leaves_as_it_is(parts: list[Any]) -> None:
    redactor = Redactor([SECRET])
    harmless = HarmlessTexts(redactor)
    # Twice: the second time everything is remembered.
    for data in parts * 2:
        if harmless.make_up(data):
            assert repr(redactor.data(data)) == repr(data)


ODD = st.sampled_from(
    [1e-7, 9.999e-5, 1e-4, -1e-4, -2.5e-5, 1e16, 123456789012345.6, -1e300, -0.0, 5e-324,
     math.inf, math.nan, 1 << 70, -1 << 63, True, Text("x"), Word.SAY, b"x", (1, 2), {1: 2},
     {None: 1}, {Text("x"): 1}, datetime(2026, 1, 1, tzinfo=UTC), Decimal(1), UUID(int=1),
     frozenset({1}), OrderedDict(a=1)]
)  # fmt: skip
ANY: st.SearchStrategy[Any] = st.recursive(
    TEXTS | ODD | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), ANY, max_size=5))
def test_what_is_let_through_is_written_alike_at_full_speed(data: dict[str, Any]) -> None:
    if HarmlessTexts(Redactor([SECRET])).make_up(data):
        assert fast_encoder()(data) == encode(data)


@pytest.mark.parametrize("number", [2e-06, 5.5e-05, 1e-05, 0.000123, 1e20])
def test_numbers_of_ours_are_the_same_in_any_spelling(number: float) -> None:
    data = {"type": "signals.extracted", "duration": number}
    assert json.loads(fast_encoder()(data)) == decode(fast_encoder()(data)) == data


def test_ordinary_data_is_let_through() -> None:
    harmless = HarmlessTexts(Redactor(["hunter2hunter2"]))
    record = {"seq": 1, "t": 0.5, "append": [{"role": "user", "content": "Hi"}],
              "usage": {"prompt_tokens": 3}, "params": {}, "sha256": "0a" * 32}  # fmt: skip
    assert harmless.make_up(record)
    assert not harmless.make_up(
        {**record, "append": [{"role": "user", "content": "hunter2hunter2"}]}
    )
    assert not harmless.make_up({"api_key": "x"})


def test_data_of_many_parts_is_left_to_a_look_at_the_whole() -> None:
    harmless = HarmlessTexts(Redactor())
    nested: Any = "Hello"
    for _ in range(5000):
        nested = [nested]
    assert not harmless.make_up(nested)
    assert not harmless.make_up(["Hello"] * 1000)
    assert not harmless.make_up({str(number): number for number in range(1000)})


def test_a_secret_that_becomes_known_is_looked_for_in_what_was_harmless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redactor = Redactor.of_process()
    harmless = HarmlessTexts(redactor)
    assert harmless.make_up({"text": "it is brand-new-value"})
    redactor.add("another-new-value")
    assert not harmless.make_up({"text": "it is another-new-value"})
    monkeypatch.setenv("BRAND_NEW_PASSWORD", "brand-new-value")
    assert not harmless.make_up({"text": "it is brand-new-value"})


def test_nothing_is_harmless_to_who_suspects_everything() -> None:
    assert not HarmlessTexts(CarefulRedactor(Redactor())).make_up({"text": "Hello"})


def test_as_many_texts_as_a_long_conversation_has_are_looked_at() -> None:
    looked_at: list[bytes] = []

    class Counting(Redactor):
        def suspects(self, line: bytes) -> bool:
            looked_at.append(line)
            return super().suspects(line)

    harmless = HarmlessTexts(Counting(["hunter2hunter2"]))
    for number in range(2000):
        for _ in range(5):
            assert harmless.make_up({"type": "turn.committed", "text": f"Hello {number}"})
    assert len(looked_at) < 2100
    assert not harmless.make_up({"text": "hunter2hunter2"})
    large = "Hello " * 100_000
    assert not harmless.make_up({"text": large})


def test_a_log_masks_a_secret_that_became_known_while_it_was_written(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.jsonl", Redactor())
    for _ in range(2):
        writer.write(Warned(message="it is brand-new-value"))
    writer.redactor.add("brand-new-value")
    assert writer.clean({"content": "it is brand-new-value"}) == {"content": "it is [redacted]"}
    writer.write(Warned(message="it is brand-new-value"))
    writer.abandon()
    lines = writer.path.read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines] == [
        "it is brand-new-value", "it is brand-new-value", "it is [redacted]",
    ]  # fmt: skip
