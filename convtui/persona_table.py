"""Personas in a tab-separated table, and the templates that its rows go into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Formatter

from convtui.errors import DataFileError, Problem, did_you_mean
from convtui.yamlfile import read_text

CONTEXT = "persona_context"
"""The field of a general template that a context template fills."""


def read_persona_table(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a tab-separated table with a header, by their `Name`, in order.

    Raises `FileError` or `DataFileError` (no `Name` column, a name twice, a row with too many
    cells), with lines.
    """
    import csv
    from io import StringIO

    reader = csv.DictReader(StringIO(read_text(path), newline=""), delimiter="\t")
    rows: dict[str, dict[str, str]] = {}
    problems: list[Problem] = []
    try:
        columns = [column.strip() for column in reader.fieldnames or []]
        reader.fieldnames = columns
        if "Name" not in columns:
            near = did_you_mean("Name", columns)
            message = f"the first line must name the columns, 'Name' among them{near}"
            raise DataFileError([Problem(message, path=path, line=1)])
        for row in reader:
            line = reader.line_num
            if None in row:
                problems.append(
                    Problem(f"more cells than the {len(columns)} columns", path=path, line=line)
                )
                continue
            name = (row["Name"] or "").strip()
            if not name:
                problems.append(Problem("a row without a Name", path=path, line=line))
            elif name in rows:
                problems.append(Problem(f"the name {name!r} is there twice", path=path, line=line))
            else:
                rows[name] = {key: value or "" for key, value in row.items()}
    except csv.Error as error:
        raise DataFileError(
            [Problem(f"not a table: {error}", path=path, line=reader.line_num)]
        ) from None
    if problems:
        raise DataFileError(problems)
    return rows


def fill_template(text: str, row: Mapping[str, str], path: Path, table: Path) -> str:
    """`text` with each `{column}` replaced by the row's cell.

    A field is looked up by its whole text: `{Name.x}` is the column `Name.x`, never an attribute.
    """
    parts: list[str] = []
    missing: list[str] = []
    try:
        for literal, field, spec, conversion in Formatter().parse(text):
            parts.append(literal)
            if field is None:
                continue
            column = field
            column += f"!{conversion}" if conversion else ""
            column += f":{spec}" if spec else ""
            column = column.strip()
            if column not in row:
                missing.append(column)
            parts.append(row.get(column, ""))
    except ValueError as error:
        message = f"not a template: {error}; write {{{{ and }}}} for braces"
        raise DataFileError([Problem(message, path=path)]) from None
    if missing:
        near = did_you_mean(missing[0], row) if len(missing) == 1 else ""
        if CONTEXT in missing:
            near = f"; {{{CONTEXT}}} comes from a context template (persona_context_template)"
        listed = ", ".join(dict.fromkeys(missing))
        raise DataFileError(
            [Problem(f"needs columns that {table.name} does not have: {listed}{near}", path=path)]
        )
    return "".join(parts)
