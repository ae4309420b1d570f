"""Personas: who the simulated user is, from YAML, from a table, or built in."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ModelWrapValidatorHandler, PrivateAttr, create_model, model_validator

from convtui.errors import DataFileError, Problem, UsageError, did_you_mean, listed
from convtui.files.regular import exists
from convtui.files.yaml import line_of, load_yaml, read_text, validate
from convtui.scenario.persona_table import CONTEXT, PersonaTable, fill_template, read_persona_table
from convtui.scenario.provider_spec import absolute
from convtui.scenario.simulators.kind import PersonaKeys, SimulatorKind
from convtui.scenario.simulators.registry import MODULES, guess, kind_of, kinds
from convtui.scenario.unused_settings import unknown_model, useless_in_persona

if TYPE_CHECKING:
    # What a type checker can know: the kinds that are listed may be others when this runs.
    from convtui.scenario.simulators.llm import LlmKeys
    from convtui.scenario.simulators.responder import ResponderKeys
    from convtui.scenario.simulators.scripted import ScriptedKeys

    KindName = str

    class Keys(ScriptedKeys, LlmKeys, ResponderKeys):
        """The keys of every kind."""

else:
    KindName = Literal[tuple(MODULES)]
    Keys = create_model(
        "Keys", __base__=(*(kind.keys for kind in kinds() if kind.keys), PersonaKeys)
    )


class Persona(Keys):
    """Who the simulated user is: name, prompt or brief, opening, kind of simulator."""

    simulator: KindName
    _source: str | None = PrivateAttr(default=None)

    @property
    def source(self) -> str | None:
        """Where it was loaded from: a file, `table.tsv:Name`, or the name of a built-in one."""
        return self._source

    @property
    def kind(self) -> SimulatorKind:
        """What there is to say about what speaks for it."""
        kind = kind_of(self.simulator)
        assert kind is not None
        return kind

    @property
    def asked_model(self) -> str | None:
        """The model that its simulator calls; None where it calls none, or none is named."""
        return self.kind.model_of(self.model_dump(exclude_unset=True))

    @property
    def needs_model(self) -> bool:
        """Whether its simulator calls a model and none is named."""
        return bool(self.kind.model_keys) and self.asked_model is None

    @model_validator(mode="wrap")
    @classmethod
    def _guess(cls, data: object, handler: ModelWrapValidatorHandler[Persona]) -> Persona:
        if not isinstance(data, dict) or data.get("simulator") is not None:
            return handler(data)
        persona = handler({**data, "simulator": guess(data)})
        # A guess is none of the keys that somebody wrote: it is made again when they change.
        persona.model_fields_set.discard("simulator")
        return persona

    @classmethod
    def load(cls, path: Path | str, *, named_by: Path | None = None) -> Persona:
        """The persona in a YAML file. Raises `FileError` or `DataFileError`."""
        document = load_yaml(Path(path), named_by=named_by)
        persona = validate(cls, document.data, document.lines, path, what="persona")
        problems = [
            Problem(each.message, path=path, line=line_of(document.lines, each.key),
                    key=".".join(each.key))
            for each in (*useless_in_persona(persona), *filter(None, (unknown_model(persona),)))
        ]  # fmt: skip
        if problems:
            raise DataFileError(problems)
        return persona.with_source(str(path))

    def with_source(self, source: str | None) -> Persona:
        """The same persona, said to come from `source`."""
        copy = self.model_copy()
        copy._source = source
        return copy


def with_follow_ups(persona: object) -> object:
    """A persona of a scenario with follow-up prompts: where its simulator is guessed, one that
    says them if it can.

    `persona` is a `Persona`, or what a file holds in its place, right or wrong.
    """
    if isinstance(persona, Persona):
        if persona.guessed:
            kind = guess(persona.model_dump(exclude_unset=True), follow_ups=True)
            if kind != persona.simulator:
                return persona.model_copy(update={"simulator": kind})
        return persona
    if not isinstance(persona, dict) or persona.get("simulator") is not None:
        return persona
    kind = guess(persona, follow_ups=True)
    return persona if kind == guess(persona) else {**persona, "simulator": kind}


def check_follow_ups(persona: Persona) -> None:
    """Whether somebody says follow-up prompts. Raises ValueError when nobody can."""
    if not persona.kind.says_follow_ups:
        raise ValueError(persona.kind.no_follow_ups(persona))


@dataclass(frozen=True, slots=True)
class BuiltinPersona:
    """A persona that ships with convtui: its name and file."""

    name: str
    path: Path


def builtin_personas() -> list[BuiltinPersona]:
    """The personas that ship with convtui, by name."""
    folder = Path(__file__).parents[1] / "personas"
    return [BuiltinPersona(path.stem, path) for path in sorted(folder.glob("*.yaml"))]


_TSV = re.compile(r"(?P<path>.*\.(?:tsv|csv)|tsv)(?::(?P<name>.*))?", re.IGNORECASE | re.DOTALL)


def load_persona(
    ref: str,
    base: Path | None = None,
    template: str | None = None,
    *,
    context_template: str | None = None,
    reminder: str | None = None,
    named_by: Path | None = None,
) -> Persona:
    """The persona that a SPEC names: a built-in name, a YAML file, or `personas.tsv:Name`.

    Relative paths are below `base` (the working directory by default); `tsv:Name` means
    `personas.tsv` there. `template`, `context_template` and `reminder` are the files that turn a
    table's row into a persona, as in `load_tsv_persona`. `named_by` is the file that has the SPEC.
    Raises `UsageError`, `FileError` or `DataFileError`.
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
        return Persona.load(absolute(ref, base), named_by=named_by)
    near = did_you_mean(ref, built_in)
    file = next((f"{ref}{end}" for end in (".yaml", ".yml") if exists(base / f"{ref}{end}")), "")
    if file:
        near = f", did you mean {file!r}?"
    raise UsageError(
        f"{ref!r} is no persona{near or '.'} Built in are {listed(built_in)}; anything else is a"
        " YAML file or personas.tsv:Name."
    )


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
    return row_persona(
        read_persona_table(path), name, template, context_template=context_template,
        reminder=reminder,
    )  # fmt: skip


def row_persona(
    table: PersonaTable,
    name: str,
    template: Path | None = None,
    *,
    context_template: Path | None = None,
    reminder: Path | None = None,
) -> Persona:
    """As `load_tsv_persona()`, from a table that has been read."""
    path = table.path
    row = table.row(name)
    if row is None:
        raise UsageError(f"{path}: {_which(name, table)}")
    data: dict[str, Any] = {"name": name}
    if template is None:
        if context_template is not None:
            raise UsageError(
                f"{context_template}: a context template goes into a general one; name that, too"
                " (persona_template)"
            )
        data["prompt"] = "\n".join(
            f"{column}: {cell}" for column, cell in row.cells.items() if cell
        )
    else:
        text = read_text(template)
        if context_template is not None:
            context = fill_template(read_text(context_template), row, context_template, table)
            if f"{{{CONTEXT}}}" not in text:
                raise UsageError(
                    f"{template}: it has no {{{CONTEXT}}}, where {context_template.name} goes"
                )
            row = replace(row, cells={**row.cells, CONTEXT: context})
        data["prompt"] = fill_template(text, row, template, table)
        data["template"] = "{persona}"
    if reminder is not None:
        data["reminder"] = read_text(reminder).rstrip()
    persona = validate(Persona, data, what="persona")
    return persona.with_source(f"{path}:{name}")


def _which(name: str, table: PersonaTable) -> str:
    """That a table has no row of this name, or that none was named; and what it has."""
    names = table.names
    lines = [str(problem.line) for problem in table.problems if problem.line not in table.used]
    wrong = f" `convtui check {table.path}` says what is wrong with line {listed(lines)}."
    if not names:
        empty = "there is no persona in this table"
        return f"{empty}.{wrong}" if lines else f"{empty}: no row follows its first line."
    has = f"It has {listed(names)}.{wrong if lines else ''}"
    if not name:
        return f"say which persona, as in {table.path.name}:{names[0]}. {has}"
    near = did_you_mean(name, names) or " in this table."
    return f"there is no persona {name!r}{near} {has}"
