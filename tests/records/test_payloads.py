"""Records written straight from their fields are those that the models would have made."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from convtui.records.models import RECORD_TYPES, LlmRequest, Record, TurnCommitted, encode
from convtui.records.payloads import payload_of
from convtui.secrets.harmless import HarmlessTexts
from convtui.secrets.redactor import Redactor

SECRET = "hunter2hunter2"


class Word(StrEnum):
    PROVIDER = "provider"
    SAY = "say"


class Text(str):
    __slots__ = ()


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters() | st.sampled_from("\ud800\udfff"), max_size=5),
    st.sampled_from(["persona", "provider", "show", "say", "end", "ok", *Word, Text("x"), b"x"]),
    st.lists(st.dictionaries(st.text(max_size=3) | st.integers(), st.integers(), max_size=2)),
    st.dictionaries(st.text(max_size=3), st.lists(st.text(max_size=3)), max_size=2),
    st.lists(st.text(max_size=3), max_size=3),
    st.tuples(st.text(max_size=3)),
    st.lists(st.lists(st.integers() | st.floats(allow_nan=False))),
)
WORDS = ("provider", "run", "ok", "show", "sent", "end", "reply", "human", "tokens", "stdout",
         "restore", "pause", "setup", "discard")  # fmt: skip
KINDS = st.sampled_from(sorted(RECORD_TYPES))


def modelled(kind: type[Record], fields: dict[str, Any]) -> list[tuple[str, Any]] | None:
    try:
        return list(kind(**fields).payload().items())
    except ValidationError:
        return None


def quick(kind: type[Record], fields: dict[str, Any]) -> list[tuple[str, Any]] | None:
    try:
        return list(payload_of(kind, fields)[0].items())
    except ValidationError:
        return None


@given(KINDS, st.data())
def test_any_fields_are_written_as_by_the_model(name: str, data: st.DataObject) -> None:
    kind = RECORD_TYPES[name]
    names = st.sampled_from([*kind.model_fields, "unknown"])
    fields = data.draw(st.dictionaries(names, VALUES))
    expected = modelled(kind, fields)
    assert repr(quick(kind, fields)) == repr(expected)
    # Those that are required, with what else was drawn: records that are mostly sound.
    sound = {field: _plain(info.annotation) for field, info in kind.model_fields.items()
             if info.is_required()}  # fmt: skip
    expected = modelled(kind, sound)
    assert expected is not None
    assert quick(kind, sound) == expected
    more = {**fields, **sound}
    assert repr(quick(kind, more)) == repr(modelled(kind, more))


def _plain(annotation: Any) -> Any:
    """A value that fits."""
    adapter = TypeAdapter(annotation)
    for value in ("x", 1, 0.5, True, [{"a": 1}], ["a"], {"a": 1}, *WORDS, [], {}):
        with contextlib.suppress(ValidationError):
            if adapter.validate_python(value, strict=True) == value:
                return value
    raise LookupError(annotation)


@pytest.mark.parametrize("name", sorted(RECORD_TYPES))
def test_defaults_are_written_and_their_order_is_that_of_the_model(name: str) -> None:
    kind = RECORD_TYPES[name]
    fields = {field: _plain(info.annotation) for field, info in kind.model_fields.items()}
    backwards = dict(reversed(fields.items()))
    assert quick(kind, backwards) == modelled(kind, fields)


def test_what_is_changed_afterwards_does_not_change_the_record() -> None:
    message = {"role": "user", "content": "Hello"}
    fields = {"append": [message], "params": {"a": 1}, "sha256": "0" * 64}
    payload, _ = payload_of(LlmRequest, fields)
    message["content"] = "changed"
    fields["params"]["a"] = 2  # type: ignore[index]
    assert payload == {
        "type": "llm.request", "keep": 0, "append": [{"role": "user", "content": "Hello"}],
        "params": {"a": 1}, "sha256": "0" * 64, "base": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [b"x", bytearray(b"x"), datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), timedelta(1),
     Decimal(1), UUID(int=1), object()],
)  # fmt: skip
def test_what_json_does_not_know_is_refused_inside_of_an_object_as_well(value: Any) -> None:
    fields = {"speaker": "persona", "text": "x", "words": 1, "metadata": {"a": [{"b": value}]}}
    payload, _ = payload_of(TurnCommitted, fields)
    assert payload == TurnCommitted(**fields).payload()
    with pytest.raises(TypeError, match="not JSON serializable"):
        encode(payload)


def test_text_that_is_no_unicode_is_written_with_escapes() -> None:
    payload, _ = payload_of(TurnCommitted, {"speaker": "persona", "text": "\ud800 é", "words": 1})
    assert json.loads(encode(payload)) == payload
    assert b"\\ud800 \\u00e9" in encode(payload)


@pytest.mark.parametrize("name", sorted(RECORD_TYPES))
def test_a_secret_in_any_field_is_among_the_texts(name: str) -> None:
    kind = RECORD_TYPES[name]
    required = {field: _plain(info.annotation) for field, info in kind.model_fields.items()
                if info.is_required()}  # fmt: skip
    harmless = HarmlessTexts(Redactor([SECRET]))
    for field in kind.model_fields.keys() - {"sha256"}:  # a digest is ours
        for value in (SECRET, [SECRET], {"a": SECRET}, {SECRET: "a"}, [{"a": SECRET}]):
            fields = {**required, field: value}
            if quick(kind, fields) is not None:
                assert not harmless.make_up(payload_of(kind, fields)[1]), field
    # The names of fields are not looked at.
    assert harmless.make_up(dict.fromkeys(kind.model_fields, "x1y2z3x1y2z3"))
