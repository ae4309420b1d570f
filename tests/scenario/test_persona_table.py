"""Tables of personas: a broken row is an error of its own, and the others can be chosen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.errors import DataFileError, FileError, UsageError, listed
from convtui.scenario.persona import load_persona
from convtui.scenario.persona_table import PersonaTable, read_persona_table
from convtui.schemas import check_file

OPEN_QUOTE = 'Name\tAge\tSample\nIda\t30\t"no one cares, she said\nOmar\t41\tfine\nKim\t22\tok\n'


def read(folder: Path, text: str | bytes, name: str = "people.tsv") -> PersonaTable:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_persona_table(path)


def cells(table: PersonaTable) -> dict[str, dict[str, str]]:
    return {name: dict(row.cells) for name, row in table.rows.items()}


def problems(table: PersonaTable) -> list[str]:
    return [str(problem).removeprefix(str(table.path)) for problem in table.problems]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_quote_that_is_never_closed_takes_its_own_row_only(tmp_path: Path, end: str) -> None:
    table = read(tmp_path, OPEN_QUOTE.replace("\n", end))
    assert cells(table) == {
        "Omar": {"Name": "Omar", "Age": "41", "Sample": "fine"},
        "Kim": {"Name": "Kim", "Age": "22", "Sample": "ok"},
    }
    assert [row.line for row in table.rows.values()] == [3, 4]
    with pytest.raises(DataFileError) as caught:
        table.row("Ida")
    assert str(caught.value) == (
        f"{table.path}:2: Sample: the cell begins with a quote (character 8) that is never closed:"
        ' "no one cares, she said; close it, or if it is a part of the text, write'
        ' """no one cares, she said"'
    )
    assert load_persona(f"{table.path}:Omar").prompt == "Name: Omar\nAge: 41\nSample: fine"
    with pytest.raises(DataFileError, match=r"people\.tsv:2: Sample: "):
        load_persona(f"{table.path}:Ida")


def test_what_is_told_to_write_is_read_as_the_text(tmp_path: Path) -> None:
    table = read(tmp_path, 'Name\tSample\nIda\t"""no one cares, she said"\n')
    assert table.rows["Ida"].cells["Sample"] == '"no one cares, she said'
    assert not table.problems


@pytest.mark.parametrize(
    "later",
    [
        'Kim\t22\t"ok"',
        'Kim\t22\tok"',
        '"Kim"\t22\tok',
        'Kim\t22\t"also open',
        'Kim\t22\tshe said "hi" to me',
    ],
)
def test_a_later_quote_does_not_close_an_open_one(tmp_path: Path, later: str) -> None:
    table = read(tmp_path, f'Name\tAge\tSample\nIda\t30\t"no one cares\nOmar\t41\tfine\n{later}\n')
    assert table.rows["Omar"].cells == {"Name": "Omar", "Age": "41", "Sample": "fine"}
    assert problems(table)[0].startswith(":2: Sample: the cell begins with a quote")
    assert "Ida" in table.broken
    assert "Kim" in {*table.rows, *table.broken}


def test_an_open_quote_before_the_name(tmp_path: Path) -> None:
    table = read(tmp_path, 'Name\tAge\n"Ida\t30\nOmar\t41\n')
    assert list(table.rows) == ["Omar"]
    assert problems(table)[0].startswith(":2: Name: the cell begins with a quote (character 1)")
    with pytest.raises(UsageError, match=r"It has Omar\. `convtui check .* wrong with line 2\.$"):
        load_persona(f"{table.path}:Ida")


def test_an_open_quote_in_the_first_line(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r":1: .*never closed"):
        read(tmp_path, 'Name\t"Age\nIda\t30\n')


def test_a_quoted_cell_may_have_lines_and_quotes(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        'Name\tSample\tAge\nIda\t"first\r\n\r\n""second"", she said\nthird"\t30\n'
        'Omar\tsays "hi" twice\t41\nKim\t""\t22\nBo\t"a\tb"\t9\n',
    )
    assert not table.problems
    assert table.rows["Ida"].cells["Sample"] == 'first\r\n\r\n"second", she said\nthird'
    assert table.rows["Omar"].cells["Sample"] == 'says "hi" twice'
    assert table.rows["Kim"].cells["Sample"] == ""
    assert table.rows["Bo"].cells["Sample"] == "a\tb"
    assert [row.line for row in table.rows.values()] == [2, 6, 7, 8]


def test_a_quoted_word_at_the_beginning_of_a_cell(tmp_path: Path) -> None:
    table = read(tmp_path, 'Name\tSample\nIda\t"Never" is what she says\n')
    assert table.rows["Ida"].cells["Sample"] == "Never is what she says"


def test_blank_rows_are_passed_over_and_named(tmp_path: Path) -> None:
    table = read(tmp_path, "Name\tAge\tSample\nIda\t30\thello\n\nOmar\t41\tfine\n\t\t\n")
    assert list(table.rows) == ["Ida", "Omar"]
    assert not table.problems
    assert [(note.line, note.message) for note in table.notes] == [
        (3, "a blank row, passed over"),
        (5, "a blank row, passed over"),
    ]


def test_long_short_nameless_and_doubled_rows(tmp_path: Path) -> None:
    table = read(
        tmp_path, "Name\tAge\tTrip\nIda\t30\tx\ty\nOmar\n\t5\tz\nKim\t1\ta\nKim\t2\tb\nBo\t3\tc\n"
    )
    assert list(table.rows) == ["Omar", "Bo"]
    assert [text.split(";")[0] for text in problems(table)] == [
        ":2: 4 cells where the first line names 3",
        ":3: 1 cell where the first line names 3: no Age and Trip",
        ":4: a row without a Name",
        ":6: the name 'Kim' is there twice, first in line 5",
    ]
    for name in ("Ida", "Kim"):
        with pytest.raises(DataFileError):
            table.row(name)


def test_a_short_row_can_be_chosen_where_its_missing_cells_are_not_needed(tmp_path: Path) -> None:
    read(tmp_path, "Name\tAge\tTrip\nOmar\t41\n")
    (tmp_path / "short.txt").write_text("{Name}, {Age}")
    (tmp_path / "long.txt").write_text("{Name} goes {Trip}")
    assert load_persona("people.tsv:Omar", tmp_path, "short.txt").prompt == "Omar, 41"
    with pytest.raises(DataFileError, match=r"people\.tsv:2: Omar: has no cell for Trip, which lo"):
        load_persona("people.tsv:Omar", tmp_path, "long.txt")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the table is empty"),
        (b"\n\n", "the table is empty"),
        (b"Nmae\tAge\nIda\t30\n", ":1: the first line must name .*did you mean 'Nmae'"),
        (b"Ida\t30\n", ":1: the first line must name the columns, 'Name' among them$"),
        (b"Name\tAge\tAge\nIda\t1\t2\n", ":1: two columns are named 'Age'"),
        ("Name\tAge\nZoë\t1\n".encode("latin-1"), ":2: byte 0xEB is not UTF-8; save the file as"),
        ("Name\tAge\nIda\t1\n".encode("utf-16"), "this is UTF-16; save the file as UTF-8"),
        (b"Name\tAge\nI\x00da\t1\n", "this is a binary file, not text"),
        (b"Name\tAge\n" + b"x" * 9000 + b"\nI\x00da\t1\n", ":3: a NUL byte: this is no text"),
    ],
)
def test_what_is_no_table_is_one_message(tmp_path: Path, raw: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message) as caught:
        read(tmp_path, raw)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert list(read(tmp_path, b"\xef\xbb\xbfName\tAge\r\nIda\t30\r\n").rows) == ["Ida"]


def test_a_table_with_nothing_below_its_first_line(tmp_path: Path) -> None:
    table = read(tmp_path, "Name\tAge\n")
    assert not table.rows
    with pytest.raises(UsageError, match="no persona in this table: no row follows its first line"):
        load_persona(f"{table.path}:Ida")


@pytest.mark.parametrize("mark", [",", ";"])
def test_a_table_with_commas(tmp_path: Path, mark: str) -> None:
    text = 'Name,Age,Sample\nIda,30,"one, two\n""three"""\nOmar,41,"open\nKim,22,ok\n'
    table = read(tmp_path, text.replace(",", mark), "people.csv")
    assert table.rows["Ida"].cells["Sample"] == f'one{mark} two\n"three"'
    assert list(table.rows) == ["Ida", "Kim"]
    assert problems(table)[0].startswith(":4: Sample: ")
    assert load_persona(f"{table.path}:Kim").name == "Kim"
    assert len(check_file(table.path)) == 1


def test_check_names_every_row_that_is_wrong(tmp_path: Path) -> None:
    table = read(tmp_path, OPEN_QUOTE + "Bo\t1\tx\ty\n")
    assert [problem.line for problem in check_file(table.path)] == [2, 5]


def test_an_unknown_name_is_one_or_two_sentences(tmp_path: Path) -> None:
    table = read(tmp_path, "Name\n" + "".join(f"P{n}\n" for n in range(40)))
    with pytest.raises(UsageError) as caught:
        load_persona(f"{table.path}:Nobody")
    assert str(caught.value) == (
        f"{table.path}: there is no persona 'Nobody' in this table. It has P0, P1, P2, P3, P4, P5"
        " and 34 more."
    )
    with pytest.raises(UsageError, match=r"no persona 'P33x', did you mean 'P33'\? It has P0, "):
        load_persona(f"{table.path}:P33x")
    with pytest.raises(UsageError, match=r"say which persona, as in people\.tsv:P0\. It has P0, "):
        load_persona(str(table.path))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "none"),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (list("abcdefg"), "a, b, c, d, e, f and g"),
        (list("abcdefgh"), "a, b, c, d, e, f and 2 more"),
    ],
)
def test_names_are_listed(names: list[str], text: str) -> None:
    assert listed(names) == text


TEMPLATES = [
    ("{Name} is {Foo}", ":1: {Foo} is no column of people.tsv, did you mean {Food}?"),
    ("ok\n{Nam}", ":2: {Nam} is no column of people.tsv, did you mean {Name}?"),
    ("{Zzz}", ":1: {Zzz} is no column of people.tsv; it has Name and Food"),
    ("\n\n{}", ":3: {} is no column of people.tsv; if the braces are text, write {{ and }}"),
    ('{"say": "x"}', "; if the braces are text, write {{ and }}"),
    ("a\n{Name", ":2: a { that is never closed; write {{ and }} for braces that are text"),
    ("a\n\nb }", ":3: a } that is never opened; write {{ and }} for braces that are text"),
]


@pytest.mark.parametrize(("template", "message"), TEMPLATES)
def test_mistakes_in_a_template(tmp_path: Path, template: str, message: str) -> None:
    read(tmp_path, "Name\tFood\nIda\tsoup\n")
    (tmp_path / "t.txt").write_text(template)
    with pytest.raises(DataFileError) as caught:
        load_persona("people.tsv:Ida", tmp_path, "t.txt")
    assert str(caught.value).endswith(message)
    assert str(caught.value).startswith(str(tmp_path / "t.txt"))


def test_every_unknown_field_is_named(tmp_path: Path) -> None:
    read(tmp_path, "Name\tFood\nIda\tsoup\n")
    (tmp_path / "t.txt").write_text("{Nam}\n{Fod}\n{Nam}")
    with pytest.raises(DataFileError) as caught:
        load_persona("people.tsv:Ida", tmp_path, "t.txt")
    assert [problem.line for problem in caught.value.problems] == [1, 2]


def test_braces_in_a_cell_and_doubled_ones_are_text(tmp_path: Path) -> None:
    read(tmp_path, "Name\tSample\nIda\t{Name} {{x}} {task} {persona}\n")
    (tmp_path / "t.txt").write_text('You are {Name}: {Sample}\nJSON {{"say": "..."}}')
    persona = load_persona("people.tsv:Ida", tmp_path, "t.txt")
    assert persona.prompt == 'You are Ida: {Name} {{x}} {task} {persona}\nJSON {"say": "..."}'


PIECES = st.lists(
    st.sampled_from(["a", '"', '""', "\t", "\n", "\r\n", "Ida", " ", ","]), max_size=30
)


@given(PIECES)
def test_no_text_is_lost_without_a_word(pieces: list[str]) -> None:
    from convtui.scenario.persona_table import _records

    text = "".join(pieces)
    records = list(_records(text, "\t"))
    letters = sum(cell.count("a") for record in records for cell in record.cells)
    assert letters == text.count("a")
    assert [record.line for record in records] == sorted({record.line for record in records})
