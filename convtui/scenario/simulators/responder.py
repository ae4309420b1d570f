"""A model that decides after every reply, by a brief whose rules hold wherever it is written."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from convtui.scenario.parts import StrictModel, at_key
from convtui.scenario.simulators.kind import PersonaKeys, SimulatorKind, given


def _instructions(value: object, info: ValidationInfo) -> object:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"{_test_case(info)}responder.instructions is required")
    return value


def _followups(value: object, info: ValidationInfo) -> object:
    if value is None and not _test_case(info):
        raise ValueError("responder.max_followups is required, at least 1")
    value = 0 if value is None else value
    if isinstance(value, int) and not isinstance(value, bool) and value < 1:
        raise ValueError(
            f"{_test_case(info)}responder.max_followups must be at least 1, got {value}"
        )
    return value


def _test_case(info: ValidationInfo) -> str:
    """The prefix of messages about a brief: its test case, where it has one."""
    return str((info.context or {}).get("test_case", ""))


def whole_brief(data: object) -> object:
    """A brief with all required keys, so that missing ones are reported by validation."""
    return {"instructions": None, "max_followups": None, **data} if isinstance(data, dict) else data


Instructions = Annotated[
    str, Field(json_schema_extra={"pattern": r"\S"}), BeforeValidator(_instructions)
]
MaxFollowups = Annotated[int, Field(ge=1), BeforeValidator(_followups)]


class ResponderBrief(StrictModel):
    """What a responder is told: it answers, stops or abstains after each provider message."""

    instructions: Instructions
    """What the user knows and wants, and when to stop."""
    max_followups: MaxFollowups
    """Answers it may give at most."""
    model: str | None = None
    """A litellm model; the persona's when left out."""
    decide_with: Literal["auto", "tools", "json"] = "auto"
    """How it gives its decision: by calling a tool, or as a JSON answer of the same contents, for
    models without tools. `auto` calls tools, and asks for JSON when the endpoint refuses them."""

    _whole = model_validator(mode="before")(whole_brief)


class ResponderKeys(PersonaKeys):
    """The brief, which a responder has to have and no other persona may have."""

    responder: ResponderBrief | None = None
    """The brief of a responder."""

    @model_validator(mode="after")
    def _brief_fits(self) -> Self:
        if self.simulator != "responder":
            if self.responder is not None:
                raise at_key(
                    "responder", f"a brief is for simulator: responder, not {self.simulator}"
                )
            return self
        if self.responder is None:
            raise at_key("simulator", "a responder needs the key 'responder' with its instructions")
        if isinstance(self.script, list):
            raise at_key(
                "script", "a script and a responder exclude each other; use one or the other"
            )
        return self


KIND = SimulatorKind(
    "responder",
    "convtui.simulators.responder:ResponderSimulator",
    speaks="a model that decides after every reply: answer, stop or abstain",
    written="`responder: {...}` and `model:`",
    without_model="a responder opens with what is written down for it.",
    keys=ResponderKeys,
    inert=("responder.instructions", "responder.max_followups", "responder.decide_with"),
    model_keys=("responder.model", "model"),
    asks="responder",
    guess=lambda persona, follow_ups: persona.get("responder") is not None,
    no_follow_ups=lambda persona: (
        "responder and follow_up_prompts are mutually exclusive; use one or the other"
    ),
    only=given("responder", "object"),
    needs={**given("responder", "object"), "not": given("script", ["array", "object"])},
)
