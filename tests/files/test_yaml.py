"""Reading YAML: plain data, lines, and every mistake at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from convtui.errors import MOST_NAMED, DataFileError, FileError
from convtui.files.yaml import load_yaml, parse_value, parse_yaml, read_text, validate


def problems(text: str) -> list[str]:
    with pytest.raises(DataFileError) as caught:
        parse_yaml(text, Path("f.yaml"))
    return [str(problem) for problem in caught.value.problems]


def test_data_and_lines() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - c: [1, 2]\n3: t\n")
    assert document.data == {"a": 1, "b": ["x", {"c": [1, 2]}], 3: "t"}
    assert document.lines[("b", 1, "c", 0)] == 4
    assert document.lines[(3,)] == 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("~", None),
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("2:7", "2:7"),
        ("017", 17),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ("~discard", "~discard"),
    ],
)
def test_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert parse_value(text) == value


def test_duplicate_keys_are_refused_each_with_its_line() -> None:
    found = problems("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert found[0] == "f.yaml:2: a: duplicate key 'a', first given on line 1"
    assert "f.yaml:3: b.c: duplicate key" in found[1]


def test_merge_keys_and_aliases_work() -> None:
    document = parse_yaml("b: &b {x: 1, y: 1}\nc: {<<: *b, x: 2}\nd: {<<: *b, x: 3}\n")
    assert document.data["c"] == {"x": 2, "y": 1}
    assert document.data["d"] == {"x": 3, "y": 1}


def test_a_bomb_is_refused() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "more than" in problems("\n".join(rows))[0]


def test_a_bomb_of_long_text_is_refused() -> None:
    for long in ("&a " + "x" * 1_000_000, '&a "' + "x" * 1_000_000 + '"'):
        text = f"a: {long}\nb: [{', '.join(['*a'] * 100)}]"
        assert "characters" in problems(text)[0]
    keys = "a: &a {" + "k" * 900 + ": 1}\nb: [" + ", ".join(["*a"] * 20_000) + "]"
    assert "characters" in problems(keys)[0]


def test_a_long_text_may_be_used_more_than_once() -> None:
    text = f"a: &a {'x' * 500_000}\nb: [*a, *a, *a]"
    assert [len(item) for item in parse_yaml(text).data["b"]] == [500_000] * 3


def test_a_cycle_and_depth_are_refused() -> None:
    assert "part of" in problems("- &a [1, *a]")[0]
    assert "nested" in problems("a: " + "[" * 5000)[0]


def test_of_very_many_mistakes_the_first_are_told() -> None:
    path = Path("f.yaml")
    with pytest.raises(DataFileError) as duplicates:
        parse_yaml("a: 1\n" * 2_001, path)
    document = parse_yaml("name: x\n" + "".join(f"k{i}: 1\n" for i in range(2_000)))
    with pytest.raises(DataFileError) as unknown:
        validate(Outer, document.data, document.lines, path)
    for error, first in [
        (duplicates.value, "f.yaml:2: a: duplicate key"),
        (unknown.value, "f.yaml:2: k0: unknown key"),
    ]:
        rows = str(error).splitlines()
        assert len(error.problems) == 2_000
        assert len(rows) == MOST_NAMED + 1
        assert rows[0].startswith(first)
        assert rows[-1] == f"and {2_000 - MOST_NAMED:,} more"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a:\n\tb: 1", "f.yaml:2: tabs cannot indent"),
        ("a: b: c", "needs quotes"),
        ("a: [!discard ]", "needs quotes"),
        ("a: !!python/object/apply:os.system [ls]", "tag '!!python/object/apply:os.system'"),
        ("a: 1\n---\nb: 2", "one document"),
        ("a: *x", "begins with * needs quotes"),
        ("a: 1\nb: \x1b", "f.yaml:2: the character U+001B"),
        ("true: 1", "a key must be text"),
        ("a: " + "9" * 5000, "too long"),
        ("a: 0x" + "f" * 5000, "too long"),
        ("a: 0x" + "f" * 4000, "too long"),
        ("a: 0o" + "7" * 5000, "too long"),
    ],
)
def test_mistakes_are_explained(text: str, words: str) -> None:
    assert words in problems(text)[0]


def test_files_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    for raw, words in [
        (b"a: 1\nb: \xe9", ":2: byte 0xE9"),
        (b"PK\x00\x01", "binary"),
        ("a: 1".encode("utf-16"), "UTF-16"),
    ]:
        file.write_bytes(raw)
        with pytest.raises(DataFileError, match=words):
            load_yaml(file)
    file.write_bytes(b"\xef\xbb\xbfa: 1")
    assert load_yaml(file).data == {"a": 1}
    with pytest.raises(FileError, match="larger than"):
        read_text(file, max_bytes=3)
    with pytest.raises(FileError, match="directory"):
        load_yaml(tmp_path)
    with pytest.raises(FileError, match=r"did you mean 'x\.yaml'"):
        load_yaml(tmp_path / "xx.yaml")


@given(st.text(max_size=200))
def test_any_text_gives_data_or_a_data_file_error(text: str) -> None:
    try:
        parse_yaml(text)
    except DataFileError as error:
        assert error.problems


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    max_turns: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    limits: Inner | None = None
    items: list[Inner] = []
    words: dict[str, str] = {}


def test_all_mistakes_at_once_in_line_order() -> None:
    document = parse_yaml(
        "words: {a: 1}\nitems:\n  - max_turn: 2\nlimits: {max_turns: x}\nnam: y\n"
    )
    with pytest.raises(DataFileError) as caught:
        validate(Outer, document.data, document.lines, "f.yaml")
    assert [str(problem) for problem in caught.value.problems] == [
        "f.yaml:1: name: the key 'name' is required",
        'f.yaml:1: words.a: must be text, not a number; put it in quotes: "1"',
        "f.yaml:3: items[0].max_turn: unknown key 'max_turn', did you mean 'max_turns'?",
        "f.yaml:4: limits.max_turns: must be a whole number, not text",
        "f.yaml:5: nam: unknown key 'nam', did you mean 'name'?",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3.0", "must be a whole number, not 3.0"),
        ("1e3", "must be a whole number, not 1000.0"),
        (".inf", "must be a whole number, not inf"),
        ("'3'", "must be a whole number, not text; write 3"),
        ("1_000", "must be a whole number, not text; write 1000"),
        ("1_x", "must be a whole number, not text"),
        ("true", "must be a whole number, not true"),
        ("[3]", "must be a whole number, not a list"),
    ],
)
def test_a_number_of_the_wrong_form_is_shown(text: str, says: str) -> None:
    document = parse_yaml(f"name: a\nlimits: {{max_turns: {text}}}\n")
    with pytest.raises(DataFileError) as caught:
        validate(Outer, document.data, document.lines, "f.yaml")
    assert str(caught.value) == f"f.yaml:2: limits.max_turns: {says}"


def test_a_key_that_is_a_number_is_unknown() -> None:
    document = parse_yaml("name: a\n5: b\nlimits: {7: 1}\n")
    with pytest.raises(DataFileError) as caught:
        validate(Outer, document.data, document.lines, "f.yaml")
    assert str(caught.value).splitlines() == [
        "f.yaml:2: 5: unknown key '5'",
        "f.yaml:3: limits.7: unknown key '7'",
    ]


def test_what_is_no_mapping() -> None:
    with pytest.raises(DataFileError, match="empty"):
        validate(Outer, None)
    with pytest.raises(DataFileError, match="not a list"):
        validate(Outer, [1])
