"""Personas: who the simulated user is, from YAML, from a table, or built in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    Strict,
    field_validator,
    model_validator,
)

from convtui.errors import DataFileError, Problem, UsageError, did_you_mean
from convtui.scenario_parts import Part, at_key, check_signals, not_blank
from convtui.spec import absolute
from convtui.yamlfile import load_yaml, read_text, validate

SimulatorKind = Literal["scripted", "llm", "responder", "demo", "human"]
TurnNumber = Annotated[int, Strict(), Field(ge=1)]


class ResponderBrief(Part):
    """What a responder is told: it answers, stops or abstains after each provider message."""

    instructions: str
    """What the user knows and wants, and when to stop."""
    max_followups: int = Field(ge=1)
    """Answers it may give at most."""
    model: str | None = None
    """A litellm model; the persona's when left out."""

    _said = field_validator("instructions")(not_blank)


class Persona(Part):
    """Who the simulated user is: name, prompt or brief, opening, kind of simulator."""

    name: str
    """Shown everywhere; part of log file names."""
    simulator: SimulatorKind
    """What speaks for it: guessed from the other keys when left out."""
    task: str = ""
    """What the user wants."""
    opening: str | None = None
    """The first message, said without a model call."""
    script: list[str] | dict[TurnNumber, str] | None = None
    """Utterances in order (the first is the opening), or single turns of an llm persona."""
    prompt: str | None = None
    """Who an llm persona is."""
    template: str | None = None
    """The system prompt of an llm persona; `{persona}` and `{task}` are replaced once."""
    end_sentinel: str = "<end>"
    """What an llm persona writes when it is done."""
    sentinel_keeps_text: bool = False
    """Whether the text around the sentinel is said before the session ends."""
    reminder: str | None = None
    """Put before the last provider message in an llm persona's request."""
    params: dict[str, Any] = Field({})
    """Parameters of its model calls, such as temperature or api_base."""
    model: str | None = None
    """A litellm model, for llm and responder."""
    responder: ResponderBrief | None = None
    """The brief of a responder."""
    termination_signals: list[str] = Field([])
    """Strings in the persona's raw reply that end the session."""

    _source: str | None = PrivateAttr(default=None)

    @property
    def source(self) -> str | None:
        """Where it was loaded from: a file, `table.tsv:Name`, or the name of a built-in one."""
        return self._source

    @property
    def needs_model(self) -> bool:
        """Whether its simulator calls a model and none is named."""
        if self.simulator == "llm":
            return self.model is None
        if self.simulator == "responder":
            return self.model is None and (self.responder is None or self.responder.model is None)
        return False

    @model_validator(mode="before")
    @classmethod
    def _guess(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("simulator") is None:
            return {**data, "simulator": guess_simulator(data)}
        return data

    _name = field_validator("name")(not_blank)
    _signals = field_validator("termination_signals")(check_signals)

    @field_validator("end_sentinel")
    @classmethod
    def _sentinel(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("an empty end_sentinel would match everything; leave the key out")
        return value

    @field_validator("script", mode="before")
    @classmethod
    def _script(cls, value: object) -> object:
        if value in ([], {}):
            raise ValueError("an empty script says nothing; write at least one utterance")
        if value is not None and not isinstance(value, (list, dict)):
            raise ValueError("must be a list of utterances, or a mapping like {3: text}")
        # Told here because a mistake in a choice of two forms is reported once for each form.
        for where, item in value.items() if isinstance(value, dict) else enumerate(value or []):
            if isinstance(value, dict) and (not isinstance(where, int) or where < 1):
                raise ValueError(f"{where!r} is no turn number; write whole numbers from 1")
            if not isinstance(item, str):
                place = f"turn {where}" if isinstance(value, dict) else f"utterance {where + 1}"
                raise ValueError(f"{place} must be text; put {item!r} in quotes")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Persona:
        if self.simulator == "responder" and self.responder is None:
            raise at_key("simulator", "a responder needs the key 'responder' with its instructions")
        if self.simulator != "responder" and self.responder is not None:
            raise at_key("responder", f"a brief is for simulator: responder, not {self.simulator}")
        if self.simulator == "scripted" and not isinstance(self.script, list):
            raise at_key("simulator", "a scripted persona needs the key 'script' with a list")
        return self

    @classmethod
    def load(cls, path: Path | str) -> Persona:
        """The persona in a YAML file. Raises `FileError` or `DataFileError`."""
        document = load_yaml(Path(path))
        persona = validate(cls, document.data, document.lines, path, what="persona")
        return persona.with_source(str(path))

    def with_source(self, source: str | None) -> Persona:
        """The same persona, said to come from `source`."""
        copy = self.model_copy()
        copy._source = source
        return copy


def guess_simulator(data: Mapping[Any, Any]) -> SimulatorKind:
    """What speaks for a persona that does not say: by the keys it has."""
    if data.get("responder") is not None:
        return "responder"
    script = data.get("script")
    if isinstance(script, list):
        return "scripted"
    return "llm"


@dataclass(frozen=True, slots=True)
class BuiltinPersona:
    """A persona that ships with convtui: its name and file."""

    name: str
    path: Path


def builtin_personas() -> list[BuiltinPersona]:
    """The personas that ship with convtui, by name."""
    folder = Path(__file__).parent / "personas"
    return [BuiltinPersona(path.stem, path) for path in sorted(folder.glob("*.yaml"))]


_TSV = re.compile(r"(?P<path>.*\.tsv|tsv)(?::(?P<name>.*))?", re.IGNORECASE | re.DOTALL)


def load_persona(
    ref: str,
    base: Path | None = None,
    template: str | None = None,
    *,
    context_template: str | None = None,
    reminder: str | None = None,
) -> Persona:
    """The persona that a SPEC names: a built-in name, a YAML file, or `personas.tsv:Name`.

    Relative paths are below `base` (the working directory by default); `tsv:Name` means
    `personas.tsv` there. `template`, `context_template` and `reminder` are the files that turn a
    table's row into a persona, as in `load_tsv_persona`. Raises `UsageError`, `FileError` or
    `DataFileError`.
    """
    base = Path.cwd() if base is None else base
    ref = ref.strip()
    table = _TSV.fullmatch(ref)
    if table:
        name = (table["name"] or "").strip()
        file = "personas.tsv" if table["path"].lower() == "tsv" else table["path"]
        return load_tsv_persona(
            absolute(file, base),
            name,
            absolute(template, base) if template else None,
            context_template=absolute(context_template, base) if context_template else None,
            reminder=absolute(reminder, base) if reminder else None,
        )
    if template or context_template or reminder:
        what = "template" if template or context_template else "reminder file"
        raise UsageError(f"a persona {what} is for personas from a table (personas.tsv:Name)")
    built_in = {persona.name: persona.path for persona in builtin_personas()}
    if ref in built_in:
        return Persona.load(built_in[ref]).with_source(ref)
    if re.search(r"[/\\]|\.ya?ml$", ref, re.IGNORECASE):
        return Persona.load(absolute(ref, base))
    near = did_you_mean(ref, built_in)
    file = next((f"{ref}{end}" for end in (".yaml", ".yml") if (base / f"{ref}{end}").exists()), "")
    if file:
        near = f", did you mean {file!r}?"
    raise UsageError(
        f"{ref!r} is no persona{near} Built in: {', '.join(built_in)}."
        if near
        else f"{ref!r} is no persona; built in are {', '.join(built_in)};"
        " write a YAML file or personas.tsv:Name otherwise"
    )


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


def load_tsv_persona(
    path: Path,
    name: str,
    template: Path | None = None,
    *,
    context_template: Path | None = None,
    reminder: Path | None = None,
) -> Persona:
    """The llm persona in the row `name` of a table.

    `template` is a text file in which `{column name}` (spaces and slashes included) is replaced by
    the row's cell; `{{` and `}}` are braces. It gives the whole system prompt. Without one the
    prompt lists every column. With a `context_template` the columns go into that one, and what
    comes of it into the `{persona_context}` of `template`. `reminder` is a text file with what is
    put before the last provider message. Raises `UsageError` for an unknown name and for a context
    that has no place, `DataFileError` for columns that a template needs and the table does not
    have, all of them in one message. Both layouts are VERA-MH's.
    """
    rows = read_persona_table(path)
    if name not in rows:
        known = ", ".join(list(rows)[:20]) or "none"
        what = f"no persona {name!r}{did_you_mean(name, rows)}" if name else "which persona?"
        raise UsageError(f"{path}: {what} It has: {known}")
    row = rows[name]
    data: dict[str, Any] = {"name": name, "simulator": "llm"}
    if template is None:
        if context_template is not None:
            raise UsageError(
                f"{context_template}: a context template goes into a general one; name that, too"
                " (persona_template)"
            )
        data["prompt"] = "\n".join(f"{column}: {cell}" for column, cell in row.items() if cell)
    else:
        text = read_text(template)
        if context_template is not None:
            context = fill_template(read_text(context_template), row, context_template, path)
            if f"{{{_CONTEXT}}}" not in text:
                raise UsageError(
                    f"{template}: it has no {{{_CONTEXT}}}, where {context_template.name} goes"
                )
            row = {**row, _CONTEXT: context}
        data["prompt"] = fill_template(text, row, template, path)
        data["template"] = "{persona}"
    if reminder is not None:
        data["reminder"] = read_text(reminder).rstrip()
    persona = validate(Persona, data, what="persona")
    return persona.with_source(f"{path}:{name}")


_CONTEXT = "persona_context"


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
        if _CONTEXT in missing:
            near = f"; {{{_CONTEXT}}} comes from a context template (persona_context_template)"
        listed = ", ".join(dict.fromkeys(missing))
        raise DataFileError(
            [Problem(f"needs columns that {table.name} does not have: {listed}{near}", path=path)]
        )
    return "".join(parts)
