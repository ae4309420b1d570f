"""Scenarios: everything needed to run one conversation.

Only syntax is handled here. SPECs are taken apart and paths made absolute; importing what they
name is the engine's business, so that reading a scenario never runs anybody's code.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from convtui.errors import DataFileError, Problem, UsageError
from convtui.files.yaml import Lines, line_of, load_yaml, validate
from convtui.scenario.parts import (
    BREAKPOINT_SCHEMA,
    TERMINATION_SIGNAL,
    Budget,
    Limits,
    McpServer,
    OnDiscard,
    OnDiscardField,
    OnSignal,
    ProviderConfig,
    Retry,
    SideBudget,
    StrictModel,
    ToolConfig,
    WarmConfig,
    base_of,
    breakpoint_text,
    check_signals,
    normal_tools,
    not_blank,
)
from convtui.scenario.persona import (
    BuiltinPersona,
    Persona,
    builtin_personas,
    check_follow_ups,
    load_persona,
    load_tsv_persona,
    with_follow_ups,
)
from convtui.scenario.provider_spec import ProviderSpec, absolute, parse_provider_spec
from convtui.scenario.unused_settings import useless_problems
from convtui.secrets.names import LogValues
from convtui.secrets.public_scenario import public_scenario, scenario_secrets
from convtui.secrets.redactor import Redactor
from convtui.secrets.shapes import REDACTED

__all__ = [
    "Budget",
    "BuiltinPersona",
    "Limits",
    "McpServer",
    "OnDiscard",
    "Persona",
    "ProviderConfig",
    "ProviderSpec",
    "Retry",
    "Scenario",
    "SideBudget",
    "ToolConfig",
    "WarmConfig",
    "builtin_personas",
    "load_persona",
    "load_tsv_persona",
    "parse_provider_spec",
]

_MAY_BE_EMPTY = (
    "provider", "limits", "budget", "retry", "sessions", "breakpoints", "tools", "log_values",
)  # fmt: skip
_ITEMS = {
    "sessions": "session name",
    "breakpoints": "breakpoint",
    "log_values": "name of a value to log",
}
_DEMO_PERSONA = {"name": "Robin", "simulator": "demo"}


class Scenario(StrictModel):
    """Everything needed to run one conversation. Without any key: the demo."""

    name: str = "unnamed"
    """Shown in lists; the file's name when left out."""
    persona: Persona
    """A persona file, a built-in name, personas.tsv:Name, or the mapping itself."""
    persona_template: str | None = None
    """The text file that turns a row of personas.tsv into a prompt."""
    persona_context_template: str | None = None
    """The text file that turns a row into what persona_template has as {persona_context}."""
    persona_reminder: str | None = None
    """The text file that holds the reminder for a persona from personas.tsv."""
    provider: ProviderConfig = Field(default_factory=ProviderConfig)
    """The system under test: a SPEC, or a mapping with `use`."""
    sessions: list[str] = Field([])
    """Session types, in order; one session called default when empty."""
    first_speaker: Literal["persona", "provider"] = "persona"
    """Who speaks first, unless the provider says otherwise."""
    follow_up_prompts: list[str] = Field([])
    """What the persona says after its opening, in order, before it ends the session. This makes the
    persona scripted; it cannot be combined with a responder or with `simulator: llm`."""
    limits: Limits = Field(default_factory=Limits)
    turns_scope: Literal["session", "conversation"] = "session"
    """What max_turns counts."""
    persona_memory: Literal["session", "conversation"] = "session"
    """Whether the persona remembers earlier sessions."""
    termination_signal: str = TERMINATION_SIGNAL
    """Ends the session when the persona says it."""
    on_discard: OnDiscardField = OnDiscard()
    """What follows a discarded turn: end, skip or retry N."""
    on_signal: dict[str, OnSignal] = Field({})
    """What a matched signal does, by signal: end (default), pause or ignore."""
    on_empty: Literal["retry", "pause", "fail", "keep"] = "pause"
    """What to do with a reply that says nothing."""
    on_error_text: Literal["pause", "fail", "keep"] | None = None
    """What to do with a provider's reply that is the text of an error. By default it pauses in the
    debugger and is kept, flagged, in a run."""
    interim: Literal["show", "say"] = "show"
    """What to do with text that the provider's model writes beside its tool calls: show it on the
    screen only, or say it to the user before the reply."""
    budget: Budget = Field(default_factory=Budget)
    retry: Retry = Field(default_factory=Retry)
    tools: list[ToolConfig] = Field([])
    """Functions (module:function) and MCP servers ({mcp: {command: [...]}} or {mcp: {url: ..}})."""
    approve_tools: bool | list[str] = False
    """Whether tool calls wait for approval: all of them, or those of the listed tools."""
    warm: WarmConfig | None = None
    """A warm-session template: its name, a path to it (.json), or a mapping with `use`."""
    breakpoints: list[str] = Field([], json_schema_extra={"items": BREAKPOINT_SCHEMA})
    """Filter expressions that pause the run."""
    log_values: list[str] = Field([])
    """Names or paths (mood, options.mood) of parameters, options, headers and variables whose
    values logs may hold; text under a name not known to be harmless is masked otherwise."""

    _path: Path | None = PrivateAttr(default=None)
    _base: Path | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path | None:
        """The file it was loaded from."""
        return self._path

    @property
    def base(self) -> Path:
        """The directory that its relative paths were relative to."""
        return self._base or Path.cwd()

    @property
    def session_types(self) -> list[str]:
        """The session types to ask the provider for; never empty."""
        return list(self.sessions) or ["default"]

    def signal_action(self, signal: str) -> OnSignal:
        """The action of a matched signal; case does not matter."""
        folded = signal.casefold()
        for declared, action in self.on_signal.items():
            if declared.casefold() == folded:
                return action
        return "end"

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for key in ("provider", "warm"):
            if isinstance(data.get(key), str):
                data[key] = {"use": data[key]}
        if "tools" in data:
            data["tools"] = normal_tools(data["tools"])
        # A key without a value is an unfinished line: the default stands.
        for key in _MAY_BE_EMPTY:
            if key in data and data[key] is None:
                del data[key]
        if isinstance(data.get("breakpoints"), list):
            data["breakpoints"] = [breakpoint_text(item) for item in data["breakpoints"]]
        data.setdefault("persona", dict(_DEMO_PERSONA))
        if data.get("follow_up_prompts"):
            data["persona"] = with_follow_ups(data["persona"])
        return data

    _not_blank = field_validator("name", "termination_signal")(not_blank)

    @field_validator("sessions", "breakpoints", "log_values")
    @classmethod
    def _no_blanks(cls, value: list[str], info: ValidationInfo) -> list[str]:
        what = _ITEMS[str(info.field_name)]
        if any(not item.strip() for item in value):
            raise ValueError(f"a {what} must not be empty")
        return value

    @field_validator("follow_up_prompts")
    @classmethod
    def _somebody_says_them(cls, value: list[str], info: ValidationInfo) -> list[str]:
        persona = info.data.get("persona")
        if any(not item.strip() for item in value):
            raise ValueError("a follow-up prompt must not be empty")
        if value and isinstance(persona, Persona):
            check_follow_ups(persona)
        return value

    @field_validator("on_signal")
    @classmethod
    def _signals(cls, value: dict[str, OnSignal]) -> dict[str, OnSignal]:
        check_signals(list(value))
        return value

    @field_validator("persona_template", "persona_context_template", "persona_reminder")
    @classmethod
    def _located(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        not_blank(value)
        base = base_of(info)
        return str(absolute(value, base)) if base is not None else value

    @field_serializer("on_discard")
    def _as_text(self, value: OnDiscard) -> str:
        return str(value)

    @classmethod
    def load(cls, path: Path | str) -> Scenario:
        """The scenario in a YAML file.

        Raises `FileError`, or `DataFileError` with every mistake in it and in its persona file.
        """
        path = Path(path)
        document = load_yaml(path)
        if document.data is None:
            raise DataFileError([Problem("this scenario is empty", path=path)])
        return cls.from_data(document.data, lines=document.lines, path=path)

    @classmethod
    def from_data(
        cls,
        data: Any,
        *,
        lines: Lines | None = None,
        path: Path | None = None,
        base: Path | None = None,
        within: Collection[tuple[str, ...]] | None = None,
    ) -> Scenario:
        """A scenario from plain data as a file holds it.

        Relative paths are below `base` (by default the directory of `path`, else the working
        directory). `lines` and `path` place the mistakes. Settings that can never act are mistakes
        as well; where `within` is given, only those of these keys. Raises `DataFileError`.
        """
        if base is None:
            base = Path.cwd() if path is None else path.absolute().parent
        base = base.absolute()
        lines = lines or {}
        problems: list[Problem] = []
        source: str | None = None
        if isinstance(data, dict):
            data = dict(data)
            names = ("persona_template", "persona_context_template", "persona_reminder")
            files = [data[name] if isinstance(data.get(name), str) else None for name in names]
            ref = data.get("persona", "demo")
            if ref is None:
                ref = "demo"
            if isinstance(ref, str):
                try:
                    persona = load_persona(
                        ref, base, files[0], context_template=files[1], reminder=files[2],
                        named_by=path,
                    )  # fmt: skip
                    data["persona"] = persona.model_dump(exclude_unset=True)
                    source = persona.source
                except DataFileError as error:
                    problems.extend(error.problems)
                except UsageError as error:
                    line = line_of(lines, ("persona",))
                    problems.append(Problem(str(error), path=path, line=line, key="persona"))
                if problems:
                    data["persona"] = dict(_DEMO_PERSONA)
            if data.get("name") is None:
                data["name"] = path.stem if path is not None else "unnamed"
        try:
            scenario = validate(cls, data, lines, path, what="scenario", context={"base": base})
        except DataFileError as error:
            # The order of lines is per file: the scenario's own mistakes come first.
            own = [problem for problem in problems if problem.path == path]
            rest = [problem for problem in problems if problem.path != path]
            own = sorted([*error.problems, *own], key=lambda problem: problem.line or 0)
            raise DataFileError([*own, *rest]) from None
        scenario = scenario.at(path, base, source)
        checked = source is not None and within is None
        problems += useless_problems(scenario, lines, path, within=within, persona=not checked)
        if problems:
            raise DataFileError(problems)
        return scenario

    def at(self, path: Path | None, base: Path | None, source: str | None) -> Scenario:
        """A copy with the file it is from, the directory of its paths, and its persona's file."""
        scenario = self.model_copy(update={"persona": self.persona.with_source(source)})
        scenario._path = None if path is None else path.absolute()
        scenario._base = base
        return scenario

    def problems(self) -> list[Problem]:
        """What keeps this scenario from running although each of its files is valid."""
        problems = []
        persona = self.persona
        if persona.needs_model:
            problems.append(
                Problem(
                    f"persona {persona.name!r} ({persona.simulator}) needs a model: give"
                    " --user-model PROVIDER/MODEL, or set 'model' in the persona",
                    path=persona.source or self.path,
                    key="model",
                )
            )
        return problems

    def public(self, redactor: Redactor | None = None) -> dict[str, Any]:
        """The whole scenario as plain JSON data without secrets, for a log's header.

        Paths are absolute text. Of parameters, options, variables, headers and arguments only what
        is known to be harmless is in it, and what `log_values` lists. `redactor` is by default one
        that knows the environment's secrets and this scenario's.
        """
        if redactor is None:
            redactor = Redactor.of_process()
            self.tell(redactor)
        return public_scenario(self.for_engine(), redactor)

    def tell(self, redactor: Redactor) -> None:
        """Tells `redactor` the secrets of this scenario and the values it may write."""
        redactor.allowed = LogValues(self.log_values)
        redactor.add(*scenario_secrets(self.for_engine(), redactor.allowed))

    def for_engine(self) -> dict[str, Any]:
        """As `public()`, with the secrets that a file holds: for the engine's pipe, never a log."""
        data = self.model_dump(mode="json", exclude_none=True)
        data["source"] = {
            "base": str(self.base),
            **({"file": str(self.path)} if self.path else {}),
            **({"persona": self.persona.source} if self.persona.source else {}),
        }
        return data

    @classmethod
    def from_public(cls, data: Mapping[str, Any]) -> Scenario:
        """The scenario that `public()` wrote.

        Parameters that were redacted are left out, so that keys come from the environment again.
        Raises `DataFileError`.
        """
        plain = copy.deepcopy(dict(data))
        source = plain.pop("source", None)
        source = source if isinstance(source, dict) else {}
        for side in ("persona", "provider"):
            part = plain.get(side)
            if not isinstance(part, dict):
                continue
            for key in ("params", "options"):
                if isinstance(part.get(key), dict):
                    part[key] = _without_redacted(part[key])
            if isinstance(part.get("script"), dict):
                # JSON has no whole numbers as keys.
                part["script"] = {
                    int(key) if str(key).isdecimal() else key: text
                    for key, text in part["script"].items()
                }
        scenario = validate(cls, plain, what="recorded scenario")
        file, base = source.get("file"), source.get("base")
        persona = source.get("persona")
        return scenario.at(
            Path(file) if isinstance(file, str) else None,
            Path(base) if isinstance(base, str) else None,
            persona if isinstance(persona, str) else None,
        )


def _without_redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_redacted(item)
            for key, item in value.items()
            if not (isinstance(item, str) and REDACTED in item)
        }
    return [_without_redacted(item) for item in value] if isinstance(value, list) else value
