"""What there is to say about a kind of simulated user without one that speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, Strict, field_validator

from convtui.scenario.parts import StrictModel, check_signals, not_blank

TurnNumber = Annotated[int, Strict(), Field(ge=1)]


class PersonaKeys(BaseModel):
    """The keys that a persona of any kind may have. A kind adds its own in a subclass."""

    model_config = StrictModel.model_config
    name: str
    """Shown everywhere; part of log file names."""
    simulator: str
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
    params: dict[str, Any] = Field({})
    """Parameters of its model calls, such as temperature or api_base."""
    model: str | None = None
    """A litellm model, for the kinds that call one."""
    termination_signals: list[str] = Field([])
    """Strings in the persona's raw reply that end the session."""

    _name = field_validator("name")(not_blank)
    _signals = field_validator("termination_signals")(check_signals)

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

    @property
    def guessed(self) -> bool:
        """Whether its simulator was guessed from its keys, not written."""
        return "simulator" not in self.model_fields_set

    @property
    def says_first(self) -> bool:
        """Whether its first words are written down, so that no model is needed for them."""
        return isinstance(self.script, list) or bool(self.opening or self.task)


JsonSchema = Mapping[str, Any]


def given(key: str, kind: str | list[str], **more: Any) -> dict[str, Any]:
    """A schema of mappings in which `key` has a value of a kind."""
    return {"required": [key], "properties": {key: {"type": kind, **more}}}


SAYS_FIRST: Final[JsonSchema] = {
    "anyOf": [
        given("script", "array"),
        given("opening", "string", minLength=1),
        given("task", "string", minLength=1),
    ]
}
"""Personas whose first words are written down."""


def contradicts_follow_ups(persona: PersonaKeys) -> str:
    """Why a persona cannot say follow-up prompts: it says what it says."""
    return (
        f"follow_up_prompts are said as they stand, which persona {persona.name!r}"
        f" (simulator: {persona.simulator}) contradicts; use one or the other"
    )


@dataclass(frozen=True, slots=True)
class SimulatorKind:
    """A kind of simulated user: its keys, the rules of those keys, and its words."""

    name: str
    """The value of a persona's `simulator`."""
    simulator: str
    """`module:class` of the `UserSimulator` that speaks. The engine alone imports it."""
    speaks: str
    """Who speaks, for the manual."""
    written: str
    """How a persona of this kind is written, for the manual, in Markdown."""
    without_model: str
    """Why a turn has no request: the end of a sentence of the Request tab."""
    keys: type[PersonaKeys] | None = None
    """Keys of its own, with the validators that say how they fit the others."""
    inert: tuple[str, ...] = ()
    """Those of its own keys, dotted, that name no host, file, code or secret. Going on with
    somebody else's log asks about all others."""
    model_keys: tuple[str, ...] = ()
    """The dotted keys that name the model it calls, the first that is set counts. Empty when it
    calls no model by name."""
    asks: Literal["persona", "responder"] | None = None
    """The side under which its calls are recorded; None when it makes none."""
    ignores: tuple[str, ...] = ()
    """Keys of any kind that this one has no use for, `model` and `params` aside."""
    model_opens: bool = False
    """Whether its model writes the first message when none is written down."""
    guess: Callable[[Mapping[Any, Any], bool], bool] = lambda persona, follow_ups: False
    """Whether a persona that does not name its simulator is of this kind, given what is written
    of it (right or wrong) and whether its scenario has follow-up prompts."""
    says_follow_ups: bool = False
    """Whether it says the follow-up prompts of a scenario."""
    no_follow_ups: Callable[[PersonaKeys], str] = contradicts_follow_ups
    """Why a persona of a kind that says none cannot have them."""
    only: JsonSchema | None = None
    """JSON Schema of what only personas of this kind have."""
    needs: JsonSchema = field(default_factory=dict)
    """JSON Schema of what a persona of this kind has to have."""

    @property
    def own_keys(self) -> list[str]:
        """The top-level keys that it adds."""
        keys = self.keys.model_fields if self.keys is not None else ()
        return [key for key in keys if key not in PersonaKeys.model_fields]

    def model_of(self, persona: Mapping[str, Any]) -> str | None:
        """The model that a persona names, given as a file holds it."""
        return _at(persona, self.model_key(persona)) or None if self.model_keys else None

    def model_key(self, persona: Mapping[str, Any]) -> str:
        """The dotted key that names a persona's model, or that is to name it."""
        return next((key for key in self.model_keys if _at(persona, key)), "model")


def _at(persona: Mapping[str, Any], key: str) -> Any:
    value: Any = persona
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
