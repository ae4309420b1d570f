"""What is recognised of JSON that is cut off or damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.log.formats import json_files
from convtui.log.formats.json_files import first_value

VALUES = st.recursive(
    st.none() | st.integers() | st.text('ab"\\{}[],', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text('ab"\\{}[],', max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def first_of(folder: Path, text: str) -> Any:
    path = folder / "a.json"
    path.write_text(text, encoding="utf-8")
    return first_value(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, {"b": 2}, {"c"', {"a": [1, {"b": 2}, {}]}),
        ('{"a": "x, y', {"a": "x"}),
        ('{"a": 1, "b": "it \\"is", "c\\', {"a": 1, "b": 'it "is'}),
        ('[1, 2]], "x"', [1]),
        ('[{"a": 1}, {"a": }, {"a": 3}]', [{"a": 1}, {}]),
        ("{", {}),
        (",", None),
        (", 1", None),
        ("", None),
    ],
)
def test_what_is_left_of_a_value(text: str, value: Any, tmp_path: Path) -> None:
    assert first_of(tmp_path, text) == value


@given(VALUES, st.data())
def test_the_beginning_of_a_value_is_what_its_text_said_so_far(value: Any, data: Any) -> None:
    text = json.dumps(value)
    shown = text[: data.draw(st.integers(0, len(text)))]
    ends = sorted(json_files._last_ends(shown))
    assert json_files._closing_at(shown, ends) == {end: closing(shown[:end]) for end in ends}


def closing(text: str) -> str:
    """The brackets that close what is open at the end of JSON text, sign by sign."""
    open_: list[str] = []
    in_string = escaped = False
    for sign in text:
        if in_string:
            in_string = escaped or sign != '"'
            escaped = not escaped and sign == "\\"
        elif sign == '"':
            in_string = True
        elif sign in "{[":
            open_.append("}" if sign == "{" else "]")
        elif sign in "}]" and open_:
            open_.pop()
    return '"' * in_string + "".join(reversed(open_))
