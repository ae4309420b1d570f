"""Personas: who the simulated user is, from YAML, from a table, or built in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Strict,
    field_validator,
    model_validator,
)

from convtui.errors import UsageError, did_you_mean, listed
from convtui.files.yaml import load_yaml, read_text, validate
from convtui.scenario.parts import StrictModel, at_key, check_signals, not_blank
from convtui.scenario.persona_table import CONTEXT, PersonaTable, fill_template, read_persona_table
from convtui.scenario.provider_spec import absolute
from convtui.scenario.responder_brief import ResponderBrief

SimulatorKind = Literal["scripted", "llm", "responder", "demo", "human"]
TurnNumber = Annotated[int, Strict(), Field(ge=1)]


class Persona(StrictModel):
    """Who the simulated user is: name, prompt or brief, opening, kind of simulator."""

    name: str
    """Shown everywhere; part of log file names."""
    simulator: SimulatorKind
    """What speaks for it. Guessed when left out: a responder by its brief, scripted by a list in
    `script`, else llm."""
    task: str = ""
    """What the user wants."""
    opening: str | None = None
    """The first message, said without a model call."""
    script: list[str] | dict[TurnNumber, str] | None = None
    """Utterances in order; the first is the opening, unless there is one. They are all that a
    scripted persona says, and what an llm persona (with `simulator: llm` written out) says before
    its model goes on. Or single turns of an llm persona, by turn number: {3: text}."""
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

    @model_validator(mode="wrap")
    @classmethod
    def _guess(cls, data: object, handler: ModelWrapValidatorHandler[Persona]) -> Persona:
        if not isinstance(data, dict) or data.get("simulator") is not None:
            return handler(data)
        persona = handler({**data, "simulator": guess_simulator(data)})
        # A guess is none of the keys that somebody wrote: it is made again when they change.
        persona.model_fields_set.discard("simulator")
        return persona

    @property
    def guessed(self) -> bool:
        """Whether its simulator was guessed from its keys, not written."""
        return "simulator" not in self.model_fields_set

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
        if isinstance(self.script, dict) and self.simulator != "llm":
            raise at_key(
                "script",
                "a mapping fixes single turns of an llm persona, not of a"
                f" {self.simulator} one; write a list of utterances",
            )
        if self.script is not None and self.simulator == "responder":
            raise at_key(
                "script", "a script and a responder exclude each other; use one or the other"
            )
        if self.simulator == "scripted" and not self.says_first:
            raise at_key(
                "simulator",
                "a scripted persona needs the key 'script' with a list (or 'opening' or 'task',"
                " and follow_up_prompts in the scenario)",
            )
        return self

    @property
    def says_first(self) -> bool:
        """Whether its first words are written down, so that no model is needed for them."""
        return isinstance(self.script, list) or bool(self.opening or self.task)

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


def with_follow_ups(persona: object) -> object:
    """A persona of a scenario with follow-up prompts: scripted, when its simulator is guessed.

    `persona` is a `Persona`, or what a file holds in its place, right or wrong.
    """
    if isinstance(persona, Persona):
        follows = persona.guessed and persona.simulator == "llm" and persona.says_first
        follows = follows and not persona.script
        return persona.model_copy(update={"simulator": "scripted"}) if follows else persona
    if not isinstance(persona, dict) or persona.get("simulator") is not None:
        return persona
    first = any(isinstance(persona.get(key), str) and persona[key] for key in ("opening", "task"))
    if first and persona.get("script") is None and persona.get("responder") is None:
        return {**persona, "simulator": "scripted"}
    return persona


def check_follow_ups(persona: Persona) -> None:
    """Whether somebody says follow-up prompts. Raises ValueError when nobody can."""
    if persona.simulator == "responder":
        raise ValueError(
            "responder and follow_up_prompts are mutually exclusive; use one or the other"
        )
    if persona.simulator == "scripted":
        return
    if persona.simulator == "llm" and persona.guessed and persona.script is None:
        raise ValueError(
            "follow_up_prompts come after the persona's opening: give it 'opening' (or 'task',"
            " said as it stands)"
        )
    raise ValueError(
        f"follow_up_prompts are said as they stand, which persona {persona.name!r}"
        f" (simulator: {persona.simulator}) contradicts; use one or the other"
    )


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
    table = read_persona_table(path)
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
