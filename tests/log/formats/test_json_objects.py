"""What all readers of JSON formats share: values, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.errors import FileError
from convtui.log.formats.json_objects import parse_json

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64) + 1, (1 << 64) - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
SPELLED = (
    b"[-0]", b"[-0.0]", b"[1E5]", b"[1.0E+2]", b"[1e-400]", b"[12345678901234567890.5]",
    b"[9007199254740993.0]", b'{"a":1,"a":2}', b'["\\ud800"]', b'["\\ud83d\\ude00"]',
    b"\xef\xbb\xbf[1]", b' {"a":1}\r\n', b'["\x7f\xc2\x80"]', b'["\\/\\b"]', b'{"":[]}',
)  # fmt: skip
WRONG = (
    b"", b"[01]", b"[1.]", b"[.5]", b"[+1]", b'["\\x"]', b"[1,]", b'{"a":1,}', b"['a']", b"[1 2]",
    b"[1]x", b"[1]\x00", b"\x0c[1]", b'["\xff"]', b'["\xed\xa0\x80"]', b'["\xc0\x80"]',
    b'{"a":"x\x01y"}', b'["x\ty"]', b"[NaN]", b"[Infinity]", b"[1e999]", b"[18446744073709551616]",
    b"[-18446744073709551616]", b"[" * 101 + b"]" * 101, b"[" * 9999, b"9" * 5000,
)  # fmt: skip


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_a_value_is_what_python_reads_in_it(value: Any, ascii_only: bool, indent: Any) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    raw = text.encode("utf-8", "surrogatepass") if ascii_only else text.encode()
    assert repr(parse_json(raw, "f")) == repr(json.loads(text))


@pytest.mark.parametrize("raw", SPELLED)
def test_however_it_is_spelled(raw: bytes) -> None:
    assert repr(parse_json(raw, "f")) == repr(json.loads(raw.decode("utf-8-sig")))


@pytest.mark.parametrize("raw", WRONG, ids=range(len(WRONG)))
def test_what_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(FileError, match=r"^f: (is|holds) "):
        parse_json(raw, "f")


def test_a_hundred_levels_are_none_too_many() -> None:
    assert parse_json(b"[" * 100 + b"]" * 100, "f")
