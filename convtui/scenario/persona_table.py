"""Personas in a table with a row each, and the templates that its rows go into.

Tables are tab-separated (`.tsv`) or comma-separated (`.csv`). What is wrong with a row is a finding
of that row: the others can be chosen all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Final

from convtui.errors import DataFileError, Problem, did_you_mean, listed, nearest
from convtui.files.yaml import read_text
from convtui.text.counts import counted

CONTEXT: Final = "persona_context"
"""The field of a general template that a context template fills."""
SUFFIXES: Final = (".tsv", ".csv")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SHOWN: Final = 30


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: the line it begins on, counted from 1, and its cells by column."""

    line: int
    name: str
    cells: Mapping[str, str]
    missing: tuple[str, ...] = ()
    """Columns that the row has no cell for, because it is too short; empty in `cells`."""


@dataclass(slots=True)
class PersonaTable:
    """The usable rows of a table in order, and the problems of the others."""

    path: Path
    columns: list[str]
    rows: dict[str, TableRow] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    """Of rows that cannot be used, or not as they are meant, in the order of their lines."""
    notes: list[Problem] = field(default_factory=list)
    """Blank rows, which are passed over."""
    broken: dict[str, list[Problem]] = field(default_factory=dict)
    """Names of rows that cannot be chosen, and why."""

    def row(self, name: str) -> TableRow | None:
        """The row of this name. Raises `DataFileError` for one that cannot be used."""
        if name in self.broken:
            raise DataFileError(self.broken[name])
        return self.rows.get(name)

    @property
    def used(self) -> set[int]:
        """The lines of the rows that can be chosen."""
        return {row.line for row in self.rows.values()}

    @property
    def names(self) -> list[str]:
        """The names that can be chosen."""
        return list(self.rows)


def read_persona_table(path: Path) -> PersonaTable:
    """The rows of a table whose first row names the columns, `Name` among them.

    Raises `FileError`, and `DataFileError` where the first row does not name the columns.
    """
    text = read_text(path)
    nul = text.find("\x00")
    if nul >= 0:
        line = len(_LINE_END.findall(text, 0, nul)) + 1
        raise DataFileError([Problem("a NUL byte: this is no text", path=path, line=line)])
    records = _records(text, _delimiter(path, text))
    header = next((record for record in records if not record.blank), None)
    if header is None:
        raise DataFileError([Problem("the table is empty; its first line names the columns"
                                     " (Name, ...)", path=path)])  # fmt: skip
    table = PersonaTable(path, _columns(header, path))
    for record in records:
        _add(table, record)
    table.problems.sort(key=lambda problem: problem.line or 0)
    return table


def _columns(header: _Record, path: Path) -> list[str]:
    columns = [cell.strip() for cell in header.cells]
    if header.open_quote is not None:
        raise DataFileError([_open_quote(header, columns, path)])
    if "Name" not in columns:
        near = did_you_mean("Name", columns)
        message = f"the first line must name the columns, 'Name' among them{near}"
        raise DataFileError([Problem(message, path=path, line=header.line)])
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        message = f"two columns are named {listed(map(repr, twice))}; rename one of them"
        raise DataFileError([Problem(message, path=path, line=header.line)])
    return columns


def _add(table: PersonaTable, record: _Record) -> None:
    """Adds a row to the table, or its problem."""
    path, columns, line = table.path, table.columns, record.line
    if record.blank:
        table.notes.append(Problem("a blank row, passed over", path=path, line=line))
        return
    at = columns.index("Name")
    name = record.cells[at].strip() if at < len(record.cells) else ""
    given = len(record.cells)
    problem = None
    if record.open_quote is not None:
        problem = _open_quote(record, columns, path)
    elif given > len(columns):
        what = _counts(given, columns)
        problem = Problem(f"{what}; does a cell hold a tab or comma without quotes around it?",
                          path=path, line=line)  # fmt: skip
    elif not name:
        problem = Problem("a row without a Name", path=path, line=line)
    first = table.rows.pop(name, None)
    if problem is None and (first is not None or name in table.broken):
        where = f", first in line {first.line}" if first is not None else ""
        problem = Problem(f"the name {name!r} is there twice{where}", path=path, line=line)
    if problem is not None:
        table.problems.append(problem)
        if name:
            table.broken.setdefault(name, []).append(problem)
        return
    missing = tuple(column for column in columns[given:] if column)
    if missing:
        message = f"{_counts(given, columns)}: no {listed(missing)}"
        table.problems.append(Problem(message, path=path, line=line))
    cells = dict(zip(columns, [*record.cells, *[""] * len(missing)], strict=False))
    cells.pop("", None)
    table.rows[name] = TableRow(line, name, cells, missing)


def _counts(cells: int, columns: list[str]) -> str:
    some = counted(cells, "cell")
    return f"{some} where the first line names {len(columns)}"


# --- the text of a table


@dataclass(slots=True)
class _Record:
    """A row as written. `open_quote` is the column, from 0, of a cell whose quote is open."""

    line: int
    cells: list[str]
    open_quote: int | None = None
    character: int = 0
    """Where that quote stands in its line, from 1."""
    quote_line: int = 0

    @property
    def blank(self) -> bool:
        return not any(cell.strip() for cell in self.cells) and self.open_quote is None


def _delimiter(path: Path, text: str) -> str:
    """The delimiter: by the name of the file, and in a `.csv` by its first line."""
    if path.suffix.lower() != ".csv":
        return "\t"
    header = _LINE_END.split(text.lstrip("\r\n"), 1)[0]
    return max(",;\t", key=header.count)


def _records(text: str, delimiter: str) -> Iterator[_Record]:
    """The rows of a table. A cell that begins with a quote goes on to the next single quote.

    Where none follows, or where what comes before it looks like rows of the table, the row ends
    with its line and the next one begins there.
    """
    position, line, width = 0, 1, 0
    while position < len(text):
        record, after = _record(text, position, line, delimiter, width)
        width = width or len(record.cells)
        yield record
        line += len(_LINE_END.findall(text, position, after))
        position = after


def _record(text: str, start: int, line: int, delimiter: str, width: int) -> tuple[_Record, int]:
    record = _Record(line, [])
    position = start
    while True:
        if text.startswith('"', position):
            closed = _quoted(text, position, delimiter, width)
            if closed is None:
                end = _LINE_END.search(text, position)
                stop = end.start() if end is not None else len(text)
                begin = max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1
                record.open_quote, record.character = len(record.cells), position - begin + 1
                record.quote_line = line + len(_LINE_END.findall(text, start, position))
                record.cells.append(text[position:stop])
                return record, end.end() if end is not None else stop
            cell, position = closed
        else:
            stop = _end_of_cell(text, position, delimiter)
            cell, position = text[position:stop], stop
        record.cells.append(cell)
        if not text.startswith(delimiter, position):
            end = _LINE_END.match(text, position)
            return record, end.end() if end is not None else position
        position += 1


def _end_of_cell(text: str, start: int, delimiter: str) -> int:
    end = re.compile(f"[{delimiter}\r\n]").search(text, start)
    return end.start() if end is not None else len(text)


def _quoted(text: str, start: int, delimiter: str, width: int) -> tuple[str, int] | None:
    """The cell whose quote opens at `start`, and its end; None where it is not closed."""
    close = start + 1
    while (close := text.find('"', close)) >= 0 and text.startswith('""', close):
        close += 2
    if close < 0:
        return None
    inside, after = text[start + 1 : close], close + 1
    stop = _end_of_cell(text, after, delimiter)
    lines = _LINE_END.split(inside)
    if len(lines) > 1 and (stop > after or _holds_rows(lines, delimiter, width)):
        return None
    # Text behind the closing quote belongs to the cell, as spreadsheets have it.
    return inside.replace('""', '"') + text[after:stop], stop


def _holds_rows(lines: list[str], delimiter: str, width: int) -> bool:
    """Whether a line inside a quoted cell has as many tabs as a row: then a quote is missing."""
    if delimiter != "\t" or width < 2:
        return False
    return any(line.count(delimiter) == width - 1 for line in lines[1:])


def _open_quote(record: _Record, columns: list[str], path: Path) -> Problem:
    at = record.open_quote or 0
    cell = record.cells[at]
    start = cell if len(cell) <= _SHOWN else cell[: _SHOWN - 1] + "…"
    column = columns[at] if at < len(columns) and record.cells is not columns else ""
    text = cell[1:].replace('"', '""')
    literal = f'"""{text}"'
    return Problem(
        f"the cell begins with a quote (character {record.character}) that is never closed:"
        f" {start}; close it, or if it is a part of the text, write"
        f" {literal if len(literal) <= 2 * _SHOWN else 'it three times and end with one'}",
        path=path,
        line=record.quote_line or record.line,
        key=column or f"cell {at + 1}",
    )


# --- templates


def fill_template(text: str, row: TableRow, path: Path, table: PersonaTable) -> str:
    """`text` with each `{column}` replaced by the row's cell.

    A field is looked up by its whole text: `{Name.x}` is the column `Name.x`, never an attribute.
    Braces in a cell stay as they are. Raises `DataFileError` for fields that are no column of the
    table, and for a cell that the row does not have.
    """
    parts: list[str] = []
    problems: dict[str, Problem] = {}
    try:
        for literal, name, spec, conversion in Formatter().parse(text):
            parts.append(literal)
            if name is None:
                continue
            written = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            column = written.strip()
            if column not in row.cells:
                problems.setdefault(column, _no_column(text, written, path, table))
            elif column in row.missing:
                message = f"has no cell for {column}, which {path.name} needs"
                problems.setdefault(
                    column, Problem(message, path=table.path, line=row.line, key=row.name)
                )
            parts.append(row.cells.get(column, ""))
    except ValueError as error:
        raise DataFileError([_not_a_template(text, error, path)]) from None
    if problems:
        raise DataFileError(problems.values())
    return "".join(parts)


def _no_column(text: str, written: str, path: Path, table: PersonaTable) -> Problem:
    column = written.strip()
    at = text.find("{" + written)
    line = len(_LINE_END.findall(text, 0, max(at, 0))) + 1
    shown = column if len(column) <= _SHOWN else column[: _SHOWN - 1] + "…"
    if column == CONTEXT:
        message = f"{{{CONTEXT}}} comes from a context template (persona_context_template)"
        return Problem(message, path=path, line=line)
    message = f"{{{shown}}} is no column of {table.path.name}"
    near = nearest(column, filter(None, table.columns))
    if not column or re.search(r"[\r\n\"':]", column):
        message += "; if the braces are text, write {{ and }}"
    elif near:
        message += f", did you mean {{{near}}}?"
    else:
        message += f"; it has {listed(filter(None, table.columns), limit=8)}"
    return Problem(message, path=path, line=line)


def _not_a_template(text: str, error: ValueError, path: Path) -> Problem:
    """A brace that is open or closed alone, with its line."""
    alone = re.search(r"(?:\{\{|\}\}|\{[^{}]*\}|[^{}])*", text)
    at = alone.end() if alone is not None else 0
    line = len(_LINE_END.findall(text, 0, at)) + 1
    brace = text[at : at + 1] or "{"
    other = "closed" if brace == "{" else "opened"
    message = f"a {brace} that is never {other}; write {{{{ and }}}} for braces that are text"
    return Problem(message, path=path, line=line)
