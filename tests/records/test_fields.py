"""The types of fields: the table against the models, and what becomes of a record that is wrong."""

from __future__ import annotations

import json
import math
import types
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from convtui.log.reader import open_log
from convtui.records.codec import decode, fast_decoder
from convtui.records.fields import MAX_NESTING, FieldChecker, FieldFault
from convtui.records.models import RECORD_TYPES, Record
from convtui.records.types import ENVELOPE_FIELDS, FIELDS, SHAPES
from tests.builders.logs import as_records, sample, write_log

STRICTER = {
    ("session.entered", "session"),
    ("session.reset", "session"),
    ("session.started", "session"),
    ("session.ended", "session"),
    ("llm.partial", "offset"),
}
"""Fields that a model takes from anywhere and a reader cannot do without."""


def words(text: str) -> dict[str, str]:
    """A line of the table by name."""
    return dict(word.split(":") for word in text.split())


def kinds(annotation: Any) -> tuple[str, bool]:
    """What the table calls a type of a model, and whether it may be null."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        members = {kinds(member)[0] for member in arguments if member is not type(None)}
        assert len(members) == 1
        return members.pop(), type(None) in arguments
    if origin is Literal:
        return "text", False
    if origin is list:
        return f"{kinds(arguments[0])[0]}[]", False
    if origin is dict:
        return ("object" if arguments[1] is Any else f"{kinds(arguments[1])[0]}{{}}"), False
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object", False
    names = {str: "text", int: "int", float: "number", bool: "flag"}
    return names.get(annotation, "any"), annotation is Any


def plain(kind: str) -> str:
    """A kind of the table as a model can say it: of the objects inside only that they are some."""
    base = kind.rstrip("!?")
    name = base.rstrip("[]{}")
    return base.replace(name, "object", 1) if name in SHAPES else base


@pytest.mark.parametrize("kind", RECORD_TYPES)
def test_the_table_says_what_the_model_says(kind: str) -> None:
    model = RECORD_TYPES[kind]
    table = words(FIELDS[kind])
    fields: dict[str, FieldInfo] = {
        name: field for name, field in model.model_fields.items() if name not in Record.model_fields
    }
    assert set(table) - {name for of, name in STRICTER if of == kind} <= set(fields)
    assert set(fields) <= set(table)
    for name, field in fields.items():
        expected, nullable = kinds(field.annotation)
        assert plain(table[name]) == expected, name
        assert table[name].endswith("?") == (nullable and expected != "any"), name
        required = field.is_required() or (kind, name) in STRICTER
        assert table[name].endswith("!") == required, name


def test_the_table_knows_every_type_and_the_envelope() -> None:
    assert FIELDS.keys() == RECORD_TYPES.keys()
    envelope = words(ENVELOPE_FIELDS)
    # A session that is null would be no address; nobody writes one.
    nullable = {name for name, kind in envelope.items() if kind.endswith("?")}
    assert nullable == set(Record.model_fields) - {"session"}
    for name, field in Record.model_fields.items():
        assert plain(envelope[name]) == kinds(field.annotation)[0]


def mended(record: dict[str, Any], checker: FieldChecker | None = None) -> list[tuple[str, str]]:
    """The faults of a record, which is mended."""
    line = json.dumps(record).encode()
    faults = (checker or FieldChecker()).mend(record, line)
    return [(fault.field, fault.problem) for fault in faults]


def test_a_whole_log_has_no_faults() -> None:
    checker = FieldChecker()
    for record in as_records(sample()):
        before = json.dumps(record)
        assert mended(record, checker) == []
        assert json.dumps(record) == before


COMMITTED: dict[str, Any] = {
    "seq": 9, "t": 1.5, "type": "turn.committed", "session": 1, "turn": 2, "side": "provider",
    "attempt": 1, "speaker": "provider", "text": "hello", "words": 1, "human": True,
    "flags": [{"flag": "role", "rule": "r", "start": 0, "end": 2}],
}  # fmt: skip


@pytest.mark.parametrize("warmed", [False, True])
@pytest.mark.parametrize(
    ("change", "field", "problem", "becomes"),
    [
        ({"session": "one"}, "session", "text where a whole number belongs", None),
        ({"session": [1]}, "session", "a list where a whole number belongs", None),
        ({"turn": {"a": 1}}, "turn", "an object where a whole number belongs", None),
        ({"turn": 1.5}, "turn", "a number where a whole number belongs", None),
        ({"t": "now"}, "t", "text where a number belongs", None),
        ({"t": math.inf}, "t", "a number out of range", None),
        ({"t": math.nan}, "t", "a number out of range", None),
        ({"t": 10**400}, "t", "a number out of range", None),
        ({"t": -1e300}, "t", "a number out of range", None),
        ({"attempt": 1 << 70}, "attempt", "a number out of range", None),
        ({"text": None}, "text", "null where text belongs", ""),
        ({"text": ["a"]}, "text", "a list where text belongs", ""),
        ({"words": "one"}, "words", "text where a whole number belongs", 0),
        ({"human": "yes"}, "human", "text where true or false belongs", None),
        ({"human": 1}, "human", "a number where true or false belongs", None),
        ({"session": True}, "session", "true or false where a whole number belongs", None),
        ({"t": False}, "t", "true or false where a number belongs", None),
        ({"speaker": 5}, "speaker", "a number where text belongs", ""),
        ({"flags": "role"}, "flags", "text where a list belongs", None),
        ({"flags": ["role"]}, "flags.0", "text where an object belongs", []),
        ({"flags": [{"flag": 7}]}, "flags.0.flag", "a number where text belongs", [{}]),
        ({"flags": [{"start": 1e308}]}, "flags.0.start", "a number where a whole number belongs",
         [{}]),
        ({"metadata": [1]}, "metadata", "a list where an object belongs", None),
    ],
)  # fmt: skip
def test_a_damaged_field_is_left_out_and_named(
    change: dict[str, Any], field: str, problem: str, becomes: Any, warmed: bool
) -> None:
    checker = FieldChecker()
    if warmed:
        assert mended(dict(COMMITTED), checker) == []
    record = {**COMMITTED, **deepcopy(change)}
    assert mended(record, checker) == [(field, problem)]
    assert record.get(field.partition(".")[0]) == becomes
    others = {name: value for name, value in COMMITTED.items() if name not in change}
    assert {name: record[name] for name in others} == others


@pytest.mark.parametrize("name", ["text", "speaker", "words"])
def test_a_missing_field_stands_empty(name: str) -> None:
    record = {key: value for key, value in COMMITTED.items() if key != name}
    expected = "a whole number" if name == "words" else "text"
    assert mended(record) == [(name, f"missing ({expected})")]
    assert record[name] == (0 if name == "words" else "")


def test_what_a_record_must_have_is_told_from_what_it_may() -> None:
    def required(record: dict[str, Any]) -> list[FieldFault]:
        faults = FieldChecker().mend(record, json.dumps(record).encode())
        return [fault for fault in faults if fault.required]

    assert required({**COMMITTED, "text": 5})
    assert not required({**COMMITTED, "human": "x", "t": "x"})


def test_unknown_types_and_fields_stay_whatever_they_hold() -> None:
    record: dict[str, Any] = {
        "seq": 1,
        "type": "from.tomorrow",
        "shiny": [{"a": 1e300}],
        "n": 9**99,
    }
    assert mended(record) == []
    assert record["shiny"] == [{"a": 1e300}]
    more = {**COMMITTED, "colour": {"r": "x"}, "size": 9**99, "note": None}
    assert mended(more) == []
    assert more["size"] == 9**99


RESPONSE: dict[str, Any] = {
    "seq": 9, "t": 1.5, "type": "llm.response", "session": 1, "turn": 2, "side": "provider",
    "raw": "hello", "chunks": [[0.1 * n, 5] for n in range(300)],
}  # fmt: skip


@pytest.mark.parametrize("warmed", [False, True])
@pytest.mark.parametrize(
    ("chunks", "faults"),
    [
        ([[0, 1], [0.5, 2]] * 300, []),
        ([], []),
        ([[0, 1], "x"], ["chunks.1"]),
        ([[0, 1], [0, "x"]], ["chunks.1.1"]),
        ([[0, 1], [0, True]], ["chunks.1.1"]),
        ([[0, 1], [0, 10**400]], ["chunks.1.1"]),
        ([[0, math.nan]], ["chunks.0.1"]),
        ([[0, [1]]], ["chunks.0.1"]),
        ({"a": 1}, ["chunks"]),
    ],
)
def test_pieces_of_a_stream_are_numbers(chunks: Any, faults: list[str], warmed: bool) -> None:
    checker = FieldChecker()
    if warmed:
        assert mended(deepcopy(RESPONSE), checker) == []
    record = {**RESPONSE, "chunks": deepcopy(chunks)}
    assert [field for field, _ in mended(record, checker)] == faults


def test_objects_of_whole_numbers_hold_no_others() -> None:
    record: dict[str, Any] = {
        "seq": 1, "type": "history.seeded", "turns": [], "sessions": [], "current": 1,
        "messages": {}, "counters": {"numbers": {"1": 2, "2": 2.5, "3": "x", "4": True}},
    }  # fmt: skip
    assert [field for field, _ in mended(record)] == [f"counters.numbers.{n}" for n in (2, 3, 4)]
    assert record["counters"] == {"numbers": {"1": 2}}


@pytest.mark.parametrize("kind", [None, 5, ["a"], {"a": 1}, True])
def test_a_type_that_is_no_text_is_no_crash(kind: Any) -> None:
    assert mended({"seq": 1, "type": kind, "session": "x"}) == [
        ("session", "text where a whole number belongs")
    ]


def test_foreign_json_is_cut_where_it_is_nested_too_deep() -> None:
    value: Any = "core"
    for level in range(MAX_NESTING * 2):
        value = [value] if level % 2 else {"a": value}
    record = {
        "seq": 1, "type": "tool.returned", "id": "c", "name": "n", "ok": True, "result": value,
    }  # fmt: skip
    assert mended(record) == [("result", f"nested more than {MAX_NESTING} levels deep")]
    assert json.dumps(record).count("[") + json.dumps(record).count("{") == MAX_NESTING + 1
    assert "(nested too deep)" in json.dumps(record)
    wide = {**record, "result": [[]] * 1000}
    assert mended(wide) == []


def test_a_record_that_is_no_line_yet_is_held_to_the_same() -> None:
    deep: Any = "core"
    for level in range(MAX_NESTING * 2):
        deep = [deep] if level % 2 else {"a": deep}
    checkers = FieldChecker(), FieldChecker()
    for record in as_records(sample()):
        for changed in (record, {**record, "more": deep}, {**record, "session": "one"},
                        {**record, "more": [[{}]] * 90}):  # fmt: skip
            line = json.dumps(changed).encode()
            of_line, of_none = decode(line), decode(line)
            faults = checkers[0].mend(of_line, line)
            assert [*checkers[1].mend(of_none, None)] == [*faults]
            assert of_none == of_line


def test_a_log_of_many_types_and_forms_does_not_grow_the_checker() -> None:
    checker = FieldChecker()
    for number in range(2000):
        assert mended({"seq": number, "type": f"x{number}", f"f{number}": 1}, checker) == []
        assert mended({**COMMITTED, f"f{number}": 1}, checker) == []
    assert mended({**COMMITTED, "text": 1}, checker)


ODD_LINES = [
    b'{"a":' + b"9" * 4301 + b"}", b'{"a":' + b"9" * 4300 + b"}", b'{"a":1e400}', b'{"a":NaN}',
    b'{"a":-Infinity}', b'{"a":"\\ud800"}', b'{"a":"\\ud83d\\ude00"}', b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xff"}', b'{"a":1,"a":2}', b'{"a":"\\u0000"}', b'{"a":"x\ty"}', b'{"a":1}\x00',
    b'{"a":1} x', b'{"a":01}', b'{"a":-0}', b'{"a":-0.0}', b'\xef\xbb\xbf{"a":1}', b'{"a":1,}',
    b"[1]", b'"x"', b"7", b"", b' {"a":1} \r', b'{"a":' + b"[" * 150 + b"]" * 150 + b"}",
    b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", b'{"a":0.1,"b":5e-324,"c":0.30000000000000004}',
]  # fmt: skip


@pytest.mark.parametrize("line", ODD_LINES, ids=[str(n) for n in range(len(ODD_LINES))])
def test_both_decoders_say_the_same(line: bytes) -> None:
    def result(of: Any) -> str:
        try:
            return repr(of(line))
        except ValueError as error:
            return f"refused: {error}"

    assert result(fast_decoder()) == result(decode)


def test_each_damage_is_one_finding_with_its_line(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.jsonl", sample())
    lines = path.read_bytes().split(b"\n")
    at = next(n for n, line in enumerate(lines) if b'"type":"turn.committed"' in line)
    record = json.loads(lines[at])
    record.update(session=["x"], t="late", metadata=7, human="no", seq="nine")
    lines[at] = json.dumps(record).encode()
    path.write_bytes(b"\n".join(lines))
    with open_log(path) as log:
        findings = [(finding.line, str(finding)) for finding in log.findings]
        assert {line for line, _ in findings} == {at + 1}
        assert all("(bad_field)" in text for _, text in findings)
        assert any("turn.committed session: a list where a whole number" in t for _, t in findings)
        assert len(findings) == 4
        assert "and 2 fields more" in findings[-1][1]
        # Whoever looks at a single record finds it as it was folded.
        assert "metadata" not in log.reader.read(at)
